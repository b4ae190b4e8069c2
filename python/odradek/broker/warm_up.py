"""Load, while a fresh broker has nothing else to do, what the first member of the first group would wait for.

kio's classes of one version take 2 to 10 ms to load, `kio.serial` 20 ms: a first member met some 40 ms of it. A broker
that lives in a test has no use for this, so only `odradek serve` does it.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import prepare

__all__ = ["warm_up"]

_COMMON: Final[Mapping[ApiKey, tuple[int, ...]]] = {
    ApiKey.FIND_COORDINATOR: (6, 2),
    ApiKey.JOIN_GROUP: (9, 5),
    ApiKey.SYNC_GROUP: (5, 3),
    ApiKey.OFFSET_FETCH: (9, 8),
    ApiKey.HEARTBEAT: (4, 3),
    ApiKey.OFFSET_COMMIT: (9, 8),
    ApiKey.LEAVE_GROUP: (5, 1),
    ApiKey.CONSUMER_GROUP_HEARTBEAT: (1,),
    ApiKey.INIT_PRODUCER_ID: (5, 4),
    ApiKey.METADATA: (13,),
}
"""Versions seen of Apache Kafka's clients 4.3, librdkafka 2.10 to 2.16 and ours; others are loaded when they come."""
_PAUSE_S: Final = 0.002
"""Between two steps: requests that have come meanwhile are answered first."""


async def warm_up() -> None:
    """Load it all, step by step."""
    import odradek.broker.coordinator.group.consumer_service  # noqa: PLC0415 - the coordinator's, at the first member
    import odradek.record  # noqa: F401, PLC0415 - and at its first record

    for api, versions in _COMMON.items():
        for version in versions:
            for _ in prepare(api, version):
                await asyncio.sleep(_PAUSE_S)
