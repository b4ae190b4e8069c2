"""Error answers on request: every API at every version, read by two clients' codecs, names what the request named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import samples
from support import batches, messages, protocol_table, topics
from support.wire import Wire
from world import World

import odradek
from odradek.protocol.api_keys import ApiKey

CODE = 41  # NOT_CONTROLLER: none of the sample requests gets it by itself


@pytest.fixture(scope="module")
def broker() -> Iterator[odradek.Broker]:
    with odradek.Broker() as started:
        yield started


@pytest.fixture(scope="module")
def world(broker: odradek.Broker) -> Iterator[World]:
    made = World(broker.bootstrap_servers)
    yield made
    made.wire.close()


def codes(message: Any) -> list[int]:
    """Return every error code in a message."""
    found = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if field.name == "error_code":
            found.append(int(value))
        for element in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(element):
                found += codes(element)
    return found


def promised() -> Iterator[tuple[str, int]]:
    for row in protocol_table.rows():
        low, high = messages.kio_versions(row.api)
        # Produce 0-2 are refused anyhow.
        first = max(low, row.low, 3 if row.api == "produce" else 0)
        yield from ((row.api, version) for version in range(first, min(high, row.high) + 1))


@pytest.mark.parametrize(("api", "version"), list(promised()))
def test_a_refusal_is_well_formed_and_has_the_code_wherever_a_code_goes(
    broker: odradek.Broker, world: World, api: str, version: int
) -> None:
    key = ApiKey[api.upper()]
    fields = samples.requests(world.seed, world.seed_id)[api]
    # kafka-python takes any failed ApiVersions for one of version 0.
    call = world.wire.call if api == "api_versions" else world.call
    with broker.faults.fail(key, CODE) as fault:
        response = call(api, version, fields)
        assert fault.hits == 1
    found = codes(response)
    assert found, response
    # A response with a place for the whole and for its parts may use either.
    assert CODE in found
    assert set(found) <= {CODE, 0}
    after = world.call(api, version, fields)
    assert CODE not in codes(after)


def test_a_refused_fetch_keeps_its_session_and_a_refused_produce_writes_nothing(
    broker: odradek.Broker, world: World
) -> None:
    before = len(topics.read_all(world.wire, world.seed))
    fields = topics.produce_fields(world.seed, batches.batch([b"x"]), topic_id=world.seed_id)
    broker.faults.fail("Produce", CODE)
    refused = world.call("produce", 9, fields)
    assert codes(refused) == [CODE]
    accepted = world.call("produce", 9, fields)
    assert codes(accepted) == [0]
    assert accepted.responses[0].partition_responses[0].base_offset == before

    first = world.call("fetch", 12, {**topics.fetch_fields(world.seed, 0), "session_epoch": 0})
    assert first.session_id > 0
    again = {**topics.fetch_fields(world.seed, 0), "session_id": first.session_id, "session_epoch": 1, "topics": []}
    broker.faults.fail("Fetch", CODE)
    failed = world.call("fetch", 12, again)
    assert (int(failed.error_code), failed.session_id) == (0, first.session_id)
    assert [len(topic.partitions) for topic in failed.responses] == [1], "the session's partition is named"
    assert CODE in codes(failed)
    went_on = world.call("fetch", 12, {**again, "session_epoch": 2})
    assert (int(went_on.error_code), went_on.session_id) == (0, first.session_id)


def test_what_was_asked_before_is_answered_before_the_connection_is_dropped(
    broker: odradek.Broker, world: World
) -> None:
    for after in (False, True):
        with Wire(broker.bootstrap_servers) as wire:
            fault = broker.faults.drop_connection("ListGroups", after=after)
            sample = samples.requests(world.seed, world.seed_id)
            first = wire.send("metadata", 9, sample["metadata"])
            wire.send("list_groups", 4, sample["list_groups"])
            wire.send("metadata", 9, sample["metadata"])
            assert wire.receive("metadata", 9, first).topics
            assert wire.closed_by_broker()
            assert fault.hits == 1


def test_a_delayed_request_holds_back_its_own_connection_only(broker: odradek.Broker, world: World) -> None:
    sample = samples.requests(world.seed, world.seed_id)["metadata"]
    with Wire(broker.bootstrap_servers) as slow, broker.faults.delay("Metadata", 3600, times=1) as fault:
        waiting = slow.send("metadata", 9, sample)
        fault.wait()
        assert world.call("metadata", 9, sample).topics
        fault.remove()
        assert slow.receive("metadata", 9, waiting).topics


def test_a_pause_holds_everything_and_loses_nothing(broker: odradek.Broker, world: World) -> None:
    sample = samples.requests(world.seed, world.seed_id)["metadata"]
    with Wire(broker.bootstrap_servers, timeout=0.3) as wire, broker.faults.pause():
        asked = wire.send("metadata", 9, sample)
        with pytest.raises(TimeoutError):
            wire.receive_frame()
        broker.faults.resume()
        assert wire.receive("metadata", 9, asked).topics


def test_a_paused_broker_stops(broker: odradek.Broker) -> None:
    other = odradek.Broker().start()
    with Wire(other.bootstrap_servers) as wire:
        wire.advertised()
        other.faults.pause()
        other.close()
        assert wire.closed_by_broker()
