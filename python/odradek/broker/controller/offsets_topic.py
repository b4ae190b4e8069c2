"""`__consumer_offsets`: made when the first group needs it, with the settings its compaction relies on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odradek.broker.controller.names import OFFSETS_TOPIC
from odradek.broker.controller.new_topic import NewTopic
from odradek.config.broker import BrokerSettings
from odradek.errors import CoordinatorNotAvailableError, KafkaError, TopicAlreadyExistsError

if TYPE_CHECKING:
    from odradek.broker.controller.topics import Topics

__all__ = ["OffsetsTopic", "offsets_topic_configs"]


def offsets_topic_configs(settings: BrokerSettings) -> Mapping[str, str]:
    """Return the topic's own settings. Source: Kafka `GroupCoordinatorService.groupMetadataTopicConfigs`."""
    return {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": str(settings.number("offsets.topic.segment.bytes")),
    }


class OffsetsTopic:
    """The group coordinator's view of its topic."""

    def __init__(self, topics: "Topics", settings: BrokerSettings) -> None:
        self._topics = topics
        self._settings = settings

    def partition_count(self) -> int:
        """Return the number of partitions, 0 while the topic does not exist."""
        topic = self._topics.get(OFFSETS_TOPIC)
        return 0 if topic is None else len(topic.partitions)

    def wish(self) -> NewTopic:
        """Return what the topic shall be."""
        return NewTopic(
            OFFSETS_TOPIC,
            self._settings.number("offsets.topic.num.partitions"),
            self._settings.number("offsets.topic.replication.factor"),
            configs=offsets_topic_configs(self._settings),
        )

    async def create(self) -> int:
        """Create the topic if it does not exist; return its number of partitions.

        Raises:
            CoordinatorNotAvailableError (15): it can't be made, for example because of its replication factor.
        """
        if not self.partition_count():
            result = (await self._topics.create([self.wish()]))[OFFSETS_TOPIC]
            if isinstance(result, KafkaError) and not isinstance(result, TopicAlreadyExistsError):
                raise CoordinatorNotAvailableError(f"{OFFSETS_TOPIC}: {result}")
        return self.partition_count()
