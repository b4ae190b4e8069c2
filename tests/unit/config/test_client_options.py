"""The clients' options: the tables, values, unknown names, and options that bound each other."""

import json
import logging

import pytest

from odradek.config.client import CLIENT_OPTIONS, resolve, resolve_config
from odradek.config.client_absent import _NAMES, _PREFIXES, advice
from odradek.errors import ConfigError

ALL = {(kind, name): row for kind, table in CLIENT_OPTIONS.items() for name, row in table.items()}
SERVER = "localhost:9092"

# What Apache Kafka 4.3.1's ProducerConfig, ConsumerConfig and AdminClientConfig list, for the names we share.
KAFKA = {
    "producer": """
acks all|batch.size 16384|buffer.memory 33554432|compression.gzip.level -1|compression.lz4.level 9
compression.type none|compression.zstd.level 3|connections.max.idle.ms 540000|delivery.timeout.ms 120000
enable.idempotence true|linger.ms 5|max.block.ms 60000|max.in.flight.requests.per.connection 5
max.request.size 1048576|metadata.max.age.ms 300000|reconnect.backoff.max.ms 1000|reconnect.backoff.ms 50
request.timeout.ms 30000|retries 2147483647|retry.backoff.max.ms 1000|retry.backoff.ms 100
security.protocol PLAINTEXT|socket.connection.setup.timeout.max.ms 30000|socket.connection.setup.timeout.ms 10000
""",
    "consumer": """
allow.auto.create.topics true|auto.commit.interval.ms 5000|auto.offset.reset latest|check.crcs true
connections.max.idle.ms 540000|default.api.timeout.ms 60000|enable.auto.commit true|exclude.internal.topics true
fetch.max.bytes 52428800|fetch.max.wait.ms 500|fetch.min.bytes 1|group.protocol classic|heartbeat.interval.ms 3000
isolation.level read_uncommitted|max.partition.fetch.bytes 1048576|max.poll.interval.ms 300000|max.poll.records 500
metadata.max.age.ms 300000|partition.assignment.strategy range,cooperative-sticky|reconnect.backoff.max.ms 1000
reconnect.backoff.ms 50|request.timeout.ms 30000|retry.backoff.max.ms 1000|retry.backoff.ms 100
security.protocol PLAINTEXT|session.timeout.ms 45000|socket.connection.setup.timeout.max.ms 30000
socket.connection.setup.timeout.ms 10000|client.rack |group.id None|group.instance.id None
group.remote.assignor None
""",
    "admin": """
default.api.timeout.ms 60000|metadata.max.age.ms 300000|reconnect.backoff.max.ms 1000|reconnect.backoff.ms 50
request.timeout.ms 30000|retry.backoff.max.ms 1000|retry.backoff.ms 100|security.protocol PLAINTEXT
socket.connection.setup.timeout.max.ms 30000|socket.connection.setup.timeout.ms 10000
""",
}
OURS = {
    "bootstrap.servers": "has no default",
    "client.id": "Kafka's is made up from a counter",
    "buffer.max.bytes": "odradek's own",
    "partitioner": "odradek's own",
    "send.buffer.bytes": "the system sizes buffers better than a constant",
    "receive.buffer.bytes": "likewise",
    "connections.max.idle.ms": "Kafka's admin client has another default than its producer",
    **{f"{what}.{way}": "no default in Kafka" for what in ("key", "value") for way in ("serializer", "deserializer")},
}


@pytest.mark.parametrize("kind", CLIENT_OPTIONS)
def test_defaults_are_kafkas_except_where_the_list_above_says_why(kind):
    rows = [row.partition(" ") for line in KAFKA[kind].split("\n") if line for row in line.split("|")]
    theirs = {name: default for name, _, default in rows}
    ours = {name: str(row.render(row.default)) for name, row in CLIENT_OPTIONS[kind].items()}
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) - set(OURS) == set()


@pytest.mark.parametrize("option", ALL.values(), ids=[" ".join(key) for key in ALL])
def test_every_option_allows_its_own_default_as_value_and_as_text_and_says_what_it_is(option):
    if option.default is not None:
        assert option.accept(option.default, option.name) == option.default
        assert option.accept(option.render(option.default), option.name) == option.default
    assert len(option.doc) > 10
    assert option.doc.endswith(".")
    assert option.allowed()


def test_no_option_that_exists_is_called_absent():
    names = {name for _, name in ALL}
    assert names & set(_NAMES) == set()
    excepted = {"security.protocol"}
    assert {name for name in names - excepted for prefix in _PREFIXES if name.startswith(prefix)} == set()


@pytest.mark.parametrize(
    ("kind", "keyword", "value", "dotted", "expected"),
    [
        ("producer", "linger_ms", 20, "linger.ms", 20),
        ("producer", "linger_ms", " 20 ", "linger.ms", 20),
        ("producer", "acks", -1, "acks", "all"),
        ("producer", "acks", 1, "acks", "1"),
        ("producer", "acks", "0", "acks", "0"),
        ("producer", "acks", None, "acks", "all"),
        ("producer", "partitioner", "round_robin", "partitioner", "round-robin"),
        ("producer", "value_serializer", str, "value.serializer", "str"),
        ("producer", "value_serializer", "json", "value.serializer", "json"),
        ("producer", "key_serializer", bytes, "key.serializer", "none"),
        ("consumer", "enable_auto_commit", False, "enable.auto.commit", False),
        ("consumer", "enable_auto_commit", "False", "enable.auto.commit", False),
        (
            "consumer",
            "partition_assignment_strategy",
            ["sticky", "round-robin"],
            "partition.assignment.strategy",
            ("sticky", "roundrobin"),
        ),
        (
            "consumer",
            "partition_assignment_strategy",
            "range, sticky",
            "partition.assignment.strategy",
            ("range", "sticky"),
        ),
        ("consumer", "group_protocol", "CONSUMER", "group.protocol", "consumer"),
        ("admin", "client_id", "me", "client.id", "me"),
    ],
)
def test_a_value_is_taken_as_python_has_it_or_as_text(kind, keyword, value, dotted, expected):
    assert resolve(kind, SERVER, {keyword: value})[dotted] == expected


@pytest.mark.parametrize(
    ("kind", "keyword", "value", "allowed"),
    [
        ("producer", "linger_ms", -1, "0 or more"),
        ("producer", "linger_ms", 0.5, "an integer"),
        ("producer", "linger_ms", True, "an integer"),
        ("producer", "batch_size", 2**31, "32 bits"),
        ("producer", "acks", 2, "one of all, 1, 0"),
        ("producer", "acks", True, "one of all, 1, 0"),
        ("producer", "compression_type", "brotli", "zstd"),
        ("producer", "compression_type", 3, "zstd"),
        ("producer", "compression_gzip_level", 0, "1 to 9, or -1"),
        ("producer", "max_in_flight_requests_per_connection", 0, "1 or more"),
        ("producer", "enable_idempotence", 1, "true or false"),
        ("producer", "value_serializer", 5, "or a callable"),
        ("producer", "value_serializer", "yaml", "or a callable"),
        ("producer", "value_serializer", "org.apache.kafka.common.serialization.StringSerializer", "Java class"),
        ("producer", "partitioner", "sticky", "round-robin, or a callable"),
        ("producer", "security_protocol", "SASL_SSL", "not supported yet"),
        ("consumer", "auto_offset_reset", "smallest", "earliest"),
        ("consumer", "group_id", "", "isn't empty"),
        ("consumer", "group_protocol", "modern", "one of classic, consumer"),
        ("consumer", "group_remote_assignor", "", "isn't empty"),
        ("consumer", "partition_assignment_strategy", [], "cooperative-sticky"),
        ("consumer", "partition_assignment_strategy", ["range", "range"], "each once"),
        ("consumer", "partition_assignment_strategy", "org.apache.kafka.clients.consumer.RangeAssignor", "Java class"),
        ("consumer", "partition_assignment_strategy", [b"range"], "range"),
        ("admin", "client_id", object(), "any text"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_what_is_allowed(kind, keyword, value, allowed):
    with pytest.raises(ConfigError) as refusal:
        resolve(kind, SERVER, {keyword: value})
    shown = repr(value) if not isinstance(value, list) else str(value[0] if value else "()")
    assert str(refusal.value).startswith(f"{keyword}: ")
    assert allowed in str(refusal.value)
    assert shown in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "keyword", "told"),
    [
        ("producer", "linger", "did you mean linger_ms?"),
        ("producer", "compresion_type", "did you mean compression_type?"),
        ("producer", "linger.ms", "did you mean linger_ms?"),
        ("producer", "group_id", "an option of Consumer, not of Producer"),
        ("admin", "retries", "an option of Producer, not of Admin"),
        ("producer", "transactional_id", "not supported yet"),
        ("consumer", "sasl_mechanism", "not supported yet"),
        ("consumer", "ssl_context", "not supported yet"),
        ("producer", "queue_buffering_max_ms", "use linger.ms"),
        ("consumer", "enable_auto_offset_store", "commit({partition: offset})"),
        ("consumer", "consumer_timeout_ms", "give poll() a timeout"),
        ("producer", "on_delivery", "give on_delivery to send()"),
        ("producer", "stats_cb", "metrics()"),
        ("producer", "zzz", "docs/client-options.md lists all"),
    ],
)
def test_an_unknown_keyword_is_refused_with_what_to_use(kind, keyword, told):
    with pytest.raises(ConfigError) as refusal:
        resolve(kind, SERVER, {keyword: 1})
    assert keyword in str(refusal.value)
    assert told in str(refusal.value)


def test_dotted_names_take_text_and_refuse_underscores():
    options = resolve_config(
        "consumer",
        {"bootstrap.servers": "a:1,b:2", "max.poll.records": "7", "check.crcs": "false", "group.id": "g"},
    )
    assert options.number("max.poll.records") == 7
    assert not options.flag("check.crcs")
    assert options.bootstrap == (("a", 1), ("b", 2))
    with pytest.raises(ConfigError, match=r"unknown option 'linger_ms'; did you mean linger\.ms\?"):
        resolve_config("producer", {"bootstrap.servers": SERVER, "linger_ms": 3})
    with pytest.raises(ConfigError, match=r"bootstrap\.servers is missing"):
        resolve_config("producer", {"linger.ms": 3})
    with pytest.raises(ConfigError, match=r"^key\.serializer: .* names a Java class.*json, or a callable"):
        resolve_config("producer", {"bootstrap.servers": SERVER, "key.serializer": "org.acme.io.AvroSerializer"})


def test_callables_are_kept_apart_from_text():
    options = resolve("producer", SERVER, {"value_serializer": json.dumps, "partitioner": lambda *_: 0})
    assert options.callables["value.serializer"] is json.dumps
    assert set(options.callables) == {"value.serializer", "partitioner"}
    assert options["partitioner"] is None
    assert "partitioner" not in options.texts
    assert options.texts["key.serializer"] == "none"
    with pytest.raises(ConfigError, match="linger_ms"):
        resolve("producer", SERVER, {"linger_ms": lambda: 5})


def test_texts_read_back_to_the_same_options():
    options = resolve("consumer", ["[::1]:9092", "h:1"], {"group_id": "g", "partition_assignment_strategy": ["sticky"]})
    again = resolve_config("consumer", options.texts)
    assert again.values == options.values
    assert options.texts["bootstrap.servers"] == "[::1]:9092,h:1"
    assert options.explicit == {"group.id", "partition.assignment.strategy"}
    assert options.seconds("session.timeout.ms") == 45.0
    assert options.words("partition.assignment.strategy") == ("sticky",)
    assert options.text("group.instance.id") is None


@pytest.mark.parametrize(
    ("kind", "keywords", "told"),
    [
        ("producer", {"enable_idempotence": True, "acks": 1}, r"enable_idempotence: True contradicts acks=1"),
        ("producer", {"enable_idempotence": True, "retries": 0}, "retries=0 .must be above 0"),
        ("producer", {"enable_idempotence": True, "max_in_flight_requests_per_connection": 6}, "at most 5"),
        ("producer", {"delivery_timeout_ms": 5000}, r"below linger_ms \+ request_timeout_ms, 5 \+ 30000"),
        ("producer", {"batch_size": 2000, "buffer_memory": 1000}, "batch_size: 2000 is above buffer_memory, 1000"),
        ("producer", {"retry_backoff_ms": 5, "retry_backoff_max_ms": 4}, "retry_backoff_ms: 5 is above"),
        ("consumer", {"heartbeat_interval_ms": 6000, "session_timeout_ms": 6000}, "must be below session_timeout_ms"),
        ("consumer", {"fetch_max_wait_ms": 30000}, "must be below request_timeout_ms, 30000"),
        ("consumer", {"fetch_max_bytes": 9000, "buffer_max_bytes": 8000}, "fetch_max_bytes: 9000 is above buffer_max"),
        ("consumer", {"fetch_min_bytes": 9000, "buffer_max_bytes": 8000}, "fetch_min_bytes: 9000 is above buffer_max"),
        ("consumer", {"group_instance_id": "a"}, "needs group_id"),
        ("consumer", {"enable_auto_commit": True}, "needs group_id"),
        (
            "consumer",
            {"group_remote_assignor": "range"},
            "group_remote_assignor: can't be set with group_protocol=classic",
        ),
        *(
            (
                "consumer",
                {"group_protocol": "consumer", name: value},
                f"{name}: can't be set with group_protocol=consumer",
            )
            for name, value in (
                ("partition_assignment_strategy", ["range"]),
                ("session_timeout_ms", 45_000),
                ("heartbeat_interval_ms", 3_000),
            )
        ),
        ("admin", {"request_timeout_ms": 9, "default_api_timeout_ms": 8}, "request_timeout_ms: 9 is above default_api"),
    ],
)
def test_options_that_contradict_each_other_are_refused(kind, keywords, told):
    with pytest.raises(ConfigError, match=told):
        resolve(kind, SERVER, keywords)


@pytest.mark.parametrize(
    ("kind", "keywords", "name", "follows"),
    [
        ("producer", {"retry_backoff_ms": 3000}, "retry.backoff.max.ms", 3000),
        ("producer", {"retry_backoff_max_ms": 30}, "retry.backoff.ms", 30),
        ("producer", {"buffer_memory": 1000}, "batch.size", 1000),
        ("producer", {"linger_ms": 100_000}, "delivery.timeout.ms", 130_000),
        ("consumer", {"buffer_max_bytes": 1_000_000}, "fetch.max.bytes", 1_000_000),
        ("consumer", {"buffer_max_bytes": 1_000_000}, "max.partition.fetch.bytes", 1_000_000),
        ("consumer", {"fetch_max_bytes": 100_000_000}, "buffer.max.bytes", 100_000_000),
        ("consumer", {}, "enable.auto.commit", False),
        ("consumer", {"group_id": "g"}, "enable.auto.commit", True),
        ("admin", {"default_api_timeout_ms": 500}, "request.timeout.ms", 500),
    ],
)
def test_a_default_follows_the_option_that_was_set(kind, keywords, name, follows):
    assert resolve(kind, SERVER, keywords)[name] == follows


def test_idempotence_gives_way_to_what_was_asked_for_and_the_log_says_so(caplog):
    with caplog.at_level(logging.INFO, logger="odradek"):
        assert not resolve("producer", SERVER, {"acks": 1}).flag("enable.idempotence")
    assert [record.name for record in caplog.records] == ["odradek.client.options"]
    assert "acks=1" in caplog.text
    assert resolve("producer", SERVER, {"acks": "all"}).flag("enable.idempotence")


def test_advice_knows_nothing_of_names_that_nobody_has():
    assert advice("no.such.name") is None
