"""At start: read all topics, open their logs, and make the tree and the partition folders on disk agree.

- A folder of a topic whose deletion was under way when the broker died: deleted now.
- A folder of a topic the tree doesn't know: adopted. It was copied here from another broker (Apache Kafka's too), or
  the metadata file was lost; either way its records are there and somebody wants them.
- A folder with a number above the topic's partition count: left alone and logged, as is Apache Kafka's own
  `__cluster_metadata`.

All of it before the broker listens, so it blocks and knows no asyncio. What changes later is up to `topics.py`.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from odradek.broker.controller.configs import Configs
from odradek.broker.controller.names import OFFSETS_TOPIC, check_name
from odradek.broker.controller.new_topic import new_topic_id
from odradek.broker.controller.offsets_topic import offsets_topic_configs
from odradek.broker.controller.state import Partition, Topic, creations, elect_again, read_topics
from odradek.broker.engine import Engine
from odradek.config.broker import BrokerSettings
from odradek.errors import InvalidTopicError, StorageError
from odradek.metadata import tree
from odradek.metadata.sqlite_tree import SqliteTree
from odradek.metadata.store import Delete, Operation

__all__ = ["Recovered", "recover"]

_log = logging.getLogger("odradek.controller")


class Recovered(NamedTuple):
    """What a broker begins with."""

    configs: Configs
    topics: list[Topic]
    """Hosted and published."""


def recover(
    nodes: SqliteTree, engine: Engine, settings: BrokerSettings, *, node_id: int, data_dir: Path, controller_epoch: int
) -> Recovered:
    """Bring tree and disk together, open all logs and publish the topics.

    After a crash the log may have lost its end with the page cache, so records written from now on get a new leader
    epoch: a client that has read the lost ones can tell (OffsetForLeaderEpoch).

    Raises:
        StorageError: a node or a folder can't be read or written; names it.
    """
    configs = Configs(settings, node_id)
    configs.load(nodes)
    topics = read_topics(nodes.subtree(tree.TOPICS))
    if nodes.crashed and topics:
        operations: list[Operation] = []
        for name, topic in topics.items():
            topics[name], changes = elect_again(topic, controller_epoch)
            operations += changes
        nodes.multi(operations)
    deleted = set(nodes.children(tree.DELETIONS))
    for name, partitions in _folders(engine).items():
        if name in topics:
            _note_extra(topics[name], partitions)
        elif name in deleted:
            _finish_deleting(engine, name, partitions)
            _log.info("finished deleting topic %s", name)
        else:
            adopted = _topic_of(name, partitions, data_dir, node_id)
            if adopted is not None:
                overrides = offsets_topic_configs(settings) if name == OFFSETS_TOPIC else {}
                nodes.multi([*creations(adopted, controller_epoch), *configs.topic_change(name, overrides)])
                configs.note_topic(name, overrides)
                topics[name] = adopted
                _log.info("adopted topic %s with %d partition(s) found on disk", name, len(adopted.partitions))
    if deleted:
        nodes.multi([Delete(tree.deletion_path(name)) for name in sorted(deleted)])
    for topic in topics.values():
        engine.host_partitions(topic.name, topic.topic_id.bytes, configs.topic_texts(topic.name), topic.hosted())
    engine.publish_topics([topic.published() for topic in topics.values()])
    return Recovered(configs, list(topics.values()))


def _folders(engine: Engine) -> dict[str, dict[int, bytes | None]]:
    folders: defaultdict[str, dict[int, bytes | None]] = defaultdict(dict)
    for name, partition, topic_id in engine.partitions_on_disk():
        folders[name][partition] = topic_id
    return folders


def _note_extra(topic: Topic, partitions: Mapping[int, bytes | None]) -> None:
    extra = sorted(number for number in partitions if number >= len(topic.partitions))
    if extra:
        _log.warning("topic %s has %d partitions; folders %s are left alone", topic.name, len(topic.partitions), extra)


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
