"""What a member's heartbeat does to a KIP-848 consumer group: one request in, an answer and records out. No I/O.

    1 the member is found, made, or takes the place of the static member it follows
    2 what is new about it is noted; a new subscription, or topics that changed, raise the group's epoch
    3 a target assignment behind the group's epoch is made anew
    4 the member goes one step towards its target (`reconciliation.py`)

A heartbeat that changes nothing leaves no record, and costs no look at other members or topics. Each function takes a
`Draft` (`consumer.py`); the service writes what is in it and answers then.

Errors are raised as KafkaError: INVALID_REQUEST (42), UNKNOWN_MEMBER_ID (25), GROUP_MAX_SIZE_REACHED (81),
FENCED_INSTANCE_ID (82), FENCED_MEMBER_EPOCH (110), UNRELEASED_INSTANCE_ID (111), UNSUPPORTED_ASSIGNOR (112),
INVALID_REGULAR_EXPRESSION (128). Nothing is written then.
Source: Kafka `GroupMetadataManager.consumerGroupHeartbeat`, `GroupCoordinatorService`; KIP-848.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from odradek.broker.coordinator.group.consumer import ConsumerGroup, Draft
from odradek.broker.coordinator.group.consumer_members import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    LEAVE_STATIC_EPOCH,
    NOBODY,
    ConsumerMember,
    HeartbeatAnswer,
    HeartbeatRequest,
    plain,
)
from odradek.broker.coordinator.group.consumer_records import (
    Assigned,
    Assignment,
    ConsumerGroupKey,
    ConsumerGroupMetadata,
    CurrentKey,
    RegexKey,
    ResolvedRegex,
    Subscription,
    SubscriptionKey,
    TargetKey,
    TargetMember,
)
from odradek.broker.coordinator.group.reconciliation import next_step
from odradek.broker.coordinator.group.target import (
    ClusterTopics,
    preferred_assignor,
    topic_ids,
    topics_hash,
    update_target,
)
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError

__all__ = ["Rules", "Surroundings", "check", "fence", "heartbeat", "leave"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Broker settings for consumer groups; the option is named beside each."""

    session_timeout_ms: int = 45_000
    """`group.consumer.session.timeout.ms`."""
    heartbeat_interval_ms: int = 5_000
    """`group.consumer.heartbeat.interval.ms`."""
    max_size: int = 2**31 - 1
    """`group.consumer.max.size`."""
    assignors: tuple[str, ...] = ("uniform", "range")
    """`group.consumer.assignors`: the first is the default."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a heartbeat needs to know beside the group."""

    rules: Rules
    topics: ClusterTopics
    now_ms: int
    """Wall-clock time."""
    new_member_id: Callable[[], str]
    matching: Callable[[str], frozenset[str]]
    """Returns the names of the topics that a regular expression matches. Raises ValueError if it can't be read."""


def check(request: HeartbeatRequest, version: int, assignors: Collection[str]) -> None:
    """Refuse a request that makes no sense, whatever the group. Raises KafkaError."""
    if (version >= 1 or request.epoch > 0 or request.epoch == LEAVE_EPOCH) and not request.member_id:
        raise InvalidRequestError("MemberId can't be empty.")
    if not request.group_id:
        raise InvalidRequestError("GroupId can't be empty.")
    if request.instance_id == "":
        raise InvalidRequestError("InstanceId can't be empty.")
    if request.rack_id == "":
        raise InvalidRequestError("RackId can't be empty.")
    if request.epoch == JOIN_EPOCH:
        if request.rebalance_timeout_ms == -1:
            raise InvalidRequestError("RebalanceTimeoutMs must be provided in first request.")
        if request.owned is None or request.owned:
            raise InvalidRequestError("TopicPartitions must be empty when (re-)joining.")
        if request.topics is None and request.regex is None:
            raise InvalidRequestError(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
            )
    elif request.epoch == LEAVE_STATIC_EPOCH:
        if request.instance_id is None:
            raise InvalidRequestError("InstanceId can't be null.")
    elif request.epoch < LEAVE_STATIC_EPOCH:
        raise InvalidRequestError("MemberEpoch is invalid.")
    if request.assignor is not None and request.assignor not in assignors:
        raise KafkaError(
            f"ServerAssignor {request.assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
            code=ErrorCode.UNSUPPORTED_ASSIGNOR,
        )


def heartbeat(draft: Draft, request: HeartbeatRequest, around: Surroundings) -> HeartbeatAnswer:
    """Work out a heartbeat of a member that stays or joins. `draft.group` may be a group that is to be made."""
    stale = draft.group.topics_revision != around.topics.revision
    member_id = request.member_id or around.new_member_id()
    before = _find(draft, request, member_id, around)
    changed, resubscribed = _note_subscription(draft, request, member_id, before, around)
    if stale or resubscribed:
        _note_topics(draft, around, stale=stale, resubscribed=resubscribed)
    if draft.group.epoch > draft.group.target_epoch:
        assignor = preferred_assignor(draft.group, around.rules.assignors)
        update_target(draft, assignor, around.topics, around.now_ms)
    group = draft.group
    member = group.members[member_id]
    if changed or stale or not member.is_reconciled_to(group.target_epoch):
        after = next_step(
            member,
            group.target_epoch,
            group.target.get(member_id, {}),
            subscribed=topic_ids(group.topics_of(member), around.topics),
            owners=group.owners,
            owned=request.owned,
        )
        if after is not member:
            draft.add(CurrentKey(group.group_id, member_id), after.current())
            member = after
    assignment = plain(member.assigned)
    tell = request.is_full or before is None or assignment != plain(before.assigned)
    return HeartbeatAnswer(member_id, member.epoch, assignment=assignment if tell else None)


def leave(draft: Draft, request: HeartbeatRequest, around: Surroundings) -> HeartbeatAnswer:
    """Work out that a member goes, for good or (-2, static members only) for a while."""
    group = draft.group
    if request.instance_id is None:
        member = group.member(request.member_id)
    else:
        member = _static_member(group, request.instance_id, request.member_id)
    if request.epoch == LEAVE_STATIC_EPOCH:
        away = replace(member, epoch=LEAVE_STATIC_EPOCH, revoking={})
        draft.add(CurrentKey(group.group_id, member.member_id), away.current())
    else:
        fence(draft, [member.member_id], around.topics)
    return HeartbeatAnswer(member.member_id, request.epoch)


def fence(draft: Draft, member_ids: Iterable[str], topics: ClusterTopics, wanted: str | None = None) -> None:
    """Take members out of the group. Who stays hears of it at its next heartbeat, which makes the new target.

    Args:
        draft: the group.
        member_ids: the members.
        topics: the cluster's.
        wanted: an expression that is going to be used again, and stays.
    """
    for member_id in member_ids:
        draft.remove_member(member_id)
    _forget_unused_expressions(draft, wanted)
    _raise_epoch(draft, topics)


def _find(draft: Draft, request: HeartbeatRequest, member_id: str, around: Surroundings) -> ConsumerMember | None:
    """Return the member that speaks, None if it is new."""
    group = draft.group
    joins = request.epoch == JOIN_EPOCH
    member = group.members.get(member_id)
    if request.instance_id is not None:
        if not joins:
            _static_member(group, request.instance_id, member_id)
        elif request.instance_id in group.static_ids:
            place = group.members[group.static_ids[request.instance_id]]
            if place.epoch == LEAVE_STATIC_EPOCH:
                if member is not None and member is not place:
                    # It had another place, whose partitions are for all.
                    fence(draft, [member_id], around.topics, request.regex)
                return _replace_static(draft, place, member_id)
            if place.member_id != member_id:
                raise KafkaError(
                    f"Static member {member_id} with instance id {request.instance_id} cannot join the group because "
                    f"the instance id is owned by {place.member_id} member.",
                    code=ErrorCode.UNRELEASED_INSTANCE_ID,
                )
    if not joins:
        member = group.member(member_id)
        _check_epoch(member, request.epoch, request.owned)
    elif member is None and len(group.members) >= around.rules.max_size:
        raise KafkaError(
            f"The consumer group has reached its maximum capacity of {around.rules.max_size} members.",
            code=ErrorCode.GROUP_MAX_SIZE_REACHED,
        )
    return member


def _static_member(group: ConsumerGroup, instance_id: str, member_id: str) -> ConsumerMember:
    known = group.static_ids.get(instance_id)
    if known is None:
        raise KafkaError(f"Instance id {instance_id} is unknown.", code=ErrorCode.UNKNOWN_MEMBER_ID)
    if known != member_id:
        raise KafkaError(
            f"Static member {member_id} with instance id {instance_id} was fenced by member {known}.",
            code=ErrorCode.FENCED_INSTANCE_ID,
        )
    return group.members[known]


def _replace_static(draft: Draft, place: ConsumerMember, member_id: str) -> ConsumerMember:
    """Let a member take the place, the partitions and the target of the one that left with its instance id."""
    group_id = draft.group.group_id
    target = draft.group.target.get(place.member_id, {})
    draft.remove_member(place.member_id)
    draft.add(SubscriptionKey(group_id, member_id), place.subscription)
    draft.add(TargetKey(group_id, member_id), TargetMember(target))
    heir = replace(place, member_id=member_id, epoch=JOIN_EPOCH, previous_epoch=JOIN_EPOCH)
    draft.add(CurrentKey(group_id, member_id), heir.current())
    return draft.group.members[member_id]


def _check_epoch(member: ConsumerMember, epoch: int, owned: Assignment | None) -> None:
    """Refuse a member that is not where the group believes it is, unless an answer was lost on the way to it."""
    if epoch == member.epoch:
        return
    if member.previous_epoch == epoch < member.epoch and owned is not None and _is_within(owned, member.assigned):
        return
    kind = "greater" if epoch > member.epoch else "smaller"
    raise KafkaError(
        f"The consumer group member has a {kind} member epoch ({epoch}) than the one known by the group coordinator "
        f"({member.epoch}). The member must abandon all its partitions and rejoin.",
        code=ErrorCode.FENCED_MEMBER_EPOCH,
    )


def _is_within(owned: Assignment, assigned: Assigned) -> bool:
    return all(partitions <= assigned.get(topic, {}).keys() for topic, partitions in owned.items())


def _note_subscription(
    draft: Draft, request: HeartbeatRequest, member_id: str, before: ConsumerMember | None, around: Surroundings
) -> tuple[bool, bool]:
    """Write down what is new about the member; return whether anything is, and whether it is what it subscribes to."""
    known = NOBODY if before is None else before.subscription
    subscription = Subscription(
        known.instance_id if request.instance_id is None else request.instance_id,
        known.rack_id if request.rack_id is None else request.rack_id,
        request.client_id,
        request.client_host,
        known.topics if request.topics is None else request.topics,
        known.regex if request.regex is None else request.regex,
        known.rebalance_timeout_ms if request.rebalance_timeout_ms == -1 else request.rebalance_timeout_ms,
        known.assignor if request.assignor is None else request.assignor,
    )
    if before is not None and subscription == known:
        return False, False
    draft.add(SubscriptionKey(draft.group.group_id, member_id), subscription)
    expression = subscription.regex or ""
    if expression != (known.regex or ""):
        _forget_unused_expressions(draft)
        if expression and expression not in draft.group.regexes:
            try:
                _resolve(draft, expression, around)
            except ValueError as error:
                raise KafkaError(
                    f"SubscribedTopicRegex `{expression}` is not a valid regular expression: {error}.",
                    code=ErrorCode.INVALID_REGULAR_EXPRESSION,
                ) from error
    elsewhere = (subscription.topics, expression) != (known.topics, known.regex or "")
    return True, before is None or elsewhere


def _note_topics(draft: Draft, around: Surroundings, *, stale: bool, resubscribed: bool) -> None:
    """Look at the cluster's topics; raise the group's epoch if what it subscribes to is not what it was."""
    for expression in draft.group.regexes if stale else ():
        # One that another broker has accepted and this one can't read matches what it did.
        with suppress(ValueError):
            _resolve(draft, expression, around)
    digest = topics_hash(draft.group.subscribed_topics, around.topics)
    if resubscribed or digest != draft.group.topics_hash:
        _raise_epoch(draft, around.topics)


def _raise_epoch(draft: Draft, topics: ClusterTopics) -> None:
    group = draft.group
    digest = topics_hash(group.subscribed_topics, topics)
    draft.add(ConsumerGroupKey(group.group_id), ConsumerGroupMetadata(group.epoch + 1, digest))


def _resolve(draft: Draft, expression: str, around: Surroundings) -> None:
    """Find the topics that an expression matches; no record if they are those that are known."""
    topics = around.matching(expression)
    known = draft.group.regexes.get(expression)
    if known is None or known.topics != topics:
        resolved = ResolvedRegex(topics, around.topics.revision, around.now_ms)
        draft.add(RegexKey(draft.group.group_id, expression), resolved)


def _forget_unused_expressions(draft: Draft, wanted: str | None = None) -> None:
    used = draft.group.expressions() if draft.group.regexes else set()
    for expression in draft.group.regexes.keys() - used - {wanted}:
        draft.add(RegexKey(draft.group.group_id, expression), None)
