"""At start: make the tree and the partition folders on disk agree.

- A folder of a topic whose deletion was under way when the broker died: deleted now.
- A folder of a topic the tree doesn't know: adopted. It was copied here from another broker (Apache Kafka's too), or
  the metadata file was lost; either way its records are there and somebody wants them.
- A folder with a number above the topic's partition count: left alone and logged, as is Apache Kafka's own
  `__cluster_metadata`.
"""

import logging
from collections import defaultdict
from uuid import UUID

from odradek.broker.controller.names import check_name
from odradek.broker.controller.state import Partition, Topic
from odradek.broker.controller.topics import Topics, new_topic_id
from odradek.broker.engine import Engine
from odradek.errors import InvalidTopicError
from odradek.metadata import tree
from odradek.metadata.store import Delete, MetadataStore

__all__ = ["reconcile"]

_log = logging.getLogger("odradek.controller")


async def reconcile(topics: Topics, engine: Engine, store: MetadataStore, node_id: int) -> None:
    """Bring tree and disk together; call it after `Topics.load`, before listening."""
    deleted = set(await store.children(tree.DELETIONS))
    folders: defaultdict[str, dict[int, bytes | None]] = defaultdict(dict)
    for name, partition, topic_id in engine.partitions_on_disk():
        folders[name][partition] = topic_id
    for name, partitions in folders.items():
        known = topics.get(name)
        if known is not None:
            extra = sorted(number for number in partitions if number >= len(known.partitions))
            if extra:
                _log.warning(
                    "topic %s has %d partitions; folders %s are left alone", name, len(known.partitions), extra
                )
        elif name in deleted:
            _finish_deleting(engine, name, partitions)
            _log.info("finished deleting topic %s", name)
        else:
            await _adopt(topics, name, partitions, node_id)
    if deleted:
        await store.multi([Delete(tree.deletion_path(name)) for name in sorted(deleted)])


def _finish_deleting(engine: Engine, name: str, partitions: dict[int, bytes | None]) -> None:
    for number, topic_id in sorted(partitions.items()):
        engine.host_partitions(name, topic_id or new_topic_id().bytes, {}, [(number, 0, 1)])
    engine.delete_partitions(name, sorted(partitions))


async def _adopt(topics: Topics, name: str, partitions: dict[int, bytes | None], node_id: int) -> None:
    ids = {topic_id for topic_id in partitions.values() if topic_id is not None}
    try:
        check_name(name)
    except InvalidTopicError:
        _log.warning("folder of %r is no topic's; left alone", name)
        return
    if name == "__cluster_metadata" or len(ids) > 1:
        _log.warning("folders of %s are left alone: %s", name, "not a topic" if len(ids) < 2 else "topic ids differ")
        return
    topic_id = UUID(bytes=ids.pop()) if ids else new_topic_id()
    count = max(partitions) + 1
    replicas = (node_id,)
    await topics.adopt(Topic(name, topic_id, (Partition(node_id, 0, replicas, replicas),) * count))
    _log.info("adopted topic %s with %d partition(s) found on disk", name, count)
