"""DescribeLogDirs (35), versions 1-5.

Behaviour: the one data directory with the size of each partition in it (segments without indexes), and from v4 on the
    volume's size and free space. Topics and partitions that aren't there are left out of the answer. offset_lag is 0:
    a partition's leader lags behind nobody.
Left out: cordoning a directory; future replicas, as there is one directory to move between.

v1: lowest since KIP-896. v2: flexible. v3: error code of the whole (KIP-784). v4: sizes of the volume (KIP-827).
v5: whether the directory takes no new partitions (KIP-1066): it always takes them.
"""

import os
from collections import defaultdict
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.DESCRIBE_LOG_DIRS
VERSIONS: Final = (1, 5)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Describe the data directory."""
    m = ctx.schema
    wanted: dict[str, set[int]] | None = None
    if request.topics is not None:
        wanted = {topic.topic: set(topic.partitions) for topic in request.topics}
    topics: defaultdict[str, list[Any]] = defaultdict(list)
    for name, partition, size in ctx.broker.engine.log_sizes():
        if wanted is None or partition in wanted.get(name, ()):
            topics[name].append(
                m.DescribeLogDirsPartition(
                    partition_index=partition, partition_size=size, offset_lag=0, is_future_key=False
                )
            )
    volume = os.statvfs(ctx.broker.data_dir)
    result = m.DescribeLogDirsResult(
        error_code=ErrorCode.NONE,
        log_dir=str(ctx.broker.data_dir),
        topics=tuple(
            m.DescribeLogDirsTopic(name=name, partitions=tuple(rows)) for name, rows in sorted(topics.items())
        ),
        total_bytes=volume.f_blocks * volume.f_frsize,
        usable_bytes=volume.f_bavail * volume.f_frsize,
        is_cordoned=False,
    )
    return m.DescribeLogDirsResponse(error_code=ErrorCode.NONE, results=(result,))
