"""`odradek.Admin` and `odradek groups` asking about groups of KIP-848: types, epochs, what members have and are to have."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from cli_support import run_command
from support.consumer_member import ConsumerMember
from support.wire import Wire

import odradek
from odradek.client.admin.values import GroupDescription, MemberToRemove
from odradek.errors import ErrorCode, KafkaError
from odradek.types import TopicPartition as At

sys.path.insert(0, str(Path(__file__).parents[1] / "client" / "consumer"))

from consuming import until

pytestmark = pytest.mark.brokers("odradek", "kafka")

Unique = Callable[[str], str]


@pytest.fixture
def admin(bootstrap: str) -> Iterator[odradek.Admin]:
    """An admin client."""
    with odradek.Admin(bootstrap) as one:
        yield one


@pytest.fixture
def member(bootstrap: str) -> Iterator[Callable[..., odradek.Consumer]]:
    """Return a function that makes a member of a group; all leave in the end."""
    made: list[odradek.Consumer] = []

    def join(group: str, topic: str, **options: Any) -> odradek.Consumer:
        made.append(odradek.Consumer(bootstrap, group_id=group, group_protocol="consumer", **options))
        made[-1].subscribe(topic)
        return made[-1]

    yield join
    for one in made:
        one.close()


def described(admin: odradek.Admin, group: str) -> GroupDescription:
    return admin.describe_groups(group)[group]


@pytest.fixture
def halfway(
    admin: odradek.Admin, member: Callable[..., odradek.Consumer], make_topic: Callable[..., str], unique: Unique
) -> tuple[str, str, odradek.Consumer, odradek.Consumer]:
    """Group, topic, a member that has to give up two of four partitions and does not poll, and one that waits for them."""
    topic, group = make_topic(partitions=4), unique("halfway")
    first = member(group, topic, client_id="first", client_rack="shelf")
    until(lambda: len(first.assignment()) == 4, first)
    second = member(group, topic, client_id="second", group_instance_id="two")
    until(lambda: [len(one.target or ()) for one in described(admin, group).members] == [2, 2], second)
    return group, topic, first, second


def test_a_group_halfway_shows_what_members_have_and_what_they_are_to_have(
    admin: odradek.Admin, halfway: tuple[str, str, odradek.Consumer, odradek.Consumer]
) -> None:
    group, topic, first, second = halfway
    found = described(admin, group)
    assert (found.type, found.protocol_type, found.state, found.assignor) == (
        "consumer",
        "consumer",
        "Reconciling",
        "uniform",
    )
    assert found.epoch == found.target_epoch > 0
    one, two = sorted(found.members, key=lambda member: member.client_id)
    assert (one.instance_id, two.instance_id) == (None, "two")
    assert (one.member_id, two.member_id) == tuple(each.group_metadata().member_id for each in (first, second))
    assert one.assignment == tuple(At(topic, number) for number in range(4))
    assert two.assignment == ()
    assert sorted((one.target or ()) + (two.target or ())) == list(one.assignment)
    assert (len(one.target or ()), one.topics, one.pattern, one.rack) == (2, (topic,), "", "shelf")
    assert 0 < one.epoch <= two.epoch <= found.epoch
    assert {one.type, two.type} == {"consumer"}


def test_the_command_line_shows_type_epochs_and_targets(
    bootstrap: str, admin: odradek.Admin, halfway: tuple[str, str, odradek.Consumer, odradek.Consumer]
) -> None:
    group, topic, first, second = halfway

    def run(*arguments: str) -> Any:
        return run_command(*arguments, bootstrap=bootstrap)

    [shown] = run("groups", "describe", group, "--json").json
    assert (shown["type"], shown["state"], shown["epoch"]) == ("consumer", "reconciling", shown["target_epoch"])
    one, two = sorted(shown["members"], key=lambda member: member["client_id"])
    assert (len(one["partitions"]), len(one["target"]), one["topics"], one["rack"]) == (4, 2, [topic], "shelf")
    assert (two["partitions"], len(two["target"]), two["type"]) == ([], 2, "consumer")
    text = run("groups", "describe", group).out
    assert f"Type: consumer  State: reconciling  Assignor: uniform  Epoch: {shown['epoch']}  Target epoch:" in text
    assert "PARTITIONS" in text
    assert "TARGET" in text
    assert " ".join(f"{topic}-{number}" for _, number in two["target"]) in text
    until(lambda: len(first.assignment()) == len(second.assignment()) == 2, first, second)
    assert [group, "stable", "consumer"] in [line.split() for line in run("groups", "list").out.splitlines()]
    assert group in run("groups", "list", "--type", "consumer", "--state", "stable").out
    assert group not in run("groups", "list", "--type", "classic").out
    assert "epoch" not in run("groups", "list", "--type", "classic", "--json").out


def test_groups_are_listed_by_type_and_state(
    admin: odradek.Admin, halfway: tuple[str, str, odradek.Consumer, odradek.Consumer]
) -> None:
    group = halfway[0]
    [row] = [one for one in admin.list_groups(types=["consumer"]) if one.group_id == group]
    assert (row.protocol_type, row.state, row.type) == ("consumer", "Reconciling", "consumer")
    assert group in {one.group_id for one in admin.list_groups(states=["Reconciling"], types=["consumer"])}
    assert group not in {one.group_id for one in admin.list_groups(types=["classic"])}


def test_a_group_with_members_keeps_its_offsets(
    admin: odradek.Admin, halfway: tuple[str, str, odradek.Consumer, odradek.Consumer]
) -> None:
    group, topic, _first, _second = halfway
    for refused, code in (
        (lambda: admin.delete_groups(group), ErrorCode.NON_EMPTY_GROUP),
        (lambda: admin.alter_group_offsets(group, {At(topic, 0): 1}), ErrorCode.UNKNOWN_MEMBER_ID),
        (lambda: admin.delete_group_offsets(group, [At(topic, 0)]), ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC),
    ):
        with pytest.raises(KafkaError) as caught:
            refused()
        assert caught.value.error_code == code


def test_members_can_be_removed(
    admin: odradek.Admin, wire: Wire, make_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = make_topic(), unique("removed")
    # Not consumers: told that they are out, they would be back before anybody looks.
    first, second = ConsumerMember(wire, group, topic), ConsumerMember(wire, group, topic, instance_id="two")
    for member in (first, second):
        member.join()
    one, two = MemberToRemove(member_id=first.member_id), MemberToRemove(instance_id="two")
    with pytest.raises(KafkaError) as caught:
        admin.remove_group_members(group, [MemberToRemove(instance_id="nobody")])
    assert caught.value.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    with pytest.raises(KafkaError) as caught:
        admin.remove_group_members(group, [MemberToRemove("another", "two")])
    assert caught.value.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert admin.remove_group_members(group, [two]) == {two: None}
    assert [each.member_id for each in described(admin, group).members] == [first.member_id]
    assert admin.remove_group_members(group, [one]) == {one: None}
    assert not described(admin, group).members


def test_consume_takes_the_protocol_as_a_property(
    bootstrap: str, admin: odradek.Admin, make_topic: Callable[..., str], unique: Unique
) -> None:
    topic, group = make_topic(), unique("command")
    with odradek.Producer(bootstrap) as producer:
        producer.send(topic, b"one").result(20)
    read = run_command(
        "consume", topic, "--group", group, "--from-beginning", "--max-messages", "1", "--property", "group.protocol=consumer",
        bootstrap=bootstrap,
    )  # fmt: skip
    assert (read.out, read.code) == ("one\n", 0)
    assert described(admin, group).type == "consumer"
    assert admin.list_group_offsets(group)[At(topic, 0)].offset == 1
