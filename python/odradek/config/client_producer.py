"""The options of `Producer`. Source of names, defaults and ranges: Kafka `ProducerConfig`, 4.3."""

from typing import Final

from odradek.config.client_common import COMMON_ROWS
from odradek.config.client_definition import SERIALIZERS, ClientOption
from odradek.config.definition import Kind, at_least, between, one_of

__all__ = ["PRODUCER_ROWS"]

_INT, _LONG, _BOOL, _STRING = Kind.INT, Kind.LONG, Kind.BOOLEAN, Kind.STRING
_INT_MAX: Final = 2**31 - 1


def _serializer(what: str) -> ClientOption:
    return ClientOption(
        f"{what}.serializer",
        Kind.CLASS,
        "none",
        f"How a {what} becomes bytes: `none` (it is bytes, or None), `str` (UTF-8), `int` (8 bytes, big-endian), "
        "`float` (IEEE 754, 8 bytes, big-endian), `json` (UTF-8), or a callable that is given the object "
        "and returns bytes.",
        one_of(*SERIALIZERS),
        aliases={"bytes": "none"},
        callables=True,
    )


PRODUCER_ROWS: Final = (
    *COMMON_ROWS,
    _serializer("key"),
    _serializer("value"),
    ClientOption(
        "acks",
        _STRING,
        "all",
        "Who must have a record before it counts as sent: 0 nobody, 1 the leader, all every replica in sync.",
        one_of("all", "1", "0"),
        aliases={"-1": "all"},
    ),
    ClientOption(
        "enable.idempotence",
        _BOOL,
        True,  # noqa: FBT003
        "No duplicates and no reordering by retries. Needs acks=all, retries above 0 and at most 5 requests in "
        "flight; unless set, it gives way to those.",
    ),
    ClientOption(
        "retries",
        _INT,
        _INT_MAX,
        "How often sending a batch is tried again; delivery.timeout.ms is the better bound.",
        at_least(0),
    ),
    ClientOption(
        "delivery.timeout.ms",
        _INT,
        120_000,
        "After how long a record that nobody has confirmed fails; at least linger.ms + request.timeout.ms.",
        at_least(1),
        "ms",
    ),
    ClientOption("linger.ms", _LONG, 5, "How long a batch waits for more records.", at_least(0), "ms"),
    ClientOption(
        "batch.size",
        _INT,
        16_384,
        "Size at which a batch is sent without further waiting; a larger record makes a batch of its own.",
        at_least(0),
        "bytes",
    ),
    ClientOption(
        "buffer.memory",
        _LONG,
        33_554_432,
        "Most memory for records not yet sent; beyond it `send` waits, up to max.block.ms.",
        at_least(1),
        "bytes",
    ),
    ClientOption(
        "max.block.ms",
        _LONG,
        60_000,
        "How long `send` may wait for memory or for a topic's metadata before it raises.",
        at_least(0),
        "ms",
    ),
    ClientOption(
        "max.in.flight.requests.per.connection",
        _INT,
        5,
        "Most unanswered requests to one broker. Above 1 without idempotence, a retry may change the order.",
        at_least(1),
    ),
    ClientOption(
        "max.request.size",
        _INT,
        1_048_576,
        "Largest record (before compression), and largest request.",
        at_least(1),
        "bytes",
    ),
    ClientOption(
        "compression.type",
        _STRING,
        "none",
        "How batches are compressed.",
        one_of("none", "gzip", "snappy", "lz4", "zstd"),
    ),
    ClientOption("compression.gzip.level", _INT, -1, "Effort of gzip; -1 = its own default.", between(1, 9, also=-1)),
    ClientOption(
        "compression.lz4.level",
        _INT,
        9,
        "Taken, but without effect: this lz4 has one effort, the least.",
        between(1, 17),
    ),
    ClientOption(
        "compression.zstd.level", _INT, 3, "Effort of zstd; below 0 is faster and larger.", between(-131_072, 22)
    ),
    ClientOption(
        "partitioner",
        Kind.CLASS,
        "default",
        "Which partition a record goes to: `default` (murmur2 hash of the key, as Java's client; without a key, a "
        "random partition a batch), `round-robin` (in turn, keys ignored), or a callable "
        "`(topic, key, value, partition_count) -> int`, given key and value as bytes.",
        one_of("default", "round-robin"),
        aliases={"round_robin": "round-robin", "roundrobin": "round-robin"},
        callables=True,
    ),
)
