"""Kafka's table of error codes, and the exception of each code that has one of its own: what a broker answers.

The rest of the tree is in `errors.py`, which gives these names out too and is where to import them from: the table takes
3 ms to make, and a start of a broker does without it. Source of the codes: Kafka `Errors`.
"""

from enum import IntEnum
from typing import Any, ClassVar, Self

from odradek.errors import FatalError, OdradekError, RetriableError

__all__ = [
    "CoordinatorLoadInProgressError",
    "CoordinatorNotAvailableError",
    "CorruptMessageError",
    "ErrorCode",
    "GroupIdNotFoundError",
    "InvalidConfigError",
    "InvalidGroupIdError",
    "InvalidPartitionsError",
    "InvalidReplicaAssignmentError",
    "InvalidReplicationFactorError",
    "InvalidRequestError",
    "InvalidTopicError",
    "KafkaError",
    "KafkaStorageError",
    "NotControllerError",
    "NotCoordinatorError",
    "NotLeaderOrFollowerError",
    "OffsetOutOfRangeError",
    "RequestTimedOutError",
    "TopicAlreadyExistsError",
    "UnknownServerError",
    "UnknownTopicOrPartitionError",
    "UnsupportedVersionError",
]

_FATAL = (False, False)
_RETRY = (True, False)
_REFRESH = (True, True)


class ErrorCode(IntEnum):
    """Kafka's error codes. Numbers never change; `.retriable`, `.refreshes_metadata` and `.text` describe each."""

    retriable: bool
    """The same request may succeed later."""
    refreshes_metadata: bool
    """A client should ask for Metadata before it tries again."""
    text: str
    """What it means, in one sentence."""

    def __new__(cls, value: int, reaction: tuple[bool, bool], text: str) -> Self:
        """Make a row from number, (retriable, refreshes metadata) and sentence."""
        row = int.__new__(cls, value)
        row._value_ = value
        row.retriable, row.refreshes_metadata = reaction
        row.text = text
        return row

    UNKNOWN_SERVER_ERROR = -1, _FATAL, "The broker failed in a way it has no code for; its log says more."
    NONE = 0, _FATAL, "No error."
    OFFSET_OUT_OF_RANGE = 1, _FATAL, "The offset is below the log start or above what may be read."
    CORRUPT_MESSAGE = 2, _RETRY, "A record batch fails its checksum, has a wrong size or can't be parsed."
    UNKNOWN_TOPIC_OR_PARTITION = 3, _REFRESH, "The broker doesn't know this topic, or the topic has no such partition."
    INVALID_FETCH_SIZE = 4, _FATAL, "The fetch size is not allowed."
    LEADER_NOT_AVAILABLE = 5, _REFRESH, "The partition has no leader at the moment."
    NOT_LEADER_OR_FOLLOWER = 6, _REFRESH, "This broker doesn't lead (or follow) the partition any more."
    REQUEST_TIMED_OUT = 7, _RETRY, "The request's time ran out before it was done."
    BROKER_NOT_AVAILABLE = 8, _FATAL, "The broker is not there."
    REPLICA_NOT_AVAILABLE = 9, _REFRESH, "The replica is not there."
    MESSAGE_TOO_LARGE = 10, _FATAL, "A record batch is larger than max.message.bytes."
    STALE_CONTROLLER_EPOCH = 11, _FATAL, "An older controller spoke."
    OFFSET_METADATA_TOO_LARGE = 12, _FATAL, "The metadata of a commit is longer than offset.metadata.max.bytes."
    NETWORK_EXCEPTION = 13, _REFRESH, "The connection ended before the answer came."
    COORDINATOR_LOAD_IN_PROGRESS = 14, _RETRY, "The coordinator is still reading its log."
    COORDINATOR_NOT_AVAILABLE = 15, _RETRY, "There is no coordinator at the moment."
    NOT_COORDINATOR = 16, _RETRY, "This broker doesn't coordinate the group or transactional id any more."
    INVALID_TOPIC_EXCEPTION = 17, _FATAL, "The topic name breaks the rules, or the topic is internal."
    RECORD_LIST_TOO_LARGE = 18, _FATAL, "The record batches are larger than a segment may be."
    NOT_ENOUGH_REPLICAS = 19, _RETRY, "Fewer replicas are in sync than min.insync.replicas; nothing was written."
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, _RETRY, "Written, but fewer replicas than min.insync.replicas have it."
    INVALID_REQUIRED_ACKS = 21, _FATAL, "acks is neither 0, 1 nor -1 (all)."
    ILLEGAL_GENERATION = 22, _FATAL, "The group is in another generation."
    INCONSISTENT_GROUP_PROTOCOL = 23, _FATAL, "The member has no assignment protocol in common with the group."
    INVALID_GROUP_ID = 24, _FATAL, "The group id is empty or not allowed here."
    UNKNOWN_MEMBER_ID = 25, _FATAL, "The group has no such member."
    INVALID_SESSION_TIMEOUT = 26, _FATAL, "The session time-out is outside the broker's limits."
    REBALANCE_IN_PROGRESS = 27, _FATAL, "The group is rebalancing; rejoin it."
    INVALID_COMMIT_OFFSET_SIZE = 28, _FATAL, "The commit is too large."
    TOPIC_AUTHORIZATION_FAILED = 29, _FATAL, "Not allowed on this topic."
    GROUP_AUTHORIZATION_FAILED = 30, _FATAL, "Not allowed on this group."
    CLUSTER_AUTHORIZATION_FAILED = 31, _FATAL, "Not allowed on this cluster."
    INVALID_TIMESTAMP = 32, _FATAL, "A record's timestamp is outside the window the topic allows."
    UNSUPPORTED_SASL_MECHANISM = 33, _FATAL, "The broker doesn't offer this SASL mechanism."
    ILLEGAL_SASL_STATE = 34, _FATAL, "This request doesn't fit the state of the SASL exchange."
    UNSUPPORTED_VERSION = 35, _FATAL, "The broker doesn't serve this version of the API."
    TOPIC_ALREADY_EXISTS = 36, _FATAL, "A topic of this name exists."
    INVALID_PARTITIONS = 37, _FATAL, "The number of partitions is below 1 or not more than the present one."
    INVALID_REPLICATION_FACTOR = 38, _FATAL, "The replication factor is below 1 or above the number of brokers."
    INVALID_REPLICA_ASSIGNMENT = 39, _FATAL, "The replica assignment is inconsistent."
    INVALID_CONFIG = 40, _FATAL, "A configuration name or value is not allowed."
    NOT_CONTROLLER = 41, _REFRESH, "This broker is not the controller."
    INVALID_REQUEST = 42, _FATAL, "The request contradicts itself."
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, _FATAL, "The record format can't carry what was asked."
    POLICY_VIOLATION = 44, _FATAL, "A policy of the cluster forbids it."
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, _FATAL, "An idempotent producer skipped sequence numbers."
    DUPLICATE_SEQUENCE_NUMBER = (
        46,
        _FATAL,
        "These records were appended before, longer ago than the broker remembers where.",
    )
    INVALID_PRODUCER_EPOCH = 47, _FATAL, "A newer instance of this producer has taken over."
    INVALID_TXN_STATE = 48, _FATAL, "The operation doesn't fit the state of the transaction."
    INVALID_PRODUCER_ID_MAPPING = 49, _FATAL, "The producer id is not the transactional id's."
    INVALID_TRANSACTION_TIMEOUT = 50, _FATAL, "The transaction time-out is above transaction.max.timeout.ms."
    CONCURRENT_TRANSACTIONS = 51, _RETRY, "Another operation on this transaction is under way."
    TRANSACTION_COORDINATOR_FENCED = 52, _FATAL, "An older transaction coordinator spoke."
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, _FATAL, "No transactional id was given, or it isn't allowed."
    SECURITY_DISABLED = 54, _FATAL, "The broker runs without the security feature asked for."
    OPERATION_NOT_ATTEMPTED = 55, _FATAL, "Not tried, because another part of the request failed."
    KAFKA_STORAGE_ERROR = 56, _REFRESH, "The broker's disk failed."
    LOG_DIR_NOT_FOUND = 57, _FATAL, "The broker has no such log directory."
    SASL_AUTHENTICATION_FAILED = 58, _FATAL, "The credentials were refused."
    UNKNOWN_PRODUCER_ID = 59, _FATAL, "The broker remembers nothing of this producer id."
    REASSIGNMENT_IN_PROGRESS = 60, _FATAL, "The partition is being reassigned."
    DELEGATION_TOKEN_AUTH_DISABLED = 61, _FATAL, "Delegation tokens are off."
    DELEGATION_TOKEN_NOT_FOUND = 62, _FATAL, "There is no such delegation token."
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, _FATAL, "The delegation token belongs to somebody else."
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, _FATAL, "Delegation tokens can't be asked for over this connection."
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, _FATAL, "Not allowed on this delegation token."
    DELEGATION_TOKEN_EXPIRED = 66, _FATAL, "The delegation token has expired."
    INVALID_PRINCIPAL_TYPE = 67, _FATAL, "The principal type is not supported."
    NON_EMPTY_GROUP = 68, _FATAL, "The group has members."
    GROUP_ID_NOT_FOUND = 69, _FATAL, "There is no such group."
    FETCH_SESSION_ID_NOT_FOUND = 70, _RETRY, "The broker has dropped this fetch session."
    INVALID_FETCH_SESSION_EPOCH = 71, _RETRY, "The fetch session expected another epoch."
    LISTENER_NOT_FOUND = 72, _REFRESH, "The leader has no listener of the name used."
    TOPIC_DELETION_DISABLED = 73, _FATAL, "Topics can't be deleted here (delete.topic.enable)."
    FENCED_LEADER_EPOCH = 74, _REFRESH, "The request's leader epoch is older than the broker's."
    UNKNOWN_LEADER_EPOCH = 75, _RETRY, "The request's leader epoch is newer than the broker's."
    UNSUPPORTED_COMPRESSION_TYPE = 76, _FATAL, "The API version in use can't carry this compression."
    STALE_BROKER_EPOCH = 77, _FATAL, "The broker has registered again since."
    OFFSET_NOT_AVAILABLE = 78, _RETRY, "The new leader doesn't know its high watermark yet."
    MEMBER_ID_REQUIRED = 79, _FATAL, "Join again with the member id in this answer."
    PREFERRED_LEADER_NOT_AVAILABLE = 80, _REFRESH, "The preferred leader is not there."
    GROUP_MAX_SIZE_REACHED = 81, _FATAL, "The group is full (group.max.size)."
    FENCED_INSTANCE_ID = 82, _FATAL, "Another member has taken this group.instance.id."
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, _REFRESH, "No replica may become leader."
    ELECTION_NOT_NEEDED = 84, _REFRESH, "The leader is the right one already."
    NO_REASSIGNMENT_IN_PROGRESS = 85, _FATAL, "There is no reassignment to cancel or list."
    GROUP_SUBSCRIBED_TO_TOPIC = 86, _FATAL, "The group still consumes this topic."
    INVALID_RECORD = 87, _FATAL, "A record breaks a rule of the topic."
    UNSTABLE_OFFSET_COMMIT = 88, _RETRY, "A transaction that commits offsets is still open."
    THROTTLING_QUOTA_EXCEEDED = 89, _RETRY, "The quota is used up for now."
    PRODUCER_FENCED = 90, _FATAL, "A newer instance of this transactional producer has taken over."
    RESOURCE_NOT_FOUND = 91, _FATAL, "There is no such resource."
    DUPLICATE_RESOURCE = 92, _FATAL, "The resource is named twice."
    UNACCEPTABLE_CREDENTIAL = 93, _FATAL, "The credential breaks a rule."
    INCONSISTENT_VOTER_SET = 94, _FATAL, "The voters disagree about who votes."
    INVALID_UPDATE_VERSION = 95, _FATAL, "The update names a version that can't be."
    FEATURE_UPDATE_FAILED = 96, _FATAL, "The feature could not be updated."
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, _FATAL, "A forwarded principal can't be read."
    SNAPSHOT_NOT_FOUND = 98, _FATAL, "There is no such snapshot."
    POSITION_OUT_OF_RANGE = 99, _FATAL, "The position is outside the snapshot."
    UNKNOWN_TOPIC_ID = 100, _REFRESH, "The broker doesn't know this topic id."
    DUPLICATE_BROKER_REGISTRATION = 101, _FATAL, "A live broker has this id already."
    BROKER_ID_NOT_REGISTERED = 102, _FATAL, "No broker of this id is registered."
    INCONSISTENT_TOPIC_ID = 103, _REFRESH, "The log's topic id differs from the request's."
    INCONSISTENT_CLUSTER_ID = 104, _FATAL, "The request is for another cluster."
    TRANSACTIONAL_ID_NOT_FOUND = 105, _FATAL, "There is no such transactional id."
    FETCH_SESSION_TOPIC_ID_ERROR = 106, _RETRY, "The fetch session mixes topic names and topic ids."
    INELIGIBLE_REPLICA = 107, _FATAL, "The replica may not join the in-sync replicas."
    NEW_LEADER_ELECTED = 108, _FATAL, "A new leader has taken over."
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, _FATAL, "The offset has moved to tiered storage."
    FENCED_MEMBER_EPOCH = 110, _FATAL, "The member's epoch is not the group's; rejoin."
    UNRELEASED_INSTANCE_ID = 111, _FATAL, "The instance id is still held by another member."
    UNSUPPORTED_ASSIGNOR = 112, _FATAL, "The broker has no such assignor."
    STALE_MEMBER_EPOCH = 113, _FATAL, "The member's epoch is old; retry with the new one."
    MISMATCHED_ENDPOINT_TYPE = 114, _FATAL, "The request went to the wrong kind of endpoint."
    UNSUPPORTED_ENDPOINT_TYPE = 115, _FATAL, "This kind of endpoint is not supported."
    UNKNOWN_CONTROLLER_ID = 116, _FATAL, "There is no such controller."
    UNKNOWN_SUBSCRIPTION_ID = 117, _FATAL, "The telemetry subscription has changed; ask for it again."
    TELEMETRY_TOO_LARGE = 118, _FATAL, "The telemetry is larger than allowed."
    INVALID_REGISTRATION = 119, _FATAL, "The broker's registration is not valid."
    TRANSACTION_ABORTABLE = 120, _FATAL, "The transaction must be aborted."
    INVALID_RECORD_STATE = 121, _FATAL, "The share-group record is not in a state that allows it."
    SHARE_SESSION_NOT_FOUND = 122, _RETRY, "The broker has dropped this share session."
    INVALID_SHARE_SESSION_EPOCH = 123, _RETRY, "The share session expected another epoch."
    FENCED_STATE_EPOCH = 124, _FATAL, "An older share coordinator spoke."
    INVALID_VOTER_KEY = 125, _FATAL, "The voter key is not the receiving replica's."
    DUPLICATE_VOTER = 126, _FATAL, "The voter is in the set already."
    VOTER_NOT_FOUND = 127, _FATAL, "The voter is not in the set."
    INVALID_REGULAR_EXPRESSION = 128, _FATAL, "The regular expression can't be read."
    REBOOTSTRAP_REQUIRED = 129, _FATAL, "The client's metadata is too old; start again from the bootstrap servers."
    STREAMS_INVALID_TOPOLOGY = 130, _FATAL, "The streams topology is not valid."
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, _FATAL, "The streams topology epoch is not valid."
    STREAMS_TOPOLOGY_FENCED = 132, _FATAL, "The streams topology epoch is old."
    SHARE_SESSION_LIMIT_REACHED = 133, _RETRY, "The broker has no room for another share session."


_ROW_OF = {row.value: row for row in ErrorCode}


_CLASS_OF: dict[ErrorCode, type["KafkaError"]] = {}


class KafkaError(OdradekError):
    """An error code that a broker answered (or, inside the broker, is about to answer)."""

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN_SERVER_ERROR

    def __init__(self, message: str = "", *, code: ErrorCode | None = None) -> None:
        self._code = type(self).code if code is None else code
        self.errors: dict[Any, KafkaError] = {}
        """Of a call about several things (`Admin`): each one that failed and why."""
        self.results: dict[Any, Any] = {}
        """Of a call about several things: what came of those that did not fail."""
        super().__init__(message or self._code.text)

    def __init_subclass__(cls) -> None:
        """Register the class as the one of its code."""
        if _CLASS_OF.setdefault(cls.code, cls) is not cls:
            raise TypeError(f"{cls.__name__} and {_CLASS_OF[cls.code].__name__} claim the same error code")

    @property
    def error_code(self) -> ErrorCode:
        """The row of the table."""
        return self._code

    @property
    def retriable(self) -> bool:
        """True when the same request may succeed later."""
        return self._code.retriable

    @property
    def refreshes_metadata(self) -> bool:
        """True when Metadata should be asked for first."""
        return self._code.refreshes_metadata

    @staticmethod
    def of(code: int, message: str = "") -> "KafkaError":
        """Return the exception of a code: its own class where there is one, else a plain KafkaError."""
        row = _ROW_OF.get(code)
        if row is None:
            return KafkaError(message or f"the broker answered error code {code}, which this version does not know")
        cls = _CLASS_OF.get(row)
        return KafkaError(message, code=row) if cls is None else cls(message)


class CorruptMessageError(KafkaError, RetriableError):
    """CORRUPT_MESSAGE (2)."""

    code = ErrorCode.CORRUPT_MESSAGE


class CoordinatorLoadInProgressError(KafkaError, RetriableError):
    """COORDINATOR_LOAD_IN_PROGRESS (14)."""

    code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


class CoordinatorNotAvailableError(KafkaError, RetriableError):
    """COORDINATOR_NOT_AVAILABLE (15)."""

    code = ErrorCode.COORDINATOR_NOT_AVAILABLE


class GroupIdNotFoundError(KafkaError, FatalError):
    """GROUP_ID_NOT_FOUND (69)."""

    code = ErrorCode.GROUP_ID_NOT_FOUND


class InvalidConfigError(KafkaError, FatalError):
    """INVALID_CONFIG (40)."""

    code = ErrorCode.INVALID_CONFIG


class InvalidGroupIdError(KafkaError, FatalError):
    """INVALID_GROUP_ID (24)."""

    code = ErrorCode.INVALID_GROUP_ID


class InvalidPartitionsError(KafkaError, FatalError):
    """INVALID_PARTITIONS (37)."""

    code = ErrorCode.INVALID_PARTITIONS


class InvalidReplicaAssignmentError(KafkaError, FatalError):
    """INVALID_REPLICA_ASSIGNMENT (39)."""

    code = ErrorCode.INVALID_REPLICA_ASSIGNMENT


class InvalidReplicationFactorError(KafkaError, FatalError):
    """INVALID_REPLICATION_FACTOR (38)."""

    code = ErrorCode.INVALID_REPLICATION_FACTOR


class InvalidRequestError(KafkaError, FatalError):
    """INVALID_REQUEST (42)."""

    code = ErrorCode.INVALID_REQUEST


class InvalidTopicError(KafkaError, FatalError):
    """INVALID_TOPIC_EXCEPTION (17)."""

    code = ErrorCode.INVALID_TOPIC_EXCEPTION


class KafkaStorageError(KafkaError, RetriableError):
    """KAFKA_STORAGE_ERROR (56)."""

    code = ErrorCode.KAFKA_STORAGE_ERROR


class NotControllerError(KafkaError, RetriableError):
    """NOT_CONTROLLER (41)."""

    code = ErrorCode.NOT_CONTROLLER


class NotCoordinatorError(KafkaError, RetriableError):
    """NOT_COORDINATOR (16)."""

    code = ErrorCode.NOT_COORDINATOR


class NotLeaderOrFollowerError(KafkaError, RetriableError):
    """NOT_LEADER_OR_FOLLOWER (6)."""

    code = ErrorCode.NOT_LEADER_OR_FOLLOWER


class OffsetOutOfRangeError(KafkaError, FatalError):
    """OFFSET_OUT_OF_RANGE (1)."""

    code = ErrorCode.OFFSET_OUT_OF_RANGE


class RequestTimedOutError(KafkaError, RetriableError):
    """REQUEST_TIMED_OUT (7)."""

    code = ErrorCode.REQUEST_TIMED_OUT


class TopicAlreadyExistsError(KafkaError, FatalError):
    """TOPIC_ALREADY_EXISTS (36)."""

    code = ErrorCode.TOPIC_ALREADY_EXISTS


class UnknownServerError(KafkaError, FatalError):
    """UNKNOWN_SERVER_ERROR (-1)."""

    code = ErrorCode.UNKNOWN_SERVER_ERROR


class UnknownTopicOrPartitionError(KafkaError, RetriableError):
    """UNKNOWN_TOPIC_OR_PARTITION (3)."""

    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


class UnsupportedVersionError(KafkaError, FatalError):
    """UNSUPPORTED_VERSION (35)."""

    code = ErrorCode.UNSUPPORTED_VERSION
