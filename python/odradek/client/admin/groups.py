"""Groups: list, describe, delete, remove members. Their offsets: `offsets.py`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from odradek.client.admin.calls import Calls, Deadline
from odradek.client.admin.outcomes import check, refusal, settle, settle_rows
from odradek.client.admin.values import GroupDescription, GroupListing, GroupMember, MemberToRemove
from odradek.client.arguments import several
from odradek.client.consumer.blobs import assigned_by
from odradek.errors import ErrorCode, GroupIdNotFoundError, KafkaError, UnsupportedVersionError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema
from odradek.types import TopicPartition

__all__ = ["GroupCalls"]

T = TypeVar("T")

_DEAD: Final = "Dead"
_CONSUMERS: Final = "consumer"
_MEMBER_TYPES: Final = {0: "classic", 1: "consumer"}


class GroupCalls(Calls):
    """Groups."""

    async def list_groups(
        self,
        *,
        states: Iterable[str] = (),
        types: Iterable[str] = (),
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[GroupListing]:
        """Return the groups of all brokers, sorted by id.

        Args:
            states: only groups in these states ("Stable", "Empty", ...); none = all.
            types: only groups of these types ("classic", "consumer", ...); none = all.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            UnsupportedVersionError: the broker can't filter by what is asked.
        """
        wanted_states = tuple(several("list_groups: states", states, str, "the name of a state"))
        wanted_types = tuple(several("list_groups: types", types, str, "the name of a type"))
        lowest = 5 if wanted_types else 4 if wanted_states else 0
        deadline = self._deadline(timeout)
        brokers = (await self._metadata(deadline, [])).brokers

        def asked(node: int) -> Any:
            return self._ask(
                deadline,
                ApiKey.LIST_GROUPS,
                lambda m: m.ListGroupsRequest(states_filter=wanted_states, types_filter=wanted_types),
                node=node,
                versions=(lowest, 5),
                codes=lambda answer: [answer.error_code],
            )

        found: dict[str, GroupListing] = {}
        for answer in await asyncio.gather(*(asked(node) for node in brokers)):
            check(answer.error_code, "the list of groups")
            for row in answer.groups:
                state, kind = getattr(row, "group_state", ""), getattr(row, "group_type", "")
                found[row.group_id] = GroupListing(str(row.group_id), row.protocol_type, state, kind)
        return [found[group] for group in sorted(found)]

    async def describe_groups(
        self,
        groups: str | Iterable[str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, GroupDescription]:
        """Return groups with their members and what those are assigned.

        Args:
            groups: ids, one or several; classic groups and consumer groups of KIP-848.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            GroupIdNotFoundError: there is no such group.
        """
        return await self._each_group(groups, self._describe_group, self._deadline(timeout))

    async def delete_groups(
        self,
        groups: str | Iterable[str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, None]:
        """Delete groups with their committed offsets. They must have no members.

        Raises:
            GroupIdNotFoundError: there is no such group.
            KafkaError: NON_EMPTY_GROUP, it has members.
        """
        return await self._each_group(groups, self._delete_group, self._deadline(timeout))

    async def remove_group_members(
        self,
        group: str,
        members: Iterable[MemberToRemove] | None = None,
        *,
        reason: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[MemberToRemove, None]:
        """Remove members from a group; the others rebalance.

        Args:
            group: id.
            members: who; None = all there are.
            reason: for the broker's log.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            KafkaError: UNKNOWN_MEMBER_ID, there is no such member.
        """
        deadline = self._deadline(timeout)
        if members is None:
            description = (await self._each_group(group, self._describe_group, deadline))[group]
            wanted = [MemberToRemove(member.member_id, member.instance_id) for member in description.members]
        else:
            wanted = several("remove_group_members: members", members, MemberToRemove, "a MemberToRemove")
        if not wanted:
            return {}
        answer = await self._ask_coordinator(
            deadline,
            group,
            ApiKey.LEAVE_GROUP,
            lambda m: m.LeaveGroupRequest(
                group_id=group,
                members=tuple(
                    m.MemberIdentity(member_id=member.member_id, group_instance_id=member.instance_id, reason=reason)
                    for member in wanted
                ),
            ),
            versions=(3, 5),
            codes=lambda answer: [answer.error_code],
        )
        check(answer.error_code, f"group {group!r}")
        return settle_rows(
            (
                member,
                refusal(row.error_code, f"member {member.instance_id or member.member_id!r} of group {group!r}"),
                None,
            )
            for member, row in zip(wanted, answer.members, strict=False)
        )

    @staticmethod
    async def _each_group(
        groups: str | Iterable[str], one: Callable[[str, Deadline], Awaitable[T]], deadline: Deadline
    ) -> dict[str, T]:
        """Do `one` for each group at once; its KafkaErrors become errors by group."""
        wanted = several("groups", groups, str, "a group id")
        done = await asyncio.gather(*(one(group, deadline) for group in wanted), return_exceptions=True)
        results: dict[str, T] = {}
        errors: dict[str, KafkaError] = {}
        for group, outcome in zip(wanted, done, strict=True):
            if isinstance(outcome, KafkaError):
                errors[group] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                results[group] = outcome
        return settle(results, errors)

    async def _describe_group(self, group: str, deadline: Deadline) -> GroupDescription:
        try:
            return await self._describe_consumer_group(group, deadline)
        except (UnsupportedVersionError, GroupIdNotFoundError):
            return await self._describe_classic_group(group, deadline)

    async def _describe_consumer_group(self, group: str, deadline: Deadline) -> GroupDescription:
        """Describe a group of KIP-848; a classic one is GROUP_ID_NOT_FOUND to this API."""
        found = await self._ask_about(
            group,
            deadline,
            ApiKey.CONSUMER_GROUP_DESCRIBE,
            lambda m: m.ConsumerGroupDescribeRequest(group_ids=(group,), include_authorized_operations=False),
        )
        return GroupDescription(
            group,
            found.group_state,
            _CONSUMERS,
            _CONSUMERS,
            found.assignor_name,
            self._coordinators[group],
            tuple(_modern_member(member) for member in found.members),
            found.group_epoch,
            found.assignment_epoch,
        )

    async def _describe_classic_group(self, group: str, deadline: Deadline) -> GroupDescription:
        found = await self._ask_about(
            group,
            deadline,
            ApiKey.DESCRIBE_GROUPS,
            lambda m: m.DescribeGroupsRequest(groups=(group,), include_authorized_operations=False),
        )
        if found.group_state == _DEAD and not found.members:  # how versions below 6 say that there is none
            raise GroupIdNotFoundError(f"group {group!r}: {ErrorCode.GROUP_ID_NOT_FOUND.text}")
        members = tuple(
            GroupMember(
                member.member_id,
                getattr(member, "group_instance_id", None),
                member.client_id,
                member.client_host,
                assigned_by(member.member_assignment) if found.protocol_type == _CONSUMERS else (),
            )
            for member in found.members
        )
        return GroupDescription(
            group,
            found.group_state,
            "classic",
            found.protocol_type,
            found.protocol_data,
            self._coordinators[group],
            members,
        )

    async def _delete_group(self, group: str, deadline: Deadline) -> None:
        await self._ask_about(
            group, deadline, ApiKey.DELETE_GROUPS, lambda m: m.DeleteGroupsRequest(groups_names=(group,))
        )

    async def _ask_about(self, group: str, deadline: Deadline, api: ApiKey, build: Callable[[Schema], Any]) -> Any:
        """Ask the coordinator about one group; return its row of the answer.

        Raises:
            KafkaError: what the row says.
        """
        answer = await self._ask_coordinator(
            deadline, group, api, build, codes=lambda answer: [row.error_code for row in _rows(answer)]
        )
        [found] = _rows(answer)
        check(found.error_code, f"group {group!r}", getattr(found, "error_message", None))
        return found


def _rows(answer: Any) -> Any:
    return answer.results if hasattr(answer, "results") else answer.groups


def _modern_member(member: Any) -> GroupMember:
    return GroupMember(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        _places(member.assignment),
        _MEMBER_TYPES.get(getattr(member, "member_type", -1), ""),
        member.member_epoch,
        _places(member.target_assignment),
        tuple(sorted(member.subscribed_topic_names)),
        member.subscribed_topic_regex or "",
        member.rack_id,
    )


def _places(assignment: Any) -> tuple[TopicPartition, ...]:
    places = (
        TopicPartition(str(topic.topic_name), number)
        for topic in assignment.topic_partitions
        for number in topic.partitions
    )
    return tuple(sorted(places))
