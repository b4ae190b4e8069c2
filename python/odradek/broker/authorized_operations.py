"""What anybody may do as long as there are no ACLs, as the answers of describing APIs tell it: a bit an operation.

Read (3), write (4), create (5), delete (6), alter (7), describe (8), cluster action (9), describe configs (10), alter
configs (11), idempotent write (12). Source: KIP-430; Kafka `AclOperation`, `AclEntry.supportedOperations`.
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["CLUSTER", "GROUP", "NOT_ASKED", "TOPIC"]


def _bits(operations: Iterable[int]) -> int:
    return sum(1 << operation for operation in operations)


CLUSTER: Final = _bits((5, 7, 8, 9, 10, 11, 12))
TOPIC: Final = _bits((3, 4, 5, 6, 7, 8, 10, 11))
GROUP: Final = _bits((3, 6, 8, 10, 11))
NOT_ASKED: Final = -(2**31)
"""Told in place of them."""
