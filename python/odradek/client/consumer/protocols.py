"""The group protocols by the value of `group.protocol`. What each of them is: `membership.py`."""

from collections.abc import Mapping
from typing import Final

from odradek.client.consumer.classic_member import ClassicMember
from odradek.client.consumer.membership import Membership
from odradek.client.consumer.modern_member import ModernMember

__all__ = ["MEMBERSHIPS"]

MEMBERSHIPS: Final[Mapping[str | None, type[Membership]]] = {"classic": ClassicMember, "consumer": ModernMember}
