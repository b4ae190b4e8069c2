"""At start: make the tree and the partition folders on disk agree.

- A folder of a topic whose deletion was under way when the broker died: deleted now.
- A folder of a topic the tree doesn't know: adopted. It was copied here from another broker (Apache Kafka's too), or
  the metadata file was lost; either way its records are there and somebody wants them.
- A folder with a number above the topic's partition count: left alone and logged, as is Apache Kafka's own
  `__cluster_metadata`.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from odradek.broker.controller.names import OFFSETS_TOPIC, check_name
from odradek.broker.controller.offsets_topic import OffsetsTopic
from odradek.broker.controller.state import Partition, Topic
from odradek.broker.controller.topics import Topics, new_topic_id
from odradek.broker.engine import Engine
from odradek.errors import InvalidTopicError, StorageError
from odradek.metadata import tree
from odradek.metadata.store import Delete, MetadataStore

__all__ = ["reconcile"]

_log = logging.getLogger("odradek.controller")


async def reconcile(
    topics: Topics, offsets_topic: OffsetsTopic, engine: Engine, store: MetadataStore, *, data_dir: Path, node_id: int
) -> None:
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
            topic = _topic_of(name, partitions, data_dir, node_id)
            if topic is not None:
                await topics.adopt(topic, offsets_topic.wish().configs if name == OFFSETS_TOPIC else {})
                _log.info("adopted topic %s with %d partition(s) found on disk", name, len(topic.partitions))
    if deleted:
        await store.multi([Delete(tree.deletion_path(name)) for name in sorted(deleted)])


def _finish_deleting(engine: Engine, name: str, partitions: Mapping[int, bytes | None]) -> None:
    for number, topic_id in sorted(partitions.items()):
        engine.host_partitions(name, topic_id or new_topic_id().bytes, {}, [(number, 0, 1)])
    engine.delete_partitions(name, sorted(partitions))


def _topic_of(name: str, partitions: Mapping[int, bytes | None], data_dir: Path, node_id: int) -> Topic | None:
    ids = {topic_id for topic_id in partitions.values() if topic_id is not None}
    try:
        check_name(name)
    except InvalidTopicError:
        _log.warning("folder of %r is no topic's; left alone", name)
        return None
    if name == "__cluster_metadata" or len(ids) > 1:
        _log.warning("folders of %s are left alone: %s", name, "not a topic" if len(ids) < 2 else "topic ids differ")
        return None
    replicas = (node_id,)
    rows = tuple(
        Partition(node_id, _next_epoch(data_dir / f"{name}-{number}"), replicas, replicas)
        for number in range(max(partitions) + 1)
    )
    return Topic(name, UUID(bytes=ids.pop()) if ids else new_topic_id(), rows)


def _next_epoch(folder: Path) -> int:
    """Return an epoch above all that the records in a folder were written under; 0 if there are none.

    The file has a version, a count, then `EPOCH START_OFFSET` a line. Source: Kafka `LeaderEpochCheckpointFile`.
    """
    try:
        lines = (folder / "leader-epoch-checkpoint").read_text().splitlines()[2:]
        return max((int(line.split()[0]) for line in lines if line), default=-1) + 1
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, IndexError) as error:
        raise StorageError(f"{folder / 'leader-epoch-checkpoint'}: {error}") from error
