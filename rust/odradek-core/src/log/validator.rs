//! What a Produce request may append, checked before any lock is taken: every batch's framing, magic, checksum, counts,
//! codec, size, timestamps and the topic's rules about keys. Sequence numbers are `producer_state`'s.
//!
//! Compressed records are streamed through the check and stored as they came; they are held in memory only for another
//! `compression.type` or a lower bound on timestamps. Source: Kafka `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`.

use bytes::Bytes;

use super::config::LogConfig;
use super::error::LogError;
use super::record_rules;
use super::types::AppendOrigin;
use crate::record::batch::{BatchError, BatchHeader, HEADER_BYTES, LOG_OVERHEAD, MAGIC_V2, check_crc};

/// The highest codec number (zstd).
const MAX_CODEC: u8 = 4;
/// `-1`: the record has no timestamp, no rule applies.
const NO_TIMESTAMP: i64 = -1;

/// One batch that passed.
#[derive(Debug, Clone)]
pub struct CheckedBatch {
    /// Its header; offset and epoch are still the client's.
    pub header: BatchHeader,
    /// Its bytes, header included.
    pub bytes: Bytes,
}

/// Splits `batches` and checks each; a partial batch after a whole one is left out.
///
/// # Errors
/// [`LogError`]: what is wrong with the first batch that is. Nothing is appended then.
pub fn check(
    batches: &Bytes,
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Vec<CheckedBatch>, LogError> {
    let mut checked = Vec::with_capacity(1);
    let mut rest = batches.clone();
    while !rest.is_empty() {
        let batch = match split_first(&rest) {
            Ok(batch) => batch,
            Err(BatchError::Truncated { .. }) if !checked.is_empty() => break,
            Err(error) => return Err(error.into()),
        };
        rest = rest.slice(batch.bytes.len()..);
        checked.push(check_batch(batch, origin, config, now_ms)?);
    }
    if checked.is_empty() {
        return Err(BatchError::Truncated { available: 0, needed: HEADER_BYTES }.into());
    }
    Ok(checked)
}

fn split_first(bytes: &Bytes) -> Result<CheckedBatch, BatchError> {
    // The magic is at the same place in every format, so an old one is named before its length is doubted.
    if let Some(&magic) = bytes.get(16)
        && magic.cast_signed() != MAGIC_V2
    {
        return Err(BatchError::UnsupportedMagic(magic.cast_signed()));
    }
    let header = BatchHeader::parse(bytes)?;
    if header.length < (HEADER_BYTES - LOG_OVERHEAD) as i32 {
        return Err(BatchError::Malformed("its length is less than its header"));
    }
    if header.size() > bytes.len() {
        return Err(BatchError::Truncated { available: bytes.len(), needed: header.size() });
    }
    Ok(CheckedBatch { header, bytes: bytes.slice(..header.size()) })
}

fn check_batch(
    batch: CheckedBatch,
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
) -> Result<CheckedBatch, LogError> {
    let header = &batch.header;
    if origin == AppendOrigin::Client && header.size() > config.max_message_bytes {
        return Err(LogError::BatchTooLarge { size: header.size(), max: config.max_message_bytes });
    }
    check_crc(header, &batch.bytes)?;
    if header.last_offset_delta < 0 || header.base_offset.checked_add(i64::from(header.last_offset_delta)).is_none() {
        return invalid("the last offset delta is outside its range");
    }
    if origin == AppendOrigin::Replication {
        return Ok(batch);
    }
    if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
        return invalid("the record count does not agree with the last offset delta");
    }
    if header.codec() > MAX_CODEC {
        return Err(LogError::UnsupportedCompression(header.codec()));
    }
    if header.producer_id >= 0 && !header.is_control() && header.base_sequence < 0 {
        return invalid("an idempotent batch has no sequence number");
    }
    if header.producer_id < 0 && header.is_transactional() {
        return invalid("a transactional batch has no producer id");
    }
    if origin == AppendOrigin::Coordinator {
        return Ok(batch);
    }
    if header.is_control() {
        return invalid("a client may not write control batches");
    }
    if header.base_offset != 0 {
        return invalid("the base offset of a produced batch is not 0");
    }
    check_timestamp(header, config, now_ms)?;
    record_rules::apply(batch, config, now_ms)
}

fn check_timestamp(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), LogError> {
    if config.log_append_time {
        return Ok(());
    }
    if header.is_log_append_time() {
        return invalid("a producer may not set the timestamp type to LogAppendTime");
    }
    let timestamp_ms = header.max_timestamp;
    if timestamp_ms != NO_TIMESTAMP && timestamp_ms.saturating_sub(now_ms) > config.timestamp_after_max_ms {
        return Err(LogError::InvalidTimestamp { timestamp_ms });
    }
    Ok(())
}

fn invalid<T>(what: &str) -> Result<T, LogError> {
    Err(LogError::InvalidRecord(what.to_owned()))
}
