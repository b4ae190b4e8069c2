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

/// Codes after which the same request may succeed later.
const RETRIABLE: [i16; 32] = [
    2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106,
    122, 123, 133,
];
/// Codes that say that the client's metadata may be old.
const REFRESHES_METADATA: [i16; 14] = [3, 5, 6, 9, 13, 41, 56, 72, 74, 80, 83, 84, 100, 103];

/// True when the same request may succeed later.
#[must_use]
pub fn is_retriable(code: i16) -> bool {
    RETRIABLE.contains(&code)
}

/// True when a client should ask for Metadata before it tries again.
#[must_use]
pub fn refreshes_metadata(code: i16) -> bool {
    REFRESHES_METADATA.contains(&code)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of codes lives in Python; ours says the same of each row.
    #[test]
    fn reactions_are_those_of_the_python_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/odradek/errors.py");
        let table = std::fs::read_to_string(path).expect("the table");
        let mut rows = 0;
        for line in table.lines() {
            let Some((name, row)) = line.trim().split_once(" = ") else { continue };
            let mut cells = row.splitn(3, ", ");
            let (Some(Ok(code)), Some(reaction)) = (cells.next().map(str::parse::<i16>), cells.next()) else {
                continue;
            };
            rows += 1;
            assert_eq!(is_retriable(code), matches!(reaction, "_RETRY" | "_REFRESH"), "{name}");
            assert_eq!(refreshes_metadata(code), reaction == "_REFRESH", "{name}");
        }
        assert!(rows > 100, "the table was not understood: {rows} rows");
    }
}
