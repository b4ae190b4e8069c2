"""What Python serves, as ApiVersions tells it: known before a single handler file is loaded.

The truth is in the handler files (`API_KEY`, `VERSIONS`); tests/unit/broker/test_served.py holds this table to them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["SERVED"]

SERVED: Final = (
    (8, 2, 10),  # OffsetCommit
    (9, 1, 10),  # OffsetFetch
    (10, 0, 6),  # FindCoordinator
    (11, 0, 9),  # JoinGroup
    (12, 0, 4),  # Heartbeat
    (13, 0, 5),  # LeaveGroup
    (14, 0, 5),  # SyncGroup
    (15, 0, 6),  # DescribeGroups
    (16, 0, 5),  # ListGroups
    (19, 2, 7),  # CreateTopics
    (20, 1, 6),  # DeleteTopics
    (22, 0, 5),  # InitProducerId
    (32, 1, 4),  # DescribeConfigs
    (33, 0, 2),  # AlterConfigs
    (35, 1, 5),  # DescribeLogDirs
    (37, 0, 3),  # CreatePartitions
    (42, 0, 2),  # DeleteGroups
    (44, 0, 1),  # IncrementalAlterConfigs
    (47, 0, 0),  # OffsetDelete
    (60, 0, 2),  # DescribeCluster
    (68, 0, 1),  # ConsumerGroupHeartbeat
    (69, 0, 1),  # ConsumerGroupDescribe
    (74, 0, 1),  # ListConfigResources
    (75, 0, 0),  # DescribeTopicPartitions
)
"""(API key, lowest, highest version)."""
