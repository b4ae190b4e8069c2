"""Broker options that odradek accepts without acting on them, each with the reason.

They stand in the files and scripts people have for Apache Kafka, and refusing them would refuse those users for
nothing. An option whose silent absence could hurt (security, quotas, tiered storage, transactions' safety) is not
here: it is refused as unknown.
"""

from __future__ import annotations

from odradek.config.definition import Kind, Option, Scope, Value, at_least, between

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ACCEPTED_ROWS"]

_RAFT: Final = "No effect: odradek has no Raft quorum; the metadata store takes its place."
_THREADS: Final = "No effect: odradek has no such pool of threads."
_SOCKET: Final = "No effect: the system's own tuning of socket buffers is left on."
_PURGE: Final = "No effect: finished requests leave odradek's purgatory at once."
_CLUSTER: Final = "No effect yet: it concerns replication between brokers."
_TXN: Final = "No effect yet: odradek doesn't serve transactions so far."
_SHARE: Final = "No effect yet: odradek doesn't serve share groups so far."


def _row(name: str, kind: Kind, default: Value, doc: str, low: int | None = None) -> Option:
    return Option(name, kind, default, doc, None if low is None else at_least(low), scope=Scope.READ_ONLY, inert=True)


_INT, _LONG, _BOOL, _STRING, _LIST, _SHORT = Kind.INT, Kind.LONG, Kind.BOOLEAN, Kind.STRING, Kind.LIST, Kind.SHORT

ACCEPTED_ROWS: Final = (
    _row("process.roles", _LIST, (), _RAFT),
    _row("controller.quorum.voters", _LIST, (), _RAFT),
    _row("controller.quorum.bootstrap.servers", _LIST, (), _RAFT),
    _row(
        "controller.listener.names", _LIST, (), "Listeners named here are left out: odradek has no controller listener."
    ),
    _row("inter.broker.listener.name", _STRING, None, _CLUSTER),
    _row("listener.security.protocol.map", _STRING, "PLAINTEXT:PLAINTEXT", "No effect: the one listener is plaintext."),
    _row("metadata.log.dir", _STRING, None, _RAFT),
    _row("broker.heartbeat.interval.ms", _INT, 2_000, _RAFT),
    _row("broker.session.timeout.ms", _INT, 9_000, _RAFT),
    _row("num.io.threads", _INT, 8, _THREADS, 1),
    _row("background.threads", _INT, 10, _THREADS, 1),
    _row("num.recovery.threads.per.data.dir", _INT, 2, _THREADS, 1),
    _row("num.replica.alter.log.dirs.threads", _INT, None, _THREADS),
    _row("group.consumer.regex.refresh.interval.ms", _INT, 600_000, "No effect: new topics are seen at once.", 10_000),
    _row("group.consumer.assignment.interval.ms", _INT, 1_000, "No effect: odradek assigns at once.", 0),
    _row("group.consumer.min.assignment.interval.ms", _INT, 0, "No effect: odradek assigns at once.", 0),
    _row("group.consumer.max.assignment.interval.ms", _INT, 15_000, "No effect: odradek assigns at once.", 0),
    _row("log.cleaner.threads", _INT, 1, _THREADS, 0),
    _row("group.coordinator.threads", _INT, 4, _THREADS, 1),
    _row("socket.receive.buffer.bytes", _INT, 102_400, _SOCKET),
    _row("replica.socket.receive.buffer.bytes", _INT, 65_536, _SOCKET),
    _row("fetch.purgatory.purge.interval.requests", _INT, 1_000, _PURGE),
    _row("producer.purgatory.purge.interval.requests", _INT, 1_000, _PURGE),
    _row("delete.records.purgatory.purge.interval.requests", _INT, 1, _PURGE),
    _row("log.cleaner.io.buffer.size", _INT, 524_288, "No effect: the cleaner reads batch by batch.", 0),
    Option(
        "log.cleaner.io.buffer.load.factor",
        Kind.DOUBLE,
        0.9,
        "No effect: odradek sizes its key map itself.",
        between(0, 1),
        inert=True,
    ),
    _row(
        "log.cleaner.io.max.bytes.per.second",
        Kind.DOUBLE,
        1.7976931348623157e308,
        "No effect: the cleaner isn't throttled.",
    ),
    _row(
        "log.flush.start.offset.checkpoint.interval.ms", _INT, 60_000, "No effect: written with the recovery points.", 0
    ),
    _row(
        "log.dir.failure.timeout.ms", _LONG, 30_000, "No effect: a broker with one directory stops when that fails.", 1
    ),
    _row(
        "offsets.load.buffer.size", _INT, 5_242_880, "No effect: offsets are read in batches of odradek's own size.", 1
    ),
    _row("offsets.commit.timeout.ms", _INT, 5_000, "No effect: a commit is answered when it is written.", 1),
    _row("offsets.topic.compression.codec", _INT, 0, "No effect: offsets are written uncompressed.", 0),
    _row("request.timeout.ms", _INT, 30_000, _CLUSTER, 1),
    _row("controlled.shutdown.enable", _BOOL, True, _CLUSTER),  # noqa: FBT003
    _row("auto.leader.rebalance.enable", _BOOL, True, _CLUSTER),  # noqa: FBT003
    _row("leader.imbalance.check.interval.seconds", _LONG, 300, _CLUSTER, 1),
    _row("num.replica.fetchers", _INT, 1, _CLUSTER, 1),
    _row("replica.fetch.max.bytes", _INT, 1_048_576, _CLUSTER, 0),
    _row("replica.fetch.response.max.bytes", _INT, 10_485_760, _CLUSTER, 0),
    _row("replica.fetch.min.bytes", _INT, 1, _CLUSTER),
    _row("replica.fetch.wait.max.ms", _INT, 500, _CLUSTER),
    _row("replica.fetch.backoff.ms", _INT, 1_000, _CLUSTER, 0),
    _row("replica.high.watermark.checkpoint.interval.ms", _LONG, 5_000, _CLUSTER),
    _row("replica.lag.time.max.ms", _LONG, 30_000, _CLUSTER),
    _row("replica.socket.timeout.ms", _INT, 30_000, _CLUSTER),
    _row("transaction.max.timeout.ms", _INT, 900_000, _TXN, 1),
    _row("transaction.state.log.min.isr", _INT, 1, _TXN, 1),
    _row("transaction.state.log.num.partitions", _INT, 50, _TXN, 1),
    _row("transaction.state.log.replication.factor", _SHORT, 1, _TXN, 1),
    _row("transaction.state.log.segment.bytes", _INT, 104_857_600, _TXN, 1),
    _row("transactional.id.expiration.ms", _INT, 604_800_000, _TXN, 1),
    _row("share.coordinator.state.topic.min.isr", _SHORT, 1, _SHARE, 1),
    _row("share.coordinator.state.topic.num.partitions", _INT, 50, _SHARE, 1),
    _row("share.coordinator.state.topic.replication.factor", _SHORT, 1, _SHARE, 1),
)
