//! One partition's log: append, read, look up, truncate, retire.

use std::sync::Arc;

use bytes::Bytes;

use super::config::LogConfig;
use super::error::LogError;
use super::types::{AppendInfo, AppendOrigin, ReadBound, ReadResult, TimestampOffset, TopicPartition};

/// The segments of one partition. Appends are serialised by a lock of this partition's own; reads and the offset
/// getters take no lock that an append holds across I/O.
pub struct PartitionLog {}

impl PartitionLog {
    /// Which partition this is.
    pub fn topic_partition(&self) -> &TopicPartition {
        todo!()
    }

    /// The effective configuration now.
    pub fn config(&self) -> Arc<LogConfig> {
        todo!()
    }

    /// Validates and appends one or more whole batches; base offsets and leader epoch are assigned here.
    /// A partial batch after a whole one is trimmed. All or nothing. Does not move the high watermark.
    pub fn append(&self, batches: &Bytes, leader_epoch: i32, origin: AppendOrigin) -> Result<AppendInfo, LogError> {
        let _ = (batches, leader_epoch, origin);
        todo!()
    }

    /// Whole batches from the one that contains `offset`, at most `max_bytes` of one segment, but with `at_least_one`
    /// always the first batch whatever its size. An offset equal to the bound gives `slice: None`.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        bound: ReadBound,
    ) -> Result<ReadResult, LogError> {
        let _ = (offset, max_bytes, at_least_one, bound);
        todo!()
    }

    /// First offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        todo!()
    }
    /// One past the last record appended.
    pub fn log_end_offset(&self) -> i64 {
        todo!()
    }
    /// One past the last record that consumers may see.
    pub fn high_watermark(&self) -> i64 {
        todo!()
    }
    /// First offset of the oldest open transaction, else the high watermark.
    pub fn last_stable_offset(&self) -> i64 {
        todo!()
    }

    /// Moves the high watermark up to `offset` (never down, never past the end). True when it moved.
    pub fn advance_high_watermark(&self, offset: i64) -> bool {
        let _ = offset;
        todo!()
    }

    /// First record, in offset order, whose timestamp is at least `timestamp_ms` (ListOffsets by time), exact.
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampOffset>, LogError> {
        let _ = timestamp_ms;
        todo!()
    }

    /// The record with the greatest timestamp (ListOffsets -3).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampOffset>, LogError> {
        todo!()
    }

    /// (largest epoch ≤ `epoch`, its end offset), or `None` when there is no such epoch: OffsetForLeaderEpoch.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let _ = epoch;
        todo!()
    }

    /// Leader epoch of the last batch appended, -1 for an empty log.
    pub fn latest_epoch(&self) -> i32 {
        todo!()
    }

    /// Leader epoch of the batch at `offset`, for ListOffsets' answers; -1 when unknown.
    pub fn epoch_at(&self, offset: i64) -> i32 {
        let _ = offset;
        todo!()
    }

    /// DeleteRecords: moves the log start up to `offset` (-1 = high watermark); returns the new log start.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        let _ = offset;
        todo!()
    }

    /// Bytes in all segments.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }
}
