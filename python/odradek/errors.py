"""Every error of odradek, in one tree. Kafka's codes and their classes are in `kafka_errors.py`, loaded when one is named.

    OdradekError
      KafkaError            answered by a broker; .code, .retriable, .refreshes_metadata
        RetriableError      mix-in: the same request may succeed later
        FatalError          mix-in: it won't
      ClientError           TimeoutError, NoBrokersAvailableError, BufferFullError, SerializationError, CommitFailedError,
                            CorruptRecordError, MaxPollExceededError, NoOffsetForPartitionError, RecordTooLargeError,
                            ClosedError, ForkedError, UsageError, DisconnectedError (also RetriableError)
      ProtocolError         LocalProtocolError (we built it wrong), RemoteProtocolError (the peer did)
      StorageError          CorruptBatchError, LogDirOfflineError, DataDirLockedError
      ConfigError           names the option, the value and what is allowed
      InternalError         a bug in odradek

Catch by how you react: `RetriableError` for "again later", `FatalError` for "give up", `OdradekError` for all.
This file imports nothing of ours before one of those is asked for.
"""

TYPE_CHECKING = False
"""Type checkers know the name; a start of a broker waits for this file, and `typing` is most of what it would load."""

__all__ = [
    "BufferFullError",
    "ClientError",
    "ClosedError",
    "CommitFailedError",
    "ConfigError",
    "CoordinatorLoadInProgressError",
    "CoordinatorNotAvailableError",
    "CorruptBatchError",
    "CorruptMessageError",
    "CorruptRecordError",
    "DataDirLockedError",
    "DisconnectedError",
    "ErrorCode",
    "FatalError",
    "ForkedError",
    "GroupIdNotFoundError",
    "InternalError",
    "InvalidConfigError",
    "InvalidGroupIdError",
    "InvalidPartitionsError",
    "InvalidReplicaAssignmentError",
    "InvalidReplicationFactorError",
    "InvalidRequestError",
    "InvalidTopicError",
    "KafkaError",
    "KafkaStorageError",
    "LocalProtocolError",
    "LogDirOfflineError",
    "MaxPollExceededError",
    "NoBrokersAvailableError",
    "NoOffsetForPartitionError",
    "NotControllerError",
    "NotCoordinatorError",
    "NotLeaderOrFollowerError",
    "OdradekError",
    "OffsetOutOfRangeError",
    "ProtocolError",
    "RecordTooLargeError",
    "RemoteProtocolError",
    "RequestTimedOutError",
    "RetriableError",
    "SerializationError",
    "StorageError",
    "TimeoutError",
    "TopicAlreadyExistsError",
    "UnknownServerError",
    "UnknownTopicOrPartitionError",
    "UnsupportedVersionError",
    "UsageError",
]

if TYPE_CHECKING:
    from odradek.kafka_errors import (
        CoordinatorLoadInProgressError,
        CoordinatorNotAvailableError,
        CorruptMessageError,
        ErrorCode,
        GroupIdNotFoundError,
        InvalidConfigError,
        InvalidGroupIdError,
        InvalidPartitionsError,
        InvalidReplicaAssignmentError,
        InvalidReplicationFactorError,
        InvalidRequestError,
        InvalidTopicError,
        KafkaError,
        KafkaStorageError,
        NotControllerError,
        NotCoordinatorError,
        NotLeaderOrFollowerError,
        OffsetOutOfRangeError,
        RequestTimedOutError,
        TopicAlreadyExistsError,
        UnknownServerError,
        UnknownTopicOrPartitionError,
        UnsupportedVersionError,
    )
else:

    def __getattr__(name: str) -> object:
        """Return what `kafka_errors` defines, loading it for the first such name."""
        if not name.startswith("_"):  # an import asks for `__path__`
            from importlib import import_module  # noqa: PLC0415 - a start does without these

            kafka_errors = import_module("odradek.kafka_errors")
            if name in kafka_errors.__all__:
                value = globals()[name] = getattr(kafka_errors, name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class OdradekError(Exception):
    """Base of every exception that odradek raises on purpose."""


class RetriableError:
    """Mix-in: the same request may succeed later."""


class FatalError:
    """Mix-in: trying again will not help."""


class ClientError(OdradekError):
    """Went wrong on our side of the connection."""


class TimeoutError(ClientError):  # noqa: A001  the name users expect beside asyncio's and concurrent.futures'
    """The time given ran out; the message says for what."""


class NoBrokersAvailableError(ClientError):
    """None of the bootstrap servers answered; the message lists each with its reason."""


class DisconnectedError(ClientError, RetriableError):
    """The connection ended before the answer came; the request may or may not have been carried out."""


class BufferFullError(ClientError):
    """`buffer_memory` stayed full for `max_block_ms`: the broker takes records more slowly than they are sent."""


class RecordTooLargeError(ClientError):
    """A record is larger than `max_request_size` or `buffer_memory` allow; it was not sent."""


class SerializationError(ClientError):
    """A serializer or deserializer failed; when reading, names the record, which can be skipped.

    Attributes:
        topic: of the record.
        partition: of the record; None when writing.
        offset: of the record; None when writing. `consumer.seek(TopicPartition(topic, partition), offset + 1)` skips it.
    """

    def __init__(
        self, message: str, *, topic: str | None = None, partition: int | None = None, offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.offset = offset


class CorruptRecordError(ClientError):
    """A fetched record batch fails its checksum, can't be decompressed or contradicts itself; the other partitions go on.

    Attributes:
        topic: of the batch.
        partition: of the batch.
        offset: the consumer's position, which it can't get past by itself.
        next_offset: first offset behind the batch; `consumer.seek(TopicPartition(topic, partition), next_offset)` skips it.
            A seek to any other offset inside the batch behind `offset` goes there too.
    """

    topic: str
    partition: int
    offset: int
    next_offset: int


class CommitFailedError(ClientError):
    """The offsets were not committed: the group has given the partitions to another member meanwhile."""


class MaxPollExceededError(ClientError):
    """The time between two polls was longer than `max_poll_interval_ms`; the group has taken the partitions away."""


class NoOffsetForPartitionError(ClientError):
    """There is no committed offset and `auto_offset_reset` is `none`."""

    topic: str
    partition: int


class UsageError(ClientError):
    """The call doesn't fit: two threads at once, or something that has to come first is missing; the message says what."""


class ClosedError(ClientError):
    """The client has been closed."""


class ForkedError(ClientError):
    """The client was made before a fork and used in the child. Make a new one after the fork."""


class ProtocolError(OdradekError):
    """Bytes that don't follow the protocol."""


class LocalProtocolError(ProtocolError):
    """We were about to send something wrong: a bug in odradek."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that can't be read."""


class StorageError(OdradekError):
    """The data directory or something in it."""


class CorruptBatchError(StorageError):
    """A record batch that fails its checksum or contradicts itself; nothing of it was taken."""


class LogDirOfflineError(StorageError):
    """A write or sync failed earlier; the directory takes nothing more until the broker is started again."""


class DataDirLockedError(StorageError):
    """Another broker holds the data directory."""


class ConfigError(OdradekError):
    """A configuration name or value that isn't allowed; says which, and what is."""


class InternalError(OdradekError):
    """A bug in odradek. Please report it with the message."""
