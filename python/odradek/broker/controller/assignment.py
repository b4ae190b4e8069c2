"""Which brokers get the replicas of new partitions, chosen or given by hand.

Source: Kafka `ReplicationControlManager.validateManualPartitionAssignment`, `StripedReplicaPlacer` (without racks yet).
"""

from collections.abc import Mapping, Sequence

from odradek.errors import InvalidReplicaAssignmentError, InvalidReplicationFactorError

__all__ = ["by_hand", "check_replicas", "spread"]


def spread(brokers: Sequence[int], partitions: int, replication_factor: int, first: int = 0) -> list[tuple[int, ...]]:
    """Spread partitions round the brokers; partition `first + n` begins one broker further than the one before.

    Raises:
        InvalidReplicationFactorError (38): more replicas than brokers.
    """
    if replication_factor > len(brokers):
        raise InvalidReplicationFactorError(
            f"replication factor {replication_factor} is more than the {len(brokers)} broker(s) there are"
        )
    ring = sorted(brokers)
    return [
        tuple(ring[(first + partition + replica) % len(ring)] for replica in range(replication_factor))
        for partition in range(partitions)
    ]


def by_hand(assignments: Mapping[int, Sequence[int]], brokers: Sequence[int]) -> list[tuple[int, ...]]:
    """Check the replicas a client gave for each partition of a new topic and return them in order.

    Raises:
        InvalidReplicaAssignmentError (39): partitions not 0, 1, 2 ...; different numbers of replicas; or as
            `check_replicas`.
    """
    if sorted(assignments) != list(range(len(assignments))):
        raise InvalidReplicaAssignmentError("partitions must be numbered 0, 1, 2 and so on without gaps")
    rows = [check_replicas(assignments[partition], brokers) for partition in range(len(assignments))]
    if len({len(row) for row in rows}) > 1:
        raise InvalidReplicaAssignmentError("all partitions must have the same number of replicas")
    return rows


def check_replicas(replicas: Sequence[int], brokers: Sequence[int]) -> tuple[int, ...]:
    """Return one partition's replicas.

    Raises:
        InvalidReplicaAssignmentError (39): none, one broker twice, or a broker that isn't there.
    """
    if not replicas:
        raise InvalidReplicaAssignmentError("the replica list is empty")
    if len(set(replicas)) < len(replicas):
        raise InvalidReplicaAssignmentError(f"replica list {list(replicas)} names a broker twice")
    for broker in replicas:
        if broker not in brokers:
            raise InvalidReplicaAssignmentError(f"replica list {list(replicas)}: there is no broker {broker}")
    return tuple(replicas)
