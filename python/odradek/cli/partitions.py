"""Which partitions a command is about: `--topic orders` or `--topic orders:0,2`, and their offsets."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from odradek.cli.cluster import Cluster
from odradek.cli.failures import CommandError

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin
    from odradek.client.admin.values import OffsetSpec

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


def expand(cluster: Cluster, admin: "Admin", wanted: Sequence[tuple[str, list[int] | None]]) -> list[Place]:
    """Return the partitions that `--topic` options name.

    Raises:
        CommandError: no such topic or partition.
    """
    places: set[Place] = set()
    for topic, numbers in wanted:
        count = len(cluster.topic(admin, topic).partitions)
        for number in range(count) if numbers is None else numbers:
            if number >= count:
                raise CommandError(f"topic {topic} has no partition {number}; it has {count}")
            places.add((topic, number))
    return sorted(places)


def offsets_at(cluster: Cluster, admin: "Admin", places: Iterable[Place], spec: "OffsetSpec") -> dict[Place, int]:
    """Return the offset of each partition that `spec` names; -1 where no record is as young as the time asked for.

    Partitions that are gone are left out.
    """
    from odradek.errors import KafkaError, UnknownTopicOrPartitionError
    from odradek.types import TopicPartition

    asked = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    with cluster.doing("find the offsets of partitions"):
        try:
            found = admin.list_offsets(asked)
        except KafkaError as error:
            if any(not isinstance(cause, UnknownTopicOrPartitionError) for cause in error.errors.values()):
                raise
            found = error.results
    return {(place.topic, place.partition): -1 if row is None else row.offset for place, row in found.items()}
