"""The options of a broker that do something here, the defaults they give to topics, and a broker's static settings.

Options that are only accepted for compatibility are in `accepted.py`. What is set at run time lives in the metadata
store, not here. Source of names, defaults and ranges: Kafka `KafkaConfig` and the classes it joins, 4.3.
"""

from __future__ import annotations

from odradek.config.accepted import ACCEPTED_ROWS
from odradek.config.definition import Kind, Option, Scope, Valid, Value, at_least, lookup, some_of
from odradek.config.topic import TOPIC_OPTIONS
from odradek.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

__all__ = ["BROKER_OPTIONS", "BrokerSettings"]

_MAX: Final = 2**63 - 1
_INT_MAX: Final = 2**31 - 1
_INT, _LONG, _BOOL, _STRING, _LIST = Kind.INT, Kind.LONG, Kind.BOOLEAN, Kind.STRING, Kind.LIST
_DYNAMIC: Final = Scope.CLUSTER_WIDE


def _topic_default(name: str, option: Option) -> Option:
    doc = f"Gives {option.name} to topics that don't set it. {option.doc}"
    return Option(
        name,
        option.kind,
        option.default,
        doc,
        option.valid,
        option.unit,
        _DYNAMIC,
        sensitive=option.sensitive,
        inert=option.inert,
    )


_TOPIC_DEFAULTS: Final = {
    option.broker[0][0]: _topic_default(option.broker[0][0], option)
    for option in TOPIC_OPTIONS.values()
    if len(option.broker) == 1
}

_ROWS: Final = (
    # What this broker is and where it listens.
    Option("node.id", _INT, 1, "Number of this broker; its data directory belongs to it.", at_least(0)),
    Option("broker.id", _INT, None, "Older name of node.id.", at_least(0)),
    Option("broker.rack", _STRING, None, "Rack or zone of this broker, told to clients."),
    Option(
        "listeners", _LIST, ("PLAINTEXT://127.0.0.1:9092",), "Where to listen: PLAINTEXT://HOST:PORT; port 0 = any."
    ),
    Option("advertised.listeners", _LIST, (), "What clients are told to connect to, where it differs from listeners."),
    Option("log.dirs", _LIST, (), "The data directory. odradek uses one."),
    Option("log.dir", _LIST, (), "Older name of log.dirs."),
    # Topics.
    Option("auto.create.topics.enable", _BOOL, True, "Make a topic when a client asks for one that isn't there."),  # noqa: FBT003
    Option("delete.topic.enable", _BOOL, True, "Allow topics to be deleted."),  # noqa: FBT003
    Option("num.partitions", _INT, 1, "Partitions of a topic that is made without a number.", at_least(1)),
    Option("default.replication.factor", _INT, 1, "Replicas of a topic that is made without a number.", at_least(1)),
    # Logs.
    Option(
        "log.retention.ms",
        _LONG,
        None,
        "Default of retention.ms; goes before minutes and hours.",
        at_least(-1),
        "ms",
        _DYNAMIC,
    ),
    Option(
        "log.retention.minutes",
        _INT,
        None,
        "As log.retention.ms, in minutes; goes before hours.",
        at_least(-1),
        "minutes",
    ),
    Option("log.retention.hours", _INT, 168, "As log.retention.ms, in hours.", at_least(-1), "hours"),
    Option(
        "log.roll.ms", _LONG, None, "Default of segment.ms; goes before log.roll.hours.", at_least(1), "ms", _DYNAMIC
    ),
    Option("log.roll.hours", _INT, 168, "As log.roll.ms, in hours.", at_least(1), "hours"),
    Option(
        "log.roll.jitter.ms",
        _LONG,
        None,
        "Default of segment.jitter.ms; goes before the hours.",
        at_least(0),
        "ms",
        _DYNAMIC,
    ),
    Option("log.roll.jitter.hours", _INT, 0, "As log.roll.jitter.ms, in hours.", at_least(0), "hours"),
    Option("log.flush.interval.ms", _LONG, None, "Default of flush.ms.", at_least(0), "ms", _DYNAMIC),
    Option(
        "log.flush.scheduler.interval.ms",
        _LONG,
        _MAX,
        "As log.flush.interval.ms where that isn't set.",
        at_least(0),
        "ms",
    ),
    Option(
        "log.flush.offset.checkpoint.interval.ms",
        _INT,
        60_000,
        "How often recovery points are written.",
        at_least(0),
        "ms",
    ),
    Option("log.retention.check.interval.ms", _LONG, 300_000, "How often retention is applied.", at_least(1), "ms"),
    Option("log.cleaner.enable", _BOOL, True, "Run the cleaner of compacted topics."),  # noqa: FBT003
    Option(
        "log.cleaner.backoff.ms", _LONG, 15_000, "How long the cleaner rests when no log is dirty.", at_least(0), "ms"
    ),
    Option(
        "log.cleaner.dedupe.buffer.size",
        _LONG,
        134_217_728,
        "Most memory for the cleaner's map of keys.",
        at_least(1 << 20),
        "bytes",
    ),
    Option(
        "producer.id.expiration.ms",
        _INT,
        86_400_000,
        "How long an idle producer's sequence numbers are remembered.",
        at_least(1),
        "ms",
    ),
    # Network.
    Option(
        "num.network.threads",
        _INT,
        None,
        "Threads that serve connections; by default one fewer than cores, at least 1 and at most 3.",
        at_least(1),
    ),
    Option(
        "socket.request.max.bytes",
        _INT,
        104_857_600,
        "Longest request; a longer one closes its connection.",
        at_least(1),
        "bytes",
    ),
    Option(
        "socket.listen.backlog.size", _INT, 50, "Connections the system may keep waiting to be accepted.", at_least(1)
    ),
    Option(
        "queued.max.requests",
        _INT,
        500,
        "Control requests that may wait; beyond it connections aren't read.",
        at_least(1),
    ),
    Option(
        "queued.max.request.bytes",
        _LONG,
        -1,
        "Bytes of requests being received, all together; -1 = odradek's own limit.",
        at_least(-1),
        "bytes",
    ),
    Option(
        "socket.send.buffer.bytes",
        _INT,
        102_400,
        "Send buffer of each connection; -1 = the system decides.",
        at_least(-1),
        "bytes",
    ),
    Option("connections.max.idle.ms", _LONG, 600_000, "After how long a silent connection is closed.", None, "ms"),
    Option("max.connections", _INT, _INT_MAX, "Most connections at a time.", at_least(0)),
    Option("max.connections.per.ip", _INT, _INT_MAX, "Most connections from one address at a time.", at_least(0)),
    Option(
        "max.incremental.fetch.session.cache.slots",
        _INT,
        1_000,
        "Most fetch sessions that are remembered.",
        at_least(0),
    ),
    Option(
        "fetch.max.bytes", _INT, 57_671_680, "Most bytes of records in one Fetch response.", at_least(1024), "bytes"
    ),
    Option(
        "max.request.partition.size.limit",
        _INT,
        2_000,
        "Most partitions in one DescribeTopicPartitions response.",
        at_least(1),
    ),
    # Groups and their offsets.
    Option(
        "group.initial.rebalance.delay.ms",
        _INT,
        3_000,
        "How long a new group waits for more members.",
        at_least(0),
        "ms",
    ),
    Option(
        "group.min.session.timeout.ms",
        _INT,
        6_000,
        "Shortest session time-out a member may ask for.",
        at_least(0),
        "ms",
    ),
    Option(
        "group.max.session.timeout.ms",
        _INT,
        1_800_000,
        "Longest session time-out a member may ask for.",
        at_least(0),
        "ms",
    ),
    Option("group.max.size", _INT, _INT_MAX, "Most members of a group.", at_least(1)),
    Option(
        "offset.metadata.max.bytes",
        _INT,
        4_096,
        "Longest note that may go with a committed offset.",
        at_least(0),
        "bytes",
    ),
    Option(
        "offsets.retention.minutes",
        _INT,
        10_080,
        "How long offsets outlive the group that committed them.",
        at_least(1),
        "minutes",
    ),
    Option(
        "offsets.retention.check.interval.ms",
        _LONG,
        600_000,
        "How often expired offsets are looked for.",
        at_least(1),
        "ms",
    ),
    Option(
        "offsets.topic.num.partitions",
        _INT,
        50,
        "Partitions of __consumer_offsets; fixed once it is made.",
        at_least(1),
    ),
    Option(
        "offsets.topic.replication.factor",
        Kind.SHORT,
        1,
        "Replicas of __consumer_offsets. Apache Kafka's default is 3; odradek's is 1, as one broker is its usual size.",
        at_least(1),
    ),
    Option(
        "offsets.topic.segment.bytes",
        _INT,
        104_857_600,
        "Segment size of __consumer_offsets.",
        at_least(1 << 20),
        "bytes",
    ),
    Option(
        "group.coordinator.rebalance.protocols",
        _LIST,
        ("classic", "consumer"),
        "Group protocols on offer; without consumer, members of the newer protocol (KIP-848) are refused.",
        some_of("classic", "consumer"),
    ),
    Option(
        "group.consumer.session.timeout.ms",
        _INT,
        45_000,
        "How long a member of the consumer protocol may be silent.",
        at_least(1),
        "ms",
    ),
    Option(
        "group.consumer.min.session.timeout.ms",
        _INT,
        45_000,
        "Least that the session time-out may be.",
        at_least(1),
        "ms",
    ),
    Option(
        "group.consumer.max.session.timeout.ms",
        _INT,
        60_000,
        "Most that the session time-out may be.",
        at_least(1),
        "ms",
    ),
    Option(
        "group.consumer.heartbeat.interval.ms",
        _INT,
        5_000,
        "How often members of the consumer protocol are told to send heartbeats; more often while their group changes.",
        at_least(1),
        "ms",
    ),
    Option(
        "group.consumer.min.heartbeat.interval.ms",
        _INT,
        5_000,
        "Least that the heartbeat interval may be.",
        at_least(1),
        "ms",
    ),
    Option(
        "group.consumer.max.heartbeat.interval.ms",
        _INT,
        15_000,
        "Most that the heartbeat interval may be.",
        at_least(1),
        "ms",
    ),
    Option("group.consumer.max.size", _INT, _INT_MAX, "Most members of a group of the consumer protocol.", at_least(1)),
    Option(
        "group.consumer.assignors",
        _LIST,
        ("uniform", "range"),
        "Assignors that the broker runs for the consumer protocol; the first is the default.",
        some_of("uniform", "range"),
    ),
    Option(
        "group.consumer.migration.policy",
        _STRING,
        "disabled",
        "Which groups with members may change their protocol. Any other than disabled is accepted with a warning: "
        "odradek has no online migration so far; an empty group changes over.",
        Valid(
            "disabled, upgrade, downgrade or bidirectional, in any case",
            lambda value: str(value).lower() in {"disabled", "upgrade", "downgrade", "bidirectional"},
        ),
    ),
)

BROKER_OPTIONS: Final[dict[str, Option]] = {
    **{row.name: row for row in _ROWS},
    **_TOPIC_DEFAULTS,
    **{row.name: row for row in ACCEPTED_ROWS},
}


class BrokerSettings:
    """What file, command line or keyword arguments set, parsed; immutable.

    Args:
        texts: values by Kafka's names.

    Raises:
        ConfigError: an unknown name, a bad value, or values that contradict each other.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts: Final[dict[str, str]] = dict(texts)
        self._values = {name: lookup(BROKER_OPTIONS, name, "option").parse(text) for name, text in texts.items()}
        for new, old in (("node.id", "broker.id"), ("log.dirs", "log.dir")):
            if old in texts and self._values.setdefault(new, self._values[old]) != self._values[old]:
                raise ConfigError(f"{old}: {texts[old]!r} contradicts {new}, {texts[new]!r}")
        self._check_session_timeouts()
        self._check_consumer_groups()

    def __getitem__(self, name: str) -> Value:
        """Return what is set, or the default."""
        return self._values[name] if name in self._values else BROKER_OPTIONS[name].default

    def number(self, name: str) -> int:
        """Return an integer option."""
        value = self[name]
        if not isinstance(value, int):
            raise TypeError(f"{name} is no integer option or has no value")
        return value

    def flag(self, name: str) -> bool:
        """Return an option that is true or false."""
        return self[name] is True

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list option."""
        value = self[name]
        if not isinstance(value, tuple):
            raise TypeError(f"{name} is no list option")
        return value

    def effective_texts(self) -> dict[str, str]:
        """Return every option that has a value, as text: what the engine is given."""
        rendered = {name: option.render(self[name]) for name, option in BROKER_OPTIONS.items()}
        return {name: text for name, text in rendered.items() if text is not None}

    def _check_session_timeouts(self) -> None:
        low, high = self.number("group.min.session.timeout.ms"), self.number("group.max.session.timeout.ms")
        if low > high:
            raise ConfigError(f"group.min.session.timeout.ms: {low} is above group.max.session.timeout.ms, {high}")

    def _check_consumer_groups(self) -> None:
        for what in ("session.timeout.ms", "heartbeat.interval.ms"):
            name, low, high = (f"group.consumer.{kind}{what}" for kind in ("", "min.", "max."))
            value, least, most = self.number(name), self.number(low), self.number(high)
            if value < least and low not in self.texts:
                continue  # who asks for less than the usual least means it
            if not least <= value <= most:
                raise ConfigError(f"{name}: {value} is not within {low}, {least}, and {high}, {most}")
        if self.number("group.consumer.heartbeat.interval.ms") >= self.number("group.consumer.session.timeout.ms"):
            raise ConfigError(
                "group.consumer.heartbeat.interval.ms: it must be below group.consumer.session.timeout.ms"
            )
        if not self.words("group.consumer.assignors"):
            raise ConfigError("group.consumer.assignors: at least one is needed")
        if "classic" not in self.words("group.coordinator.rebalance.protocols"):
            raise ConfigError("group.coordinator.rebalance.protocols: classic can't be left out")
