//! The values that cross the log's boundary.

use std::fmt;
use std::sync::Arc;

use crate::fs::LogFile;

/// A topic's name and a partition's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Who appends; it decides which rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request: every rule.
    Client,
    /// A coordinator of this broker: trusted, control batches allowed.
    Coordinator,
    /// A follower: offsets and epochs are taken as they are.
    Replication,
}

/// What an append gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record (of the first append, for a duplicate).
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The broker's time when the topic stamps at append, else -1.
    pub log_append_time_ms: i64,
    /// Log start offset at that moment.
    pub log_start_offset: i64,
    /// True when an idempotent producer had sent these batches before; nothing was written.
    pub duplicate: bool,
}

/// How far a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBound {
    /// Up to the last stable offset (`read_committed`).
    LastStableOffset,
    /// Up to the high watermark (`read_uncommitted`).
    HighWatermark,
    /// Everything (followers, coordinators, tools).
    LogEnd,
}

/// Whole batches inside one segment file.
#[derive(Clone)]
pub struct FileSlice {
    /// The segment's file; stays readable after the segment is deleted.
    pub file: Arc<dyn LogFile>,
    /// First byte.
    pub position: u64,
    /// Number of bytes.
    pub len: usize,
}

/// An aborted transaction that a `read_committed` reader must skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// Its first offset in that transaction.
    pub first_offset: i64,
}

/// What a read gave. `slice` is `None` when there is nothing at or after the offset below the bound.
pub struct ReadResult {
    /// Whole batches, the first of which contains the offset asked for.
    pub slice: Option<FileSlice>,
    /// High watermark.
    pub high_watermark: i64,
    /// Last stable offset.
    pub last_stable_offset: i64,
    /// Log start offset.
    pub log_start_offset: i64,
    /// Where the slice's bytes start in the buffer that the read was given, if they were few enough to load.
    pub loaded_at: Option<usize>,
    /// Sorted by first offset; only for [`ReadBound::LastStableOffset`].
    pub aborted: Option<Vec<AbortedTransaction>>,
}

/// A record found by timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its timestamp, ms.
    pub timestamp_ms: i64,
    /// Its offset.
    pub offset: i64,
    /// Leader epoch of its batch.
    pub leader_epoch: i32,
}
