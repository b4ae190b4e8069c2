"""`odradek topics` and `odradek configs` against a broker."""

from collections.abc import Callable

from cli_support import Outcome

Run = Callable[..., Outcome]


def test_created_topic_is_listed_and_described(run: Run, name: str) -> None:
    created = run("topics", "create", name, "--partitions", "3", "--config", "retention.ms=1234567")
    assert (created.code, created.out) == (0, f"created topic {name}\n")
    assert name in run("topics", "list").out.splitlines()
    [described] = run("topics", "describe", name, "--json").json
    assert described["name"] == name
    assert described["configs"]["retention.ms"] == "1234567"
    assert [partition["partition"] for partition in described["partitions"]] == [0, 1, 2]
    assert all(partition["leader"] in partition["isr"] for partition in described["partitions"])


def test_describe_prints_a_row_for_each_partition(run: Run, topic: str) -> None:
    lines = run("topics", "describe", topic).out.splitlines()
    assert lines[0].startswith(f"Topic: {topic}  Id: ")
    assert lines[1].split() == ["PARTITION", "LEADER", "REPLICAS", "ISR"]
    assert [line.split()[0] for line in lines[2:]] == ["0", "1"]


def test_list_hides_internal_topics_unless_asked(run: Run, topic: str, name: str) -> None:
    run("consume", topic, "--group", name, "--exit-at-end")  # makes the offsets topic
    assert "__consumer_offsets" not in run("topics", "list").out.splitlines()
    assert "__consumer_offsets" in run("topics", "list", "--internal").out.splitlines()


def test_creating_a_topic_twice_fails_unless_told_otherwise(run: Run, topic: str) -> None:
    again = run("topics", "create", topic)
    assert again.code == 1
    assert "TOPIC_ALREADY_EXISTS" in again.error_line
    assert run("topics", "create", topic, "--if-not-exists").code == 0


def test_bad_topic_config_is_refused_with_its_name_and_nothing_is_created(run: Run, name: str) -> None:
    refused = run("topics", "create", name, "--config", "retention.ms=abc")
    assert refused.code == 1
    assert "retention.ms" in refused.error_line
    assert name not in run("topics", "list").out.splitlines()


def test_more_replicas_than_brokers_are_refused(run: Run, name: str) -> None:
    refused = run("topics", "create", name, "--replication-factor", "9")
    assert refused.code == 1
    assert "INVALID_REPLICATION_FACTOR" in refused.error_line


def test_invalid_topic_name_is_refused(run: Run) -> None:
    refused = run("topics", "create", "not a name")
    assert refused.code == 1
    assert "INVALID_TOPIC_EXCEPTION" in refused.error_line


def test_partitions_grow_and_never_shrink(run: Run, topic: str) -> None:
    assert run("topics", "alter", topic, "--partitions", "5").code == 0
    refused = run("topics", "alter", topic, "--partitions", "4")
    assert refused.code == 1
    assert "INVALID_PARTITIONS" in refused.error_line
    [described] = run("topics", "describe", topic, "--json").json
    assert described["partition_count"] == 5


def test_alter_changes_only_the_settings_it_names(run: Run, topic: str) -> None:
    run("topics", "alter", topic, "--config", "retention.ms=1000", "--config", "segment.bytes=1048576")
    assert run("topics", "alter", topic, "--delete-config", "retention.ms").code == 0
    [described] = run("topics", "describe", topic, "--json").json
    assert described["configs"] == {"segment.bytes": "1048576"}


def test_deleted_topic_is_gone(run: Run, topic: str) -> None:
    assert run("topics", "delete", topic).out == f"deleted topic {topic}\n"
    assert topic not in run("topics", "list").out.splitlines()
    again = run("topics", "delete", topic)
    assert again.code == 1
    assert "UNKNOWN_TOPIC_OR_PARTITION" in again.error_line
    assert run("topics", "delete", topic, "--if-exists").code == 0


def test_describing_an_unknown_topic_says_where_to_look(run: Run, name: str) -> None:
    refused = run("topics", "describe", name)
    assert refused.code == 1
    assert f"topic {name}" in refused.error_line
    assert "odradek topics list" in refused.error_line


def test_configs_show_what_was_set_and_with_all_the_defaults_too(run: Run, topic: str) -> None:
    assert run("configs", "alter", "--topic", topic, "--add-config", "cleanup.policy=compact").code == 0
    changed = run("configs", "describe", "--topic", topic, "--json").json
    assert [(row["name"], row["value"], row["source"]) for row in changed] == [("cleanup.policy", "compact", "topic")]
    everything = {row["name"]: row for row in run("configs", "describe", "--topic", topic, "--all", "--json").json}
    assert everything["cleanup.policy"]["value"] == "compact"
    assert everything["retention.ms"]["source"] == "default"
    assert run("configs", "alter", "--topic", topic, "--delete-config", "cleanup.policy").code == 0
    assert run("configs", "describe", "--topic", topic, "--json").json == []


def test_unknown_setting_is_refused(run: Run, topic: str) -> None:
    refused = run("configs", "alter", "--topic", topic, "--add-config", "no.such.setting=1")
    assert refused.code == 1
    assert "no.such.setting" in refused.error_line


def test_broker_configs_are_described(run: Run, topic: str) -> None:
    [described] = run("topics", "describe", topic, "--json").json
    broker = str(described["partitions"][0]["leader"])
    settings = {row["name"] for row in run("configs", "describe", "--broker", broker, "--all", "--json").json}
    assert {"num.partitions", "log.retention.ms"} <= settings
