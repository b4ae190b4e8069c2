"""The admin client against a real broker: every call, its errors, and both twins.

Apache Kafka answers a change before all that read it see it: what is looked at afterwards is waited for.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from group_members import Librdkafka, until
from support import topics

import odradek
import odradek.aio
from odradek import ConfigAppend, ConfigResource, ConfigSubtract, MemberToRemove, NewTopic, OffsetAndMetadata
from odradek import TopicPartition as At
from odradek.client.admin.values import CreatedTopic
from odradek.errors import (
    ConfigError,
    ErrorCode,
    GroupIdNotFoundError,
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidTopicError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

pytestmark = pytest.mark.brokers("odradek", "kafka")

Unique = Callable[[str], str]


@pytest.fixture
def admin(bootstrap: str) -> Iterator[odradek.Admin]:
    with odradek.Admin(bootstrap) as made:
        yield made


def create(admin: odradek.Admin, *new: NewTopic | str) -> dict[str, CreatedTopic]:
    """Create topics and wait until they are seen."""
    made = admin.create_topics(new)
    topics.until(lambda: made.keys() <= admin.list_topics().keys())
    return made


def values(admin: odradek.Admin, resource: ConfigResource, *names: str) -> dict[str, str | None]:
    found = admin.describe_configs(resource, names=names)[resource]
    return {name: entry.value for name, entry in found.items()}


def test_topics_are_made_listed_described_grown_and_deleted(admin: odradek.Admin, unique: Unique) -> None:
    one, two = unique("one"), unique("two")
    made = create(admin, NewTopic(one, 2, configs={"retention.ms": "5000"}), two)
    assert (made[one].partitions, made[one].replication_factor) == (2, 1)
    assert made[one].configs["retention.ms"] == "5000"
    assert {one, two} <= admin.list_topics().keys()
    described = admin.describe_topics([one, two])
    [first, second] = described[one].partitions
    assert (first.partition, second.partition) == (0, 1)
    assert first.leader in first.isr == first.replicas
    assert described[one].topic_id == made[one].topic_id
    admin.create_partitions({one: 5})
    topics.until(lambda: len(admin.describe_topics(one)[one].partitions) == 5)
    admin.delete_topics([one, two])
    topics.until(lambda: not {one, two} & admin.list_topics().keys())


def test_topics_go_by_id_as_well(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("by-id")
    identity = create(admin, name)[name].topic_id
    assert identity is not None
    assert admin.describe_topics(identity)[identity].name == name
    assert admin.delete_topics(identity) == {identity: None}
    topics.until(lambda: name not in admin.list_topics())
    with pytest.raises(KafkaError) as caught:
        admin.describe_topics(identity)
    assert caught.value.error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_replicas_can_be_assigned(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("assigned")
    node = next(iter(admin.describe_cluster().brokers))
    create(admin, NewTopic(name, assignments={0: [node], 1: [node]}))
    assert [partition.replicas for partition in admin.describe_topics(name)[name].partitions] == [(node,), (node,)]


def test_validating_makes_nothing(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("valid")
    admin.create_topics(NewTopic(name, 3), validate_only=True)
    assert name not in admin.list_topics()
    with pytest.raises(InvalidTopicError):
        admin.create_topics("no such/name", validate_only=True)


def test_of_several_the_first_error_is_raised_with_all_the_others_and_the_rest_is_done(
    admin: odradek.Admin, unique: Unique
) -> None:
    there, fresh = unique("there"), unique("fresh")
    create(admin, there)
    with pytest.raises(TopicAlreadyExistsError, match=there) as caught:
        admin.create_topics([there, fresh, NewTopic(unique("none"), partitions=0)])
    assert len(caught.value.errors) == 2
    assert isinstance(caught.value.errors[there], TopicAlreadyExistsError)
    assert caught.value.results.keys() == {fresh}
    topics.until(lambda: fresh in admin.list_topics())


def test_what_is_not_there_is_said_by_name(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("absent")
    for call in (
        lambda: admin.describe_topics(name),
        lambda: admin.delete_topics(name),
        lambda: admin.create_partitions({name: 3}),
        lambda: admin.list_offsets({At(name, 0): "latest"}),
        lambda: admin.delete_records({At(name, 0): 0}),
        lambda: admin.describe_configs(ConfigResource("topic", name)),
    ):
        with pytest.raises(UnknownTopicOrPartitionError, match=name):
            call()
    for call in (lambda: admin.describe_groups(name), lambda: admin.delete_groups(name)):
        with pytest.raises(GroupIdNotFoundError, match=name):
            call()
    assert name not in admin.list_topics(), "asking made the topic"


def test_partitions_do_not_become_fewer(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("shrink")
    create(admin, NewTopic(name, 3))
    with pytest.raises(InvalidPartitionsError):
        admin.create_partitions({name: 2})


def test_settings_are_changed_one_by_one(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("settings")
    topic = ConfigResource("topic", name)
    create(admin, NewTopic(name, configs={"retention.ms": "5000"}))
    admin.alter_configs({topic: {"cleanup.policy": ConfigAppend("compact"), "max.message.bytes": 1234}})
    asked = ("cleanup.policy", "max.message.bytes", "retention.ms")
    wanted = dict(zip(asked, ("delete,compact", "1234", "5000"), strict=True))
    topics.until(lambda: values(admin, topic, *asked) == wanted)
    changes = {"cleanup.policy": ConfigSubtract("delete"), "retention.ms": None, "preallocate": True}
    admin.alter_configs({topic: changes}, validate_only=True)
    assert values(admin, topic, "cleanup.policy") == {"cleanup.policy": "delete,compact"}
    admin.alter_configs({topic: changes})
    topics.until(lambda: values(admin, topic, "preallocate") == {"preallocate": "true"})
    found = admin.describe_configs(topic)[topic]
    assert (found["cleanup.policy"].value, found["preallocate"].value) == ("compact", "true")
    assert found["retention.ms"].is_default
    assert (found["max.message.bytes"].source, found["max.message.bytes"].type) == ("topic", "int")
    with pytest.raises(InvalidConfigError, match=name):
        admin.alter_configs({topic: {"retention.ms": "soon"}})


def test_synonyms_and_documentation_come_when_asked_for(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("synonyms")
    topic = ConfigResource("topic", name)
    create(admin, NewTopic(name, configs={"retention.ms": "5000"}))
    plain = admin.describe_configs(topic, names=["retention.ms"])[topic]["retention.ms"]
    assert (plain.synonyms, plain.documentation) == ((), None)
    full = admin.describe_configs(topic, names=["retention.ms"], include_synonyms=True, include_documentation=True)
    entry = full[topic]["retention.ms"]
    assert [entry.synonyms[0].name, entry.synonyms[0].value, entry.synonyms[0].source] == [
        "retention.ms",
        "5000",
        "topic",
    ]
    assert entry.documentation


def test_a_broker_is_asked_for_its_own_settings(admin: odradek.Admin, unique: Unique) -> None:
    node = next(iter(admin.describe_cluster().brokers))
    name = unique("beside")
    create(admin, name)
    broker, topic = ConfigResource("broker", str(node)), ConfigResource("topic", name)
    both = admin.describe_configs([broker, topic])
    assert both[broker]["node.id"].value == str(node)
    assert "retention.ms" in both[topic]
    assert {broker, topic} <= set(admin.list_config_resources())
    assert admin.list_config_resources(["broker"]) == [broker]


def test_cluster_versions_and_log_directories(admin: odradek.Admin, unique: Unique) -> None:
    name = unique("sized")
    create(admin, NewTopic(name, 2))
    cluster = admin.describe_cluster()
    assert cluster.cluster_id
    assert cluster.controller_id in cluster.brokers
    node = next(iter(cluster.brokers))
    assert admin.api_versions(node)["METADATA"][1] >= 12
    assert admin.api_versions() == admin.api_versions(node)

    def found() -> Mapping[At, Any]:
        [directory] = admin.describe_log_dirs([node], partitions=[At(name, 1)])[node].values()
        assert directory.error is None
        return directory.partitions

    partitions = topics.until(found)
    assert partitions.keys() == {At(name, 1)}
    assert partitions[At(name, 1)].size_bytes == 0
    assert admin.describe_log_dirs().keys() == cluster.brokers.keys()


def test_offsets_by_place_and_time_and_deleting_records(
    admin: odradek.Admin, bootstrap: str, make_topic: Callable[..., str], produce: Callable[..., None]
) -> None:
    topic = make_topic(partitions=3)
    produce(bootstrap, topic, 3, 10)
    partitions = [At(topic, partition.partition) for partition in admin.describe_topics(topic)[topic].partitions]
    latest = admin.list_offsets(dict.fromkeys(partitions, "latest"))
    assert sum(found.offset for found in latest.values() if found) == 10
    place = next(place for place, found in latest.items() if found and found.offset >= 2)
    newest = admin.list_offsets({place: "max_timestamp"})[place]
    assert newest is not None
    assert admin.list_offsets({place: newest.timestamp_ms})[place] is not None
    assert admin.list_offsets({place: newest.timestamp_ms + 1})[place] is None
    assert admin.delete_records({place: 1}) == {place: 1}
    earliest = admin.list_offsets({place: "earliest"})[place]
    assert earliest is not None
    assert earliest.offset == 1
    assert admin.delete_records({place: -1}) == {place: latest[place].offset}
    with pytest.raises(OffsetOutOfRangeError, match=topic):
        admin.delete_records({place: latest[place].offset + 1})


def test_committed_offsets_are_set_read_and_deleted(
    admin: odradek.Admin, make_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = make_topic(partitions=3), unique("group")
    assert admin.list_group_offsets(group) == {}
    commits = {At(topic, 0): OffsetAndMetadata(5, "a note"), At(topic, 1): 7}
    admin.alter_group_offsets(group, commits)
    assert admin.list_group_offsets(group) == {
        At(topic, 0): OffsetAndMetadata(5, "a note"),
        At(topic, 1): OffsetAndMetadata(7),
    }
    assert admin.list_group_offsets(group, [At(topic, 1), At(topic, 2)]).keys() == {At(topic, 1)}
    admin.delete_group_offsets(group, [At(topic, 1)])
    assert admin.list_group_offsets(group, require_stable=True).keys() == {At(topic, 0)}
    assert group in [listing.group_id for listing in admin.list_groups(states=["Empty"])]
    assert group not in [listing.group_id for listing in admin.list_groups(states=["Stable"])]
    admin.delete_groups(group)
    assert group not in [listing.group_id for listing in admin.list_groups()]


def test_a_group_with_a_member_is_described_and_its_member_removed(
    admin: odradek.Admin, bootstrap: str, make_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = make_topic(partitions=3), unique("members")
    member = Librdkafka(bootstrap, group, topic)
    try:
        until([member], lambda: len(member.owned()) == 3, "the member owns all partitions")
        found = admin.describe_groups([group])[group]
        assert (found.state, found.type, found.protocol_type) == ("Stable", "classic", "consumer")
        assert found.assignor
        assert found.coordinator in admin.describe_cluster().brokers
        [one] = found.members
        assert {place.topic for place in one.assignment} == {topic}
        assert len(one.assignment) == len(admin.describe_topics(topic)[topic].partitions)
        with pytest.raises(KafkaError) as caught:
            admin.delete_groups(group)
        assert caught.value.error_code == ErrorCode.NON_EMPTY_GROUP
        with pytest.raises(KafkaError) as caught:
            admin.alter_group_offsets(group, {At(topic, 0): 1})
        assert caught.value.error_code == ErrorCode.UNKNOWN_MEMBER_ID
        assert "the group has members" in str(caught.value)
        with pytest.raises(KafkaError) as caught:
            admin.remove_group_members(group, [MemberToRemove("nobody")])
        assert caught.value.error_code == ErrorCode.UNKNOWN_MEMBER_ID
        assert admin.remove_group_members(group, reason="a test") == {MemberToRemove(one.member_id): None}
    finally:
        member.close()


async def test_the_asyncio_twin_does_the_same(bootstrap: str, unique: Unique) -> None:
    name = unique("twin")
    async with odradek.aio.Admin(bootstrap) as admin:
        await admin.create_topics(NewTopic(name, 2))
        while name not in await admin.list_topics():
            pass
        assert len((await admin.describe_topics(name))[name].partitions) == 2
        with pytest.raises(TopicAlreadyExistsError):
            await admin.create_topics(name)
    with pytest.raises(odradek.errors.ClosedError):
        await admin.list_topics()


def test_options_go_by_keyword_and_by_dotted_name(bootstrap: str) -> None:
    with odradek.Admin.from_config({"bootstrap.servers": bootstrap, "request.timeout.ms": "5000"}) as admin:
        assert admin.describe_cluster().brokers
    with pytest.raises(ConfigError, match="request_timeout_ms"):
        odradek.Admin(bootstrap, reqest_timeout_ms=5)


def test_a_kind_of_resource_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'Topic' is none of .*topic, broker"):
        ConfigResource("Topic", "orders")  # type: ignore[arg-type]


def test_an_offset_spec_that_is_none_is_refused_before_anything_is_asked(admin: odradek.Admin) -> None:
    for wrong in ("soon", -1, True):
        with pytest.raises(ConfigError, match=repr(wrong)):
            admin.list_offsets({At("t", 0): wrong})


def test_a_number_that_no_request_can_carry_is_refused(admin: odradek.Admin, topic: str) -> None:
    one = At(topic, 0)
    for call in (
        lambda: admin.delete_records({one: 2**63}),
        lambda: admin.list_offsets({one: 2**63}),
        lambda: admin.alter_group_offsets("g", {one: 2**63}),
        lambda: admin.create_topics(odradek.NewTopic("t", partitions=2**31)),
    ):
        with pytest.raises(ConfigError, match=r"too large|is no offset|is not allowed"):
            call()
