"""The answers of a classic group's state machine as response bodies, for whoever waits for one."""

from odradek.broker.coordinator.group.members import Joined, Synced
from odradek.protocol.group_answers import join_group_answer, sync_group_answer

__all__ = ["body_of"]


def body_of(version: int, answer: Joined | Synced) -> bytes:
    """Return the body of the JoinGroup or SyncGroup response of this version."""
    if isinstance(answer, Joined):
        return join_group_answer(
            version,
            error=answer.error,
            generation=answer.generation,
            protocol_type=answer.protocol_type,
            protocol=answer.protocol,
            leader=answer.leader,
            skip_assignment=answer.skip_assignment,
            member_id=answer.member_id,
            members=answer.members,
        )
    return sync_group_answer(
        version,
        error=answer.error,
        protocol_type=answer.protocol_type,
        protocol=answer.protocol,
        assignment=answer.assignment,
    )
