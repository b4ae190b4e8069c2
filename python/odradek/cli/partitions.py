"""Which partitions a command is about: `--topic orders` or `--topic orders:0,2`, and their offsets."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from odradek.cli.cluster import Cluster
from odradek.cli.failures import CommandError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, OffsetSpec

__all__ = ["TOPIC_PARTITIONS", "Place", "expand", "offsets_at"]

Place = tuple[str, int]
"""Topic and partition."""


class TopicPartitions(click.ParamType[tuple[str, list[int] | None]]):
    """`topic` or `topic:0,1`, as (topic, partition numbers or None for all)."""

    name = "topic[:partition,...]"

    def convert(
        self,
        value: str | tuple[str, list[int] | None],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, list[int] | None]:
        """Read one value."""
        if isinstance(value, tuple):
            return value
        topic, colon, numbers = value.partition(":")
        listed = numbers.split(",")
        if not topic or (colon and not all(number.isdecimal() for number in listed)):
            self.fail(f"{value!r} is not of the form topic or topic:0,1", param, ctx)
        return topic, sorted({int(number) for number in listed}) if colon else None


TOPIC_PARTITIONS = TopicPartitions()


def expand(cluster: Cluster, admin: "AdminClient", wanted: Sequence[tuple[str, list[int] | None]]) -> list[Place]:
    """Return the partitions that `--topic` options name.

    Raises:
        CommandError: no such topic or partition.
    """
    places: set[Place] = set()
    for topic, numbers in wanted:
        there = cluster.topic(admin, topic).partitions
        for number in there if numbers is None else numbers:
            if number not in there:
                raise CommandError(f"topic {topic} has no partition {number}; it has {len(there)}")
            places.add((topic, number))
    return sorted(places)


def offsets_at(cluster: Cluster, admin: "AdminClient", places: Iterable[Place], spec: "OffsetSpec") -> dict[Place, int]:
    """Return the offset of each partition that `spec` names; -1 where no record is as young as the time asked for.

    Partitions that are gone are left out.
    """
    from confluent_kafka import TopicPartition

    asked = {TopicPartition(topic, number): spec for topic, number in places}
    if not asked:
        return {}
    found = {}
    for place, future in admin.list_offsets(asked, request_timeout=cluster.timeout).items():
        try:
            found[place.topic, place.partition] = cluster.result(
                future, f"find the offsets of {place.topic}-{place.partition}"
            ).offset
        except CommandError as error:
            if not _is_gone(error):
                raise
    return found


def _is_gone(error: CommandError) -> bool:
    from confluent_kafka import KafkaError, KafkaException

    cause = error.__cause__
    codes = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001
    return isinstance(cause, KafkaException) and cause.args[0].code() in codes
