"""What `odradek doctor` finds out about a cluster: one check after the other, each finding with its cure.

Not here: how findings are shown (`doctor.py`). A check never raises for what it is there to find.
"""

import asyncio
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from odradek.config.address import Address
from odradek.errors import ErrorCode, KafkaError, OdradekError

if TYPE_CHECKING:
    from odradek.client.cluster import Cluster
    from odradek.client.metadata import BrokerInfo, ClusterInfo

__all__ = ["Finding", "examine"]

Verdict = Literal["ok", "warning", "problem"]

_NEEDED = ("METADATA", "PRODUCE", "FETCH", "LIST_OFFSETS", "FIND_COORDINATOR", "JOIN_GROUP", "OFFSET_COMMIT")
"""APIs without which producers, consumers or groups don't work."""
_SETUP_SHARE = 0.6
"""Share of a step's time that the connection's set-up may take."""
_SHOWN = 5
"""Names of partitions in a finding before it says only how many more there are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    """What was looked at: `resolve`, `connect`, `versions`, `metadata`, `advertised`, `partitions`, `round-trip`."""
    verdict: Verdict
    text: str
    cure: str = ""
    """What to do; empty when all is well."""


async def examine(
    servers: Iterable[tuple[str, int]],
    properties: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109
) -> AsyncIterator[Finding]:
    """Look at each bootstrap server and then at the cluster that the first good one shows.

    Args:
        servers: (host, port) of the bootstrap servers.
        properties: client options for the connections, Kafka's names to text.
        timeout: seconds for each step.
    """
    clusters: dict[str, ClusterInfo] = {}
    for host, port in servers:
        place = str(Address(host, port))
        async for finding in _reach(host, port, timeout):
            yield finding
            if finding.verdict == "problem":
                break
        else:
            async for finding in _ask(place, properties, timeout, clusters):
                yield finding
    identities = {info.cluster_id for info in clusters.values()}
    if len(identities) > 1:
        yield Finding(
            "metadata",
            "problem",
            "the bootstrap servers belong to different clusters: "
            + ", ".join(f"{place} to {info.cluster_id}" for place, info in clusters.items()),
            "name servers of one cluster only; a client takes whichever answers first",
        )
    if clusters:
        place, info = next(iter(clusters.items()))
        async for finding in _advertised(place, info, timeout):
            yield finding
        for finding in _partitions(info):
            yield finding


async def _reach(host: str, port: int, timeout: float) -> AsyncIterator[Finding]:  # noqa: ASYNC109
    """Resolve a name and connect to each of its addresses until one accepts."""
    place = str(Address(host, port))
    try:
        found = await asyncio.wait_for(
            asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM), timeout
        )
    except (OSError, TimeoutError) as error:
        why = "no answer from the resolver" if isinstance(error, TimeoutError) else error.strerror or str(error)
        yield Finding("resolve", "problem", f"{host}: {why}", "check the spelling, DNS and /etc/hosts of this machine")
        return
    addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
    yield Finding("resolve", "ok", f"{host} is {', '.join(addresses)}")
    refusals = []
    for address in addresses:
        began = time.monotonic()
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), timeout)
        except (OSError, TimeoutError) as error:
            refusals.append((address, error))
            continue
        elapsed_ms = (time.monotonic() - began) * 1000
        writer.close()
        text = f"{place} accepts connections ({elapsed_ms:.1f} ms)"
        if refusals:
            bad = ", ".join(address for address, _ in refusals)
            yield Finding("connect", "warning", f"{text}, but not at {bad}", "clients lose time on the dead addresses")
        else:
            yield Finding("connect", "ok", text)
        return
    reasons = "; ".join(f"{address}: {_reason(error)}" for address, error in refusals)
    silent = any(isinstance(error, TimeoutError) for _, error in refusals)
    yield Finding(
        "connect",
        "problem",
        f"{place}: {reasons}",
        "a firewall or security group drops the packets, or the host is down"
        if silent
        else "no process listens there: is the broker running, and is this its port? `listeners` says which",
    )


async def _ask(
    place: str,
    properties: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109
    clusters: "dict[str, ClusterInfo]",
) -> AsyncIterator[Finding]:
    """Ask one server for its versions and for the cluster's metadata; note the latter in `clusters`."""
    from odradek.client.cluster import Cluster

    # A server that accepts and stays silent is then told apart from one that is slow, before our own time is out.
    setup_ms = str(max(1, int(timeout * 1000 * _SETUP_SHARE)))
    cluster = Cluster({**_setup(setup_ms), **properties, "bootstrap.servers": place})
    try:
        cluster.native.watch_all(True)  # noqa: FBT003  the binding's only argument
        try:
            yield await _versions(place, cluster, timeout)
            info = await cluster.refresh(timeout=timeout)
        except OdradekError as error:
            info = cluster.known()
            if not info.brokers:
                cure = "name the port of a listener that serves Kafka's protocol in plain text"
                text = str(error) if place in str(error) else f"{place}: {error}"
                yield Finding("versions", "problem", text, cure)
                return
            # The server answered; it is the address it sends its clients on to that fails, which is looked at later.
        clusters[place] = info
        brokers = ", ".join(f"{broker.node_id}" for broker in info.brokers.values())
        yield Finding(
            "metadata",
            "ok" if info.brokers else "problem",
            f"cluster {info.cluster_id}: {len(info.brokers)} broker(s) [{brokers}], controller {info.controller_id}, "
            f"{len(info.topics)} topic(s)",
            "" if info.brokers else "the broker knows no broker, not even itself: look into its log",
        )
    finally:
        await cluster.close()


async def _versions(place: str, cluster: "Cluster", timeout: float) -> Finding:  # noqa: ASYNC109
    from odradek.protocol.answers import kio_versions
    from odradek.protocol.api_keys import ApiKey

    served = await cluster.versions(timeout=timeout)
    lacking = []
    for name in _NEEDED:
        key = ApiKey[name]
        low, high = served.get(key, (0, -1))
        if min(high, kio_versions(key)[1]) < low:
            lacking.append(name)
    if lacking:
        return Finding(
            "versions",
            "problem",
            f"{place} serves no version of {', '.join(lacking)} that this client speaks",
            "the broker is older than Kafka 0.11, or a proxy stands in between",
        )
    return Finding("versions", "ok", f"{place} speaks Kafka's protocol: {len(served)} APIs")


async def _advertised(
    place: str,
    info: "ClusterInfo",
    timeout: float,  # noqa: ASYNC109
) -> AsyncIterator[Finding]:
    """Try each address that the brokers tell clients to use."""
    for broker in info.brokers.values():
        there = str(Address(broker.host, broker.port))
        problem = None
        async for finding in _reach(broker.host, broker.port, timeout):
            if finding.verdict == "problem":
                problem = finding
        if problem is not None:
            yield Finding(
                "advertised",
                "problem",
                f"broker {broker.node_id} tells clients to use {there}, which can't be reached from here "
                f"({problem.text})",
                "set advertised.listeners of that broker to an address that clients can reach",
            )
        elif _loopback(broker) and not _is_loopback(place.rpartition(":")[0].strip("[]")):
            yield Finding(
                "advertised",
                "problem",
                f"broker {broker.node_id} tells clients to use {there}: on their own machine, not on the broker's",
                "set advertised.listeners of that broker to the address that this command was given",
            )
        else:
            yield Finding("advertised", "ok", f"broker {broker.node_id} is reached at {there}")


def _partitions(info: "ClusterInfo") -> Iterable[Finding]:
    """Look for partitions that can't be written, or that have lost replicas."""
    leaderless = []
    thin = []
    count = 0
    for topic in info.topics.values():
        for row in topic.partitions:
            count += 1
            name = f"{topic.name}-{row.partition}"
            if row.leader not in info.brokers:
                leaderless.append(name)
            elif len(row.isr) < len(row.replicas):
                thin.append(name)
    if leaderless:
        yield Finding(
            "partitions",
            "problem",
            f"no leader, so neither written nor read: {_some(leaderless)}",
            "start the brokers that hold their replicas",
        )
    if thin:
        yield Finding(
            "partitions",
            "warning",
            f"under-replicated: {_some(thin)}",
            "a broker is down or lags; see replica.lag.time.max.ms and the brokers' logs",
        )
    if not leaderless and not thin:
        yield Finding("partitions", "ok", f"{count} partition(s), each with a leader and all replicas in sync")
    for topic in info.topics.values():
        if topic.error_code not in (ErrorCode.NONE, ErrorCode.LEADER_NOT_AVAILABLE):
            text = f"topic {topic.name}: {KafkaError.of(topic.error_code)}"
            yield Finding("partitions", "problem", text, "look into the brokers' logs")


def _setup(milliseconds: str) -> dict[str, str]:
    return {
        "socket.connection.setup.timeout.ms": milliseconds,
        "socket.connection.setup.timeout.max.ms": milliseconds,
    }


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


def _loopback(broker: "BrokerInfo") -> bool:
    return _is_loopback(broker.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
