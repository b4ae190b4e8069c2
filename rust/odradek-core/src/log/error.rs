//! What can go wrong with a log.

use std::io;

use thiserror::Error;

use crate::fs::Cold;
use crate::record::batch::BatchError;

/// An append, read or directory operation that failed. `net` maps each to a Kafka error code, `odradek-py` to an exception.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The bytes are not valid batches.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A batch is larger than `max.message.bytes`.
    #[error("record batch of {size} bytes is over max.message.bytes={max}")]
    BatchTooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// A batch is larger than a whole segment may be.
    #[error("record batches of {size} bytes are over segment.bytes={max}")]
    SegmentTooSmall {
        /// Size of the batches.
        size: usize,
        /// The limit.
        max: u64,
    },
    /// A record breaks a rule of the topic (null key on a compacted topic, wrong offsets inside, ...).
    #[error("invalid record: {0}")]
    InvalidRecord(String),
    /// A timestamp is outside the allowed window.
    #[error("timestamp {timestamp_ms} is outside the window the topic allows")]
    InvalidTimestamp {
        /// The timestamp, ms.
        timestamp_ms: i64,
    },
    /// zstd from a client too old for it, or a codec number that does not exist.
    #[error("compression codec {0} is not supported here")]
    UnsupportedCompression(u8),
    /// An idempotent producer skipped or repeated sequence numbers.
    #[error("producer {producer_id} epoch {epoch} sent sequence {found}, expected {expected}")]
    OutOfOrderSequence {
        /// Producer id.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// Next sequence that would be right.
        expected: i32,
        /// Sequence that came.
        found: i32,
    },
    /// A producer epoch older than one seen before.
    #[error("producer {producer_id} epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// Producer id.
        producer_id: i64,
        /// Epoch known.
        current: i16,
        /// Epoch that came.
        found: i16,
    },
    /// A transactional batch outside a transaction.
    #[error("producer {producer_id} is not in a transaction on this partition")]
    InvalidTxnState {
        /// Producer id.
        producer_id: i64,
    },
    /// The offset is below the log start or above what may be read.
    #[error("offset {offset} is outside {log_start_offset}..{end_offset}")]
    OffsetOutOfRange {
        /// Offset asked for.
        offset: i64,
        /// First offset there is.
        log_start_offset: i64,
        /// One past the last that may be read.
        end_offset: i64,
    },
    /// An earlier failed write or sync took the log directory offline; nothing is acknowledged any more.
    #[error("log directory is offline after an earlier I/O error: {0}")]
    LogDirOffline(String),
    /// The operating system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Files that contradict each other and can't be repaired from the log.
    #[error("corrupt log: {0}")]
    Corrupt(String),
    /// Another process holds the data directory.
    #[error("data directory {0} is locked by another broker")]
    Locked(String),
    /// The partition's log is closed or deleted.
    #[error("the log of {0} is closed")]
    Closed(String),
}

impl LogError {
    /// What a read that may not wait would have waited for, if it failed for that.
    #[must_use]
    pub fn cold(&self) -> Option<&Cold> {
        match self {
            Self::Io { source, .. } => Cold::of(source),
            _ => None,
        }
    }
}
