"""Who of a group's members gets which partition: run by the leader, pure functions of subscriptions and counts.

`base.py` is the shape, one file an algorithm beside it. Options name them as `ASSIGNORS` does, and as Kafka does.
"""

from typing import Final

from odradek.client.consumer.assignors.base import Assignor
from odradek.client.consumer.assignors.cooperative_sticky import CooperativeStickyAssignor
from odradek.client.consumer.assignors.range import RangeAssignor
from odradek.client.consumer.assignors.round_robin import RoundRobinAssignor
from odradek.client.consumer.assignors.sticky import StickyAssignor

__all__ = ["ASSIGNORS", "Assignor"]

ASSIGNORS: Final[dict[str, type[Assignor]]] = {
    cls.name: cls for cls in (RangeAssignor, RoundRobinAssignor, StickyAssignor, CooperativeStickyAssignor)
}
"""By the name that members of a group agree on."""
