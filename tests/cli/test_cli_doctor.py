"""`odradek doctor`: each ailment found, named, and given its cure."""

import socket
from collections.abc import Callable, Iterator

import pytest
from cli_support import Outcome

import odradek

Run = Callable[..., Outcome]


def problems(outcome: Outcome) -> list[dict[str, str]]:
    return [finding for finding in outcome.json if finding["verdict"] == "problem"]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture
def misadvertised(free_port: int) -> Iterator[str]:
    """The address of a broker that sends its clients to a port where nobody listens."""
    address = f"127.0.0.1:{unused_port()}"
    with odradek.Broker(listeners=f"PLAINTEXT://{address}", advertised_listeners=f"PLAINTEXT://127.0.0.1:{free_port}"):
        yield address


def test_a_healthy_cluster_passes_every_check(run: Run, bootstrap: str) -> None:
    found = run("doctor", bootstrap)
    assert found.code == 0
    assert [line.split()[:2] for line in found.out.splitlines()] == [
        ["ok", check] for check in ("resolve", "connect", "versions", "metadata", "advertised", "partitions")
    ]


def test_a_round_trip_writes_reads_and_leaves_no_topic(run: Run, bootstrap: str) -> None:
    found = run("doctor", bootstrap, "--round-trip", "--json")
    assert found.code == 0, found.out
    assert found.json[-1]["check"] == "round-trip"
    assert found.json[-1]["verdict"] == "ok"
    assert "odradek-doctor" not in run("topics", "list").out


def test_a_closed_port_is_told_with_its_cure(offline: Run, free_port: int) -> None:
    found = offline("doctor", f"127.0.0.1:{free_port}", "--json")
    assert found.code == 1
    [problem] = problems(found)
    assert problem["check"] == "connect"
    assert "refused" in problem["text"]
    assert "is the broker running" in problem["cure"]


def test_a_name_that_does_not_resolve_is_told_and_the_other_servers_are_looked_at(run: Run, bootstrap: str) -> None:
    found = run("doctor", f"no-such-host.invalid:9092,{bootstrap}", "--json")
    assert found.code == 1
    [problem] = problems(found)
    assert problem["check"] == "resolve"
    assert "no-such-host.invalid" in problem["text"]
    assert {finding["check"] for finding in found.json} >= {"metadata", "advertised", "partitions"}


def test_a_silent_server_is_told_apart_from_a_broker(offline: Run, silent_server: str) -> None:
    found = offline("doctor", silent_server, "--timeout", "1", "--json")
    assert found.code == 1
    [problem] = problems(found)
    assert problem["check"] == "versions"
    assert "did not answer" in problem["text"]


def test_an_advertised_address_that_leads_nowhere_is_told(offline: Run, misadvertised: str, free_port: int) -> None:
    found = offline("doctor", misadvertised, "--json")
    assert found.code == 1
    [problem] = problems(found)
    assert problem["check"] == "advertised"
    assert f"127.0.0.1:{free_port}" in problem["text"]
    assert "advertised.listeners" in problem["cure"]


@pytest.mark.parametrize("servers", ["", "localhost", "http://localhost:9092", "localhost:http"])
def test_a_bad_server_list_is_one_line(offline: Run, servers: str) -> None:
    failed = offline("doctor", servers)
    assert failed.code in (1, 2)
    assert "BOOTSTRAP" in failed.error_line
