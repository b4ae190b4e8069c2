//! The rules that need the records themselves, not only the header: the seam between the log and the record codec.
//!
//! Every client's batch is walked to its end, compressed ones as a stream through one small buffer: a count that lies or a
//! payload that its codec can't read would otherwise be stored, and stop every consumer that comes to it.

use bytes::Bytes;

use super::config::LogConfig;
use super::error::LogError;
use super::types::TimestampOffset;
use super::validator::CheckedBatch;
use crate::compress::Compression;
use crate::record::batch::{BatchError, BatchHeader};
use crate::record::builder::recompress;
use crate::record::check::{RecordRules, check_records};
use crate::record::reader::{Records, payload};

/// Most bytes one batch may have after decompression where its records must be held in memory (another codec, a lookup
/// by time). Checks stream and have no need of a bound.
pub(super) const MAX_PAYLOAD_BYTES: usize = 1 << 30;

/// Checks what the topic demands of single records and puts the batch into the topic's codec.
///
/// # Errors
/// [`LogError::InvalidRecord`] for a null key on a compacted topic or records that contradict the header,
/// [`LogError::InvalidTimestamp`] for one that is too old, [`LogError::Batch`] for what the codec can't read.
pub fn apply(batch: CheckedBatch, config: &LogConfig, now_ms: i64) -> Result<CheckedBatch, LogError> {
    let header = &batch.header;
    let compacted = config.cleanup_policy.compact;
    let oldest_ms = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let bounded_below = !config.log_append_time && config.timestamp_before_max_ms != i64::MAX;
    let rules = RecordRules { require_keys: compacted, consecutive_offsets: true, max_payload_bytes: None };
    check_records(header, &batch.bytes, rules).map_err(invalid_record)?;
    if bounded_below {
        check_not_older(&batch, oldest_ms)?;
    }
    match config.compression_codec.and_then(Compression::from_id) {
        Some(codec) if codec.id() != header.codec() => {
            let bytes = recompress(&batch.bytes, codec, config.compression_level, MAX_PAYLOAD_BYTES)?;
            Ok(CheckedBatch { header: BatchHeader::parse(&bytes)?, bytes: Bytes::from(bytes) })
        }
        _ => Ok(batch),
    }
}

fn check_not_older(batch: &CheckedBatch, oldest_ms: i64) -> Result<(), LogError> {
    let mut scratch = Vec::new();
    let stored = payload(&batch.header, &batch.bytes, MAX_PAYLOAD_BYTES, &mut scratch)?;
    for record in Records::new(stored, batch.header.record_count)? {
        let timestamp_ms = batch.header.timestamp_of(&record?)?;
        if timestamp_ms >= 0 && timestamp_ms < oldest_ms {
            return Err(LogError::InvalidTimestamp { timestamp_ms });
        }
    }
    Ok(())
}

fn invalid_record(error: BatchError) -> LogError {
    match error {
        BatchError::InvalidRecord(what) => LogError::InvalidRecord(what.to_owned()),
        other => other.into(),
    }
}

/// The first record of a stored batch at or after both `timestamp_ms` and `min_offset`.
///
/// # Errors
/// [`LogError::Batch`] when the records can't be read.
pub fn first_at_or_after(
    header: &BatchHeader,
    batch: &[u8],
    timestamp_ms: i64,
    min_offset: i64,
) -> Result<Option<TimestampOffset>, LogError> {
    let mut scratch = Vec::new();
    let stored = payload(header, batch, MAX_PAYLOAD_BYTES, &mut scratch)?;
    for record in Records::new(stored, header.record_count)? {
        let record = record?;
        let found = TimestampOffset {
            timestamp_ms: header.timestamp_of(&record)?,
            offset: header.offset_of(&record)?,
            leader_epoch: header.partition_leader_epoch,
        };
        if found.timestamp_ms >= timestamp_ms && found.offset >= min_offset {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
