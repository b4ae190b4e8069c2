"""The tables of options, parsing of values, and the files settings come from."""

import pytest

from odradek.config.address import Address, parse_address
from odradek.config.broker import BROKER_OPTIONS, BrokerSettings
from odradek.config.definition import Kind, Option, Scope
from odradek.config.files import from_keywords, parse_assignments, parse_properties, read_file
from odradek.config.listeners import advertised_address, listen_address
from odradek.config.topic import TOPIC_OPTIONS, parse_topic_configs
from odradek.errors import ConfigError

ALL = {
    **{("topic", name): row for name, row in TOPIC_OPTIONS.items()},
    **{("broker", name): row for name, row in BROKER_OPTIONS.items()},
}

# The topic options of Apache Kafka 4.3.1, as its DescribeConfigs lists them: name, default, type number.
KAFKA_TOPIC_OPTIONS = """
cleanup.policy delete 7|compression.gzip.level -1 3|compression.lz4.level 9 3|compression.type producer 2
compression.zstd.level 3 3|delete.retention.ms 86400000 5|file.delete.delay.ms 60000 5
flush.messages 9223372036854775807 5|flush.ms 9223372036854775807 5|follower.replication.throttled.replicas  7
index.interval.bytes 4096 3|leader.replication.throttled.replicas  7|local.retention.bytes -2 5|local.retention.ms -2 5
max.compaction.lag.ms 9223372036854775807 5|max.message.bytes 1048588 3|message.timestamp.after.max.ms 3600000 5
message.timestamp.before.max.ms 9223372036854775807 5|message.timestamp.type CreateTime 2
min.cleanable.dirty.ratio 0.5 6|min.compaction.lag.ms 0 5|min.insync.replicas 1 3|preallocate false 1
remote.log.copy.disable false 1|remote.log.delete.on.disable false 1|remote.storage.enable false 1
retention.bytes -1 5|retention.ms 604800000 5|segment.bytes 1073741824 3|segment.index.bytes 10485760 3
segment.jitter.ms 0 5|segment.ms 604800000 5|unclean.leader.election.enable false 1
"""


def test_topic_options_are_those_of_kafka_with_its_defaults_and_types():
    rows = [row.split(" ") for line in KAFKA_TOPIC_OPTIONS.split("\n") if line for row in line.split("|")]
    theirs = {name: (default, int(kind)) for name, default, kind in rows}
    ours = {name: (row.render(row.default), int(row.kind)) for name, row in TOPIC_OPTIONS.items()}
    assert ours == theirs


@pytest.mark.parametrize("option", ALL.values(), ids=[" ".join(key) for key in ALL])
def test_every_option_allows_its_own_default_and_says_what_it_is(option):
    if option.default is not None:
        assert option.parse(option.render(option.default)) == option.default
    assert len(option.doc) > 10
    assert option.doc.endswith(".")
    assert option.allowed()


def test_topic_defaults_name_broker_options_that_exist_and_agree():
    for option in TOPIC_OPTIONS.values():
        for name, _ in option.broker:
            assert name in BROKER_OPTIONS
        if len(option.broker) == 1:
            twin = BROKER_OPTIONS[option.broker[0][0]]
            assert (twin.kind, twin.default) == (option.kind, option.default)
            assert twin.scope is Scope.CLUSTER_WIDE


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", " -1 ", -1),
        ("retention.ms", str(2**63 - 1), 2**63 - 1),
        ("cleanup.policy", "compact, delete", ("compact", "delete")),
        ("cleanup.policy", "", ()),
        ("preallocate", "TRUE", True),
        ("min.cleanable.dirty.ratio", "0.25", 0.25),
        ("compression.gzip.level", "-1", -1),
    ],
)
def test_text_becomes_a_value(name, text, value):
    assert TOPIC_OPTIONS[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("retention.ms", "-2"),
        ("retention.ms", "1.5"),
        ("retention.ms", ""),
        ("retention.ms", "1_000"),
        ("retention.ms", "٣"),
        ("retention.ms", str(2**63)),
        ("max.message.bytes", str(2**31)),
        ("cleanup.policy", "compact,nonsense"),
        ("preallocate", "yes"),
        ("min.cleanable.dirty.ratio", "1.01"),
        ("min.cleanable.dirty.ratio", "nan"),
        ("compression.gzip.level", "0"),
        ("compression.type", "zip"),
        ("segment.bytes", "1048575"),
        ("remote.storage.enable", "true"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_range(name, text):
    with pytest.raises(ConfigError) as refusal:
        TOPIC_OPTIONS[name].parse(text)
    message = str(refusal.value)
    assert name in message
    assert repr(text) in message
    assert TOPIC_OPTIONS[name].allowed() in message


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(ConfigError, match=r"unknown topic config 'retention.m'; did you mean retention.ms"):
        parse_topic_configs({"retention.m": "1"})
    with pytest.raises(ConfigError, match=r"unknown option 'num.partition'; did you mean num.partitions"):
        BrokerSettings({"num.partition": "1"})
    with pytest.raises(ConfigError, match=r"^unknown option 'xyzzy'$"):
        BrokerSettings({"xyzzy": "1"})


@pytest.mark.parametrize("name", ["ssl.keystore.location", "sasl.enabled.mechanisms", "authorizer.class.name"])
def test_security_that_is_not_there_is_refused_not_ignored(name):
    with pytest.raises(ConfigError, match=name):
        BrokerSettings({name: "x"})


@pytest.mark.parametrize(
    "texts",
    [
        {"group.consumer.session.timeout.ms": "70000"},
        {"group.consumer.session.timeout.ms": "46000", "group.consumer.min.session.timeout.ms": "50000"},
        {"group.consumer.heartbeat.interval.ms": "16000"},
        {"group.consumer.heartbeat.interval.ms": "9000", "group.consumer.session.timeout.ms": "9000"},
        {"group.consumer.assignors": ""},
        {"group.consumer.assignors": "sticky"},
        {"group.consumer.migration.policy": "sideways"},
        {"group.coordinator.rebalance.protocols": "consumer"},
    ],
)
def test_settings_of_consumer_groups_that_can_not_be_are_refused(texts):
    with pytest.raises(ConfigError, match=next(iter(texts))):
        BrokerSettings(texts)


def test_consumer_groups_may_be_quicker_than_the_usual_least():
    settings = BrokerSettings(
        {"group.consumer.heartbeat.interval.ms": "300", "group.consumer.session.timeout.ms": "4000"}
    )
    assert settings.number("group.consumer.session.timeout.ms") == 4_000


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match=r"min.compaction.lag.ms"):
        parse_topic_configs({"min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1"})
    with pytest.raises(ConfigError, match=r"group.min.session.timeout.ms"):
        BrokerSettings({"group.min.session.timeout.ms": "2000000"})
    with pytest.raises(ConfigError, match=r"broker.id"):
        BrokerSettings({"broker.id": "1", "node.id": "2"})


def test_older_names_count_where_the_newer_are_not_set():
    settings = BrokerSettings({"broker.id": "4", "log.dir": "/data"})
    assert settings.number("node.id") == 4
    assert settings.words("log.dirs") == ("/data",)


def test_the_engine_is_given_what_has_a_value():
    texts = BrokerSettings({"num.partitions": "3"}).effective_texts()
    assert texts["num.partitions"] == "3"
    assert texts["log.retention.hours"] == "168"
    assert "log.retention.ms" not in texts
    assert all(isinstance(text, str) for text in texts.values())


def test_sensitive_values_are_not_shown_in_errors():
    secret = Option("password", Kind.INT, None, "", sensitive=True)
    with pytest.raises(ConfigError, match="hidden") as refusal:
        secret.parse("hunter2")
    assert "hunter2" not in str(refusal.value)


# Files


def test_java_properties_are_read_as_java_reads_them():
    text = r"""
# comment
! comment too
a=1
b : 2
c 3
d\=e=4
   f   =   5 6
g=first \
   second
h=\u00e4\t\\
empty
a=last wins
i=no # comment
"""
    assert parse_properties(text) == {
        "a": "last wins",
        "b": "2",
        "c": "3",
        "d=e": "4",
        "f": "5 6",
        "g": "first second",
        "h": "ä\t\\",
        "empty": "",
        "i": "no # comment",
    }


def test_toml_tables_become_dotted_names(tmp_path):
    file = tmp_path / "broker.toml"
    file.write_text('num.partitions = 3\n[log]\ndirs = ["/a"]\nretention.hours = 2\n[log.cleaner]\nenable = false\n')
    assert read_file(file) == {
        "num.partitions": "3",
        "log.dirs": "/a",
        "log.retention.hours": "2",
        "log.cleaner.enable": "false",
    }


@pytest.mark.parametrize(("name", "content"), [("a.toml", "x = ["), ("a.properties", None), ("a.properties", b"\xff")])
def test_a_file_that_can_not_be_read_is_named(tmp_path, name, content):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=name):
        read_file(file)


def test_the_server_properties_that_kafka_ships_are_accepted():
    text = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""
    settings = BrokerSettings(parse_properties(text))
    assert listen_address(settings) == Address("", 9092)
    assert advertised_address(settings, Address("", 9092)) == Address("localhost", 9092)


def test_assignments_and_keywords():
    assert parse_assignments(["a.b=c=d", "e="]) == {"a.b": "c=d", "e": ""}
    with pytest.raises(ConfigError, match="'nothing'"):
        parse_assignments(["nothing"])
    assert from_keywords({"num_partitions": 3, "log_cleaner_enable": False, "cleanup_policy": ["a", "b"]}) == {
        "num.partitions": "3",
        "log.cleaner.enable": "false",
        "cleanup.policy": "a,b",
    }


# Listeners


@pytest.mark.parametrize(
    ("text", "address"),
    [("a:1", ("a", 1)), (":0", ("", 0)), ("[::1]:9092", ("::1", 9092)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text, "--listen") == address
    assert parse_address(str(Address(*address)), "--listen") == address


@pytest.mark.parametrize("text", ["", "a", "a:", "a:b", "a:65536", "a:-1", "::1:9092", "a:٣"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match="--listen"):
        parse_address(text, "--listen")


@pytest.mark.parametrize(
    "listeners",
    ["SSL://:9093", "PLAINTEXT://:1,PLAINTEXT://:2", "localhost:9092", "", "PLAINTEXT://:x"],
)
def test_listeners_that_can_not_be_served_are_refused(listeners):
    with pytest.raises(ConfigError, match="listeners"):
        listen_address(BrokerSettings({"listeners": listeners}))


def test_clients_can_not_be_told_to_connect_everywhere():
    settings = BrokerSettings({"advertised.listeners": "PLAINTEXT://0.0.0.0:9092"})
    with pytest.raises(ConfigError, match=r"advertised.listeners"):
        advertised_address(settings, Address("", 9092))


def test_the_kinds_have_the_numbers_of_the_protocol():
    assert [kind.value for kind in Kind] == list(range(1, 10))
