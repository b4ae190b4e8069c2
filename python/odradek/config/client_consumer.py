"""The options of `Consumer`. Source of names, defaults and ranges: Kafka `ConsumerConfig`, 4.3; buffer.max.bytes is ours."""

from typing import Final

from odradek.config.client_common import API_TIMEOUT, COMMON_ROWS
from odradek.config.client_definition import SERIALIZERS, ClientOption, not_empty, some_of_at_least_one
from odradek.config.definition import Kind, at_least, one_of

__all__ = ["CONSUMER_ROWS"]

_INT, _LONG, _BOOL, _STRING = Kind.INT, Kind.LONG, Kind.BOOLEAN, Kind.STRING


def _deserializer(what: str) -> ClientOption:
    return ClientOption(
        f"{what}.deserializer",
        Kind.CLASS,
        "none",
        f"What the bytes of a {what} become: `none` (bytes), `str` (UTF-8), `int` (8 bytes, big-endian), `float` "
        "(IEEE 754, 8 bytes, big-endian), `json` (UTF-8), or a callable that is given the bytes. None stays None.",
        one_of(*SERIALIZERS),
        aliases={"bytes": "none"},
        callables=True,
    )


_GROUP_ROWS: Final = (
    ClientOption(
        "group.id",
        _STRING,
        None,
        "The group this consumer shares its topics with and commits for; needed by `subscribe` and `commit`.",
        not_empty(),
    ),
    ClientOption(
        "group.instance.id",
        _STRING,
        None,
        "Makes the consumer a static member: it may restart within session.timeout.ms and keep its partitions. "
        "Unique within the group.",
        not_empty(),
    ),
    ClientOption(
        "group.protocol",
        _STRING,
        "classic",
        "How the members of the group agree on who reads what: `classic`, by a leader among them, or `consumer` (KIP-848), "
        "by the broker, without stopping all for one that comes or goes; the broker has to offer it.",
        one_of("classic", "consumer"),
        aliases={"CLASSIC": "classic", "CONSUMER": "consumer"},
    ),
    ClientOption(
        "group.remote.assignor",
        _STRING,
        None,
        "With group.protocol=consumer, how the broker shares out partitions: `uniform` or `range`, or another that it has; "
        "none = its own choice.",
        not_empty(),
    ),
    ClientOption(
        "partition.assignment.strategy",
        Kind.LIST,
        ("range", "cooperative-sticky"),
        "How the group's leader shares out partitions, best first; members agree on the first that all have. "
        "Only with group.protocol=classic.",
        some_of_at_least_one("range", "roundrobin", "sticky", "cooperative-sticky"),
        aliases={"round-robin": "roundrobin", "cooperative_sticky": "cooperative-sticky"},
    ),
    ClientOption(
        "session.timeout.ms",
        _INT,
        45_000,
        "After how long without a heartbeat the group throws the consumer out. With group.protocol=consumer the broker says.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "heartbeat.interval.ms",
        _INT,
        3_000,
        "Time between heartbeats, which a thread of their own sends; below session.timeout.ms, best a third of it. "
        "With group.protocol=consumer the broker says.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "max.poll.interval.ms",
        _INT,
        300_000,
        "Longest time between two polls; beyond it the consumer leaves the group, and the next call says so.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "enable.auto.commit",
        _BOOL,
        True,  # noqa: FBT003
        "Commit what `poll` has returned, now and then, when partitions are revoked and at `close`. "
        "Without group.id it is false unless set.",
    ),
    ClientOption(
        "auto.commit.interval.ms", _INT, 5_000, "Time between automatic commits, at a poll.", at_least(0), "ms"
    ),
)

_FETCH_ROWS: Final = (
    ClientOption(
        "auto.offset.reset",
        _STRING,
        "latest",
        "Where to begin without a committed offset, or when it isn't there any more: `earliest`, `latest`, or `none`, "
        "an error.",
        one_of("earliest", "latest", "none"),
    ),
    ClientOption("max.poll.records", _INT, 500, "Most records a poll returns unless told otherwise.", at_least(1)),
    ClientOption(
        "fetch.min.bytes",
        _INT,
        1,
        "The broker waits, up to fetch.max.wait.ms, until it has so much.",
        at_least(0),
        "bytes",
    ),
    ClientOption(
        "fetch.max.wait.ms",
        _INT,
        500,
        "How long the broker may wait for fetch.min.bytes; below request.timeout.ms.",
        at_least(0),
        "ms",
    ),
    ClientOption(
        "fetch.max.bytes",
        _INT,
        52_428_800,
        "Most bytes in one answer; a first batch that is larger still comes.",
        at_least(1),
        "bytes",
    ),
    ClientOption(
        "max.partition.fetch.bytes",
        _INT,
        1_048_576,
        "Most bytes of one partition in one answer; a first batch that is larger still comes.",
        at_least(1),
        "bytes",
    ),
    ClientOption(
        "buffer.max.bytes",
        _LONG,
        67_108_864,
        "Most memory for records fetched ahead of `poll`, all partitions together. odradek's own option.",
        at_least(1),
        "bytes",
    ),
    ClientOption(
        "isolation.level",
        _STRING,
        "read_uncommitted",
        "read_committed leaves out records of transactions that are open or aborted.",
        one_of("read_uncommitted", "read_committed"),
    ),
    ClientOption("check.crcs", _BOOL, True, "Verify the checksum of every batch that is read."),  # noqa: FBT003
    ClientOption(
        "client.rack", _STRING, "", "Where this consumer is, so that it may read from a replica nearby (KIP-392)."
    ),
    ClientOption(
        "allow.auto.create.topics",
        _BOOL,
        True,  # noqa: FBT003
        "Let the broker make a topic that is subscribed to and doesn't exist, if the broker does such things.",
    ),
    ClientOption(
        "exclude.internal.topics",
        _BOOL,
        True,  # noqa: FBT003
        "Leave internal topics such as __consumer_offsets out of a subscription by pattern.",
    ),
)

CONSUMER_ROWS: Final = (
    *COMMON_ROWS,
    API_TIMEOUT,
    _deserializer("key"),
    _deserializer("value"),
    *_GROUP_ROWS,
    *_FETCH_ROWS,
)
