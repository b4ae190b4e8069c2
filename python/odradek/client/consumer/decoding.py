"""Records with keys and values decoded by the user's deserializers. Without any, the native records are handed out.

A record that can't be decoded is raised as a SerializationError when it is the first of a poll; before that, the
records in front of it are handed out. It and all behind it are put back, so nothing is lost: polling again brings it
again, and `seek(TopicPartition(...), offset + 1)` skips it. Ctrl-C while a deserializer works puts all of them back.
"""

from collections.abc import Callable, Sequence
from typing import Any

from odradek.client.consumer.record import Record
from odradek.client.consumer.unread import first_offsets
from odradek.client.serializers import Deserializer, deserializer
from odradek.config.client import ClientOptions
from odradek.errors import SerializationError

__all__ = ["decoder"]

Decode = Callable[[Sequence[Any]], list[Any]]


def decoder(options: ClientOptions, fetcher: Any) -> Decode | None:
    """Return a function from native records to decoded ones, None when nothing is to be decoded."""
    key = _named(options, "key.deserializer")
    value = _named(options, "value.deserializer")
    if key is None and value is None:
        return None

    def decode(records: Sequence[Any]) -> list[Any]:
        out: list[Any] = []
        for one in records:
            try:
                out.append(_decoded(one, key, value))
            except Exception as error:
                put_back(records[len(out) :])
                if out:
                    return out
                raise _poison(one, error) from error
            except BaseException:  # Ctrl-C in a deserializer: nobody gets any of these records
                put_back(records)
                raise
        return out

    def put_back(records: Sequence[Any]) -> None:
        for (topic, partition), offset in first_offsets(records).items():
            fetcher.set_position(topic, partition, offset, -1)

    return decode


def _named(options: ClientOptions, name: str) -> Deserializer | None:
    return options.callables.get(name) or deserializer(options.text(name))


def _decoded(one: Any, key: Deserializer | None, value: Deserializer | None) -> Record:
    raw_key, raw_value = one.key, one.value
    return Record(
        one.topic,
        one.partition,
        one.offset,
        one.timestamp_ms,
        one.timestamp_type,
        raw_key if key is None or raw_key is None else key(raw_key),
        raw_value if value is None or raw_value is None else value(raw_value),
        one.headers,
        one.leader_epoch,
        one.key_size,
        one.value_size,
    )


def _poison(one: Any, error: Exception) -> SerializationError:
    return SerializationError(
        f"record {one.topic}-{one.partition} offset {one.offset} can't be decoded: {error!r}. It was not handed out; "
        f"consumer.seek(TopicPartition({one.topic!r}, {one.partition}), {one.offset + 1}) skips it",
        topic=one.topic,
        partition=one.partition,
        offset=one.offset,
    )
