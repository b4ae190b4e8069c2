//! The error codes that Rust answers with, and which failure of the log is which.
//!
//! The whole table with sentences is Python's `errors.ErrorCode`.

use crate::log::error::LogError;
use crate::record::batch::BatchError;

/// A Kafka error code. Source: Kafka's `Errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
#[allow(missing_docs)]
pub enum ErrorCode {
    UnknownServerError = -1,
    None = 0,
    OffsetOutOfRange = 1,
    CorruptMessage = 2,
    UnknownTopicOrPartition = 3,
    LeaderNotAvailable = 5,
    NotLeaderOrFollower = 6,
    RequestTimedOut = 7,
    MessageTooLarge = 10,
    InvalidTopic = 17,
    RecordListTooLarge = 18,
    NotEnoughReplicas = 19,
    NotEnoughReplicasAfterAppend = 20,
    InvalidRequiredAcks = 21,
    InvalidTimestamp = 32,
    UnsupportedVersion = 35,
    InvalidRequest = 42,
    PolicyViolation = 44,
    OutOfOrderSequenceNumber = 45,
    InvalidProducerEpoch = 47,
    InvalidTxnState = 48,
    InvalidProducerIdMapping = 49,
    TransactionalIdAuthorizationFailed = 53,
    KafkaStorageError = 56,
    FetchSessionIdNotFound = 70,
    InvalidFetchSessionEpoch = 71,
    FencedLeaderEpoch = 74,
    UnknownLeaderEpoch = 75,
    UnsupportedCompressionType = 76,
    InvalidRecord = 87,
    UnknownTopicId = 100,
    FetchSessionTopicIdError = 106,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }
}

impl From<&LogError> for ErrorCode {
    fn from(error: &LogError) -> Self {
        match error {
            LogError::Batch(BatchError::UnsupportedMagic(0 | 1) | BatchError::Truncated { .. })
            | LogError::InvalidRecord(_) => Self::InvalidRecord,
            LogError::Batch(_) => Self::CorruptMessage,
            LogError::BatchTooLarge { .. } => Self::MessageTooLarge,
            LogError::SegmentTooSmall { .. } => Self::RecordListTooLarge,
            LogError::InvalidTimestamp { .. } => Self::InvalidTimestamp,
            LogError::UnsupportedCompression(_) => Self::UnsupportedCompressionType,
            LogError::OutOfOrderSequence { .. } => Self::OutOfOrderSequenceNumber,
            LogError::InvalidProducerEpoch { .. } => Self::InvalidProducerEpoch,
            LogError::InvalidTxnState { .. } => Self::InvalidTxnState,
            LogError::OffsetOutOfRange { .. } => Self::OffsetOutOfRange,
            LogError::LogDirOffline(_) | LogError::Io { .. } | LogError::Corrupt(_) | LogError::Locked(_) => {
                Self::KafkaStorageError
            }
            LogError::Closed(_) => Self::NotLeaderOrFollower,
        }
    }
}
