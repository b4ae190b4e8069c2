"""The options of a topic: all that Apache Kafka 4.3 has, with its names, defaults and ranges.

`broker` in a row names the broker options that give a topic its default (see `broker.py`). The engine is given all of
them as text (`host_partitions`, `configure_topic`). Source: Kafka `LogConfig`, `TopicConfig`.
"""

from __future__ import annotations

from odradek.config.definition import Kind, Option, Valid, Value, at_least, between, lookup, one_of, some_of
from odradek.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

__all__ = ["COMPRESSION_TYPES", "TOPIC_OPTIONS", "parse_topic_configs"]

_MAX: Final = 2**63 - 1
_DAY: Final = 86_400_000
_REMOTE: Final = "No effect: odradek has no tiered storage."
_THROTTLE: Final = "No effect yet: replication isn't throttled on a single broker."

COMPRESSION_TYPES: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

_ROWS: Final = (
    Option(
        "cleanup.policy",
        Kind.LIST,
        ("delete",),
        "What happens to old segments: delete them when retention.ms or retention.bytes is passed, compact them so that"
        " the last record of each key stays, or both. An empty list keeps everything.",
        some_of("compact", "delete"),
        broker=(("log.cleanup.policy", 1),),
    ),
    Option(
        "compression.gzip.level",
        Kind.INT,
        -1,
        "Level used when the broker compresses with gzip; -1 is the codec's default.",
        between(1, 9, also=-1),
        broker=(("compression.gzip.level", 1),),
    ),
    Option(
        "compression.lz4.level",
        Kind.INT,
        9,
        "Taken, but without effect: when the broker compresses with lz4 it has one effort, the least.",
        between(1, 17),
        broker=(("compression.lz4.level", 1),),
    ),
    Option(
        "compression.type",
        Kind.STRING,
        "producer",
        "Codec of the stored batches. 'producer' keeps each batch as it came, which costs the broker nothing;"
        " 'uncompressed' or a codec makes it rewrite batches that differ.",
        one_of(*COMPRESSION_TYPES),
        broker=(("compression.type", 1),),
    ),
    Option(
        "compression.zstd.level",
        Kind.INT,
        3,
        "Level used when the broker compresses with zstd.",
        between(-131072, 22),
        broker=(("compression.zstd.level", 1),),
    ),
    Option(
        "delete.retention.ms",
        Kind.LONG,
        _DAY,
        "How long a compacted topic keeps tombstones: the time a reader has to go from the first offset to the end"
        " without missing a deletion.",
        at_least(0),
        "ms",
        broker=(("log.cleaner.delete.retention.ms", 1),),
    ),
    Option(
        "file.delete.delay.ms",
        Kind.LONG,
        60_000,
        "How long the files of a deleted segment or partition stay on disk under a .deleted name.",
        at_least(0),
        "ms",
        broker=(("log.segment.delete.delay.ms", 1),),
    ),
    Option(
        "flush.messages",
        Kind.LONG,
        _MAX,
        "After how many records the log is synced to disk; 1 syncs before every acknowledgement. By default the"
        " operating system decides.",
        at_least(1),
        "records",
        broker=(("log.flush.interval.messages", 1),),
    ),
    Option(
        "flush.ms",
        Kind.LONG,
        _MAX,
        "After how long an appended record is synced to disk at the latest. By default the operating system decides.",
        at_least(0),
        "ms",
        broker=(("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)),
    ),
    Option(
        "follower.replication.throttled.replicas",
        Kind.LIST,
        (),
        f"Replicas whose fetching is throttled on the follower: PARTITION:BROKER,... or *. {_THROTTLE}",
        inert=True,
    ),
    Option(
        "index.interval.bytes",
        Kind.INT,
        4096,
        "One entry goes into the offset index for about so many bytes of log.",
        at_least(0),
        "bytes",
        broker=(("log.index.interval.bytes", 1),),
    ),
    Option(
        "leader.replication.throttled.replicas",
        Kind.LIST,
        (),
        f"Replicas whose fetching is throttled on the leader: PARTITION:BROKER,... or *. {_THROTTLE}",
        inert=True,
    ),
    Option(
        "local.retention.bytes",
        Kind.LONG,
        -2,
        f"Size of the part kept on local disk; -2 = retention.bytes. {_REMOTE}",
        at_least(-2),
        "bytes",
        inert=True,
        broker=(("log.local.retention.bytes", 1),),
    ),
    Option(
        "local.retention.ms",
        Kind.LONG,
        -2,
        f"Age of the part kept on local disk; -2 = retention.ms. {_REMOTE}",
        at_least(-2),
        "ms",
        inert=True,
        broker=(("log.local.retention.ms", 1),),
    ),
    Option(
        "max.compaction.lag.ms",
        Kind.LONG,
        _MAX,
        "After how long a record of a compacted topic must be considered for compaction, however clean the log is.",
        at_least(1),
        "ms",
        broker=(("log.cleaner.max.compaction.lag.ms", 1),),
    ),
    Option(
        "max.message.bytes",
        Kind.INT,
        1_048_588,
        "Largest record batch that is accepted, as it comes from the producer (compressed if it is).",
        at_least(0),
        "bytes",
        broker=(("message.max.bytes", 1),),
    ),
    Option(
        "message.timestamp.after.max.ms",
        Kind.LONG,
        3_600_000,
        "How far a record's timestamp may lie ahead of the broker's clock; only with CreateTime.",
        at_least(0),
        "ms",
        broker=(("log.message.timestamp.after.max.ms", 1),),
    ),
    Option(
        "message.timestamp.before.max.ms",
        Kind.LONG,
        _MAX,
        "How far a record's timestamp may lie behind the broker's clock; only with CreateTime.",
        at_least(0),
        "ms",
        broker=(("log.message.timestamp.before.max.ms", 1),),
    ),
    Option(
        "message.timestamp.type",
        Kind.STRING,
        "CreateTime",
        "Whether a record keeps the producer's timestamp or gets the broker's time of append.",
        one_of("CreateTime", "LogAppendTime"),
        broker=(("log.message.timestamp.type", 1),),
    ),
    Option(
        "min.cleanable.dirty.ratio",
        Kind.DOUBLE,
        0.5,
        "Share of a compacted log that must be uncleaned before the cleaner works on it.",
        between(0, 1),
        broker=(("log.cleaner.min.cleanable.ratio", 1),),
    ),
    Option(
        "min.compaction.lag.ms",
        Kind.LONG,
        0,
        "How long a record of a compacted topic is left alone by the cleaner.",
        at_least(0),
        "ms",
        broker=(("log.cleaner.min.compaction.lag.ms", 1),),
    ),
    Option(
        "min.insync.replicas",
        Kind.INT,
        1,
        "How many replicas must be in sync for a write with acks=all to be accepted.",
        at_least(1),
        broker=(("min.insync.replicas", 1),),
    ),
    Option(
        "preallocate",
        Kind.BOOLEAN,
        False,  # noqa: FBT003 - a row of a table
        "Reserve a segment's whole size on disk when it is made. No effect: odradek's segments grow as they are written.",
        inert=True,
        broker=(("log.preallocate", 1),),
    ),
    Option(
        "remote.log.copy.disable",
        Kind.BOOLEAN,
        False,  # noqa: FBT003
        f"Stop copying segments to tiered storage. {_REMOTE}",
        inert=True,
    ),
    Option(
        "remote.log.delete.on.disable",
        Kind.BOOLEAN,
        False,  # noqa: FBT003
        f"Delete tiered segments when tiered storage is turned off. {_REMOTE}",
        inert=True,
    ),
    Option(
        "remote.storage.enable",
        Kind.BOOLEAN,
        False,  # noqa: FBT003
        "Tiered storage for the topic. odradek has none: only false is allowed.",
        Valid("false only", lambda value: value is False),
    ),
    Option(
        "retention.bytes",
        Kind.LONG,
        -1,
        "Size a partition may reach before its oldest segments are deleted; -1 = no limit.",
        None,
        "bytes",
        broker=(("log.retention.bytes", 1),),
    ),
    Option(
        "retention.ms",
        Kind.LONG,
        7 * _DAY,
        "Age at which segments are deleted; -1 = never.",
        at_least(-1),
        "ms",
        broker=(("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)),
    ),
    Option(
        "segment.bytes",
        Kind.INT,
        1 << 30,
        "Size at which a new segment file is begun. Retention works on whole segments.",
        at_least(1 << 20),
        "bytes",
        broker=(("log.segment.bytes", 1),),
    ),
    Option(
        "segment.index.bytes",
        Kind.INT,
        10 << 20,
        "Size at which an index is full and a new segment is begun.",
        at_least(4),
        "bytes",
        broker=(("log.index.size.max.bytes", 1),),
    ),
    Option(
        "segment.jitter.ms",
        Kind.LONG,
        0,
        "Random time taken off segment.ms, so that partitions don't all begin a segment at once.",
        at_least(0),
        "ms",
        broker=(("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)),
    ),
    Option(
        "segment.ms",
        Kind.LONG,
        7 * _DAY,
        "Age at which a new segment is begun even if the present one isn't full.",
        at_least(1),
        "ms",
        broker=(("log.roll.ms", 1), ("log.roll.hours", 3_600_000)),
    ),
    Option(
        "unclean.leader.election.enable",
        Kind.BOOLEAN,
        False,  # noqa: FBT003
        "Whether a replica that isn't in sync may become leader, at the price of lost records. No effect yet on a single"
        " broker.",
        inert=True,
        broker=(("unclean.leader.election.enable", 1),),
    ),
)

TOPIC_OPTIONS: Final[dict[str, Option]] = {row.name: row for row in _ROWS}


def parse_topic_configs(overrides: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of a topic's own settings.

    Raises:
        ConfigError: an unknown name, a value outside its range, or values that contradict each other.
    """
    values = {name: lookup(TOPIC_OPTIONS, name, "topic config").parse(text) for name, text in overrides.items()}
    low, high = values.get("min.compaction.lag.ms"), values.get("max.compaction.lag.ms")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        raise ConfigError(f"min.compaction.lag.ms: {low} is above max.compaction.lag.ms, {high}")
    return values
