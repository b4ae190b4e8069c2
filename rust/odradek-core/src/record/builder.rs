//! Batches from records, and a batch in another codec.

use super::batch::{
    self, BatchError, BatchHeader, CODEC_MASK, CONTROL, DELETE_HORIZON, HEADER_BYTES, LOG_APPEND_TIME, TRANSACTIONAL,
};
use super::reader::{Header, payload};
use crate::compress::Compression;
use crate::wire::primitives::{MAX_VARINT_BYTES, put_varint, put_varlong, varint_len, varlong_len};

/// What a batch's header says besides its records.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Epoch of the leader; -1 = unknown.
    pub partition_leader_epoch: i32,
    /// Codec of the records.
    pub compression: Compression,
    /// Level of the codec; `None` = its default.
    pub level: Option<i32>,
    /// The broker's clock stamped the records.
    pub log_append_time: bool,
    /// Part of a transaction.
    pub transactional: bool,
    /// Control batch.
    pub control: bool,
    /// Producer id; -1 without idempotence.
    pub producer_id: i64,
    /// Producer epoch; -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 without idempotence.
    pub base_sequence: i32,
    /// Last offset less the base offset, where compaction took the last record; `None` = the last record's.
    pub last_offset_delta: Option<i32>,
    /// Greatest timestamp in ms, where it is not the records' own (LogAppendTime); `None` = the records'.
    pub max_timestamp: Option<i64>,
    /// Time from which tombstones and markers may go, ms; it takes the place of the base timestamp (KIP-534).
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            compression: Compression::None,
            level: None,
            log_append_time: false,
            transactional: false,
            control: false,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            last_offset_delta: None,
            max_timestamp: None,
            delete_horizon_ms: None,
        }
    }
}

/// Builds one batch, a record at a time, in one buffer.
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records uncompressed.
    bytes: Vec<u8>,
    count: i32,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// Records of a batch that has no header yet.
#[derive(Debug)]
pub struct BuiltRecords {
    /// Room for the header, then the records uncompressed.
    pub bytes: Vec<u8>,
    /// Number of records.
    pub count: i32,
    /// Offset of the last record less that of the first.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, ms.
    pub base_timestamp: i64,
    /// Greatest timestamp, ms.
    pub max_timestamp: i64,
}

const TOO_LARGE: BatchError = BatchError::InvalidRecord("it is over 2 GiB");

fn nullable_len(bytes: Option<&[u8]>) -> Result<usize, BatchError> {
    let Some(bytes) = bytes else { return Ok(1) };
    let length = i32::try_from(bytes.len()).map_err(|_| TOO_LARGE)?;
    Ok(varint_len(length) + bytes.len())
}

/// Lengths have been checked by `nullable_len`.
fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

impl BatchBuilder {
    /// Starts a batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self::with_buffer(options, Vec::new())
    }

    /// Starts a batch in a buffer that was used before; what it holds is dropped, its room is kept.
    #[must_use]
    pub fn with_buffer(options: BatchOptions, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(HEADER_BYTES, 0);
        Self { options, bytes, count: 0, last_offset_delta: -1, base_timestamp: 0, max_timestamp: 0 }
    }

    /// Ends without a header: for those who write it when the producer's sequence is known.
    #[must_use]
    pub fn into_records(self) -> BuiltRecords {
        BuiltRecords {
            bytes: self.bytes,
            count: self.count,
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
        }
    }

    /// Number of records so far.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Makes room for so many bytes in all, header included.
    pub fn make_room(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes.saturating_sub(self.bytes.len()));
    }

    /// Bytes so far, header included, before compression.
    #[must_use]
    pub fn uncompressed_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record at the next offset.
    ///
    /// # Errors
    /// As [`BatchBuilder::push_at`].
    #[inline]
    pub fn push<'h>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
    ) -> Result<(), BatchError> {
        self.push_at(self.last_offset_delta.saturating_add(1), timestamp_ms, key, value, headers)
    }

    /// Adds a record at an offset delta past the last one: compaction leaves gaps.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`]: the delta is not past the last, the timestamp is further than 64 bits from the
    /// first, or the record is over 2 GiB. The batch is as it was.
    pub fn push_at<'h>(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
    ) -> Result<(), BatchError> {
        if offset_delta <= self.last_offset_delta {
            return Err(BatchError::InvalidRecord("its offset is not past the one before"));
        }
        let first_timestamp = self.options.delete_horizon_ms.unwrap_or(timestamp_ms);
        let base_timestamp = if self.count == 0 { first_timestamp } else { self.base_timestamp };
        let timestamp_delta = timestamp_ms
            .checked_sub(base_timestamp)
            .ok_or(BatchError::InvalidRecord("the timestamps of a batch are further apart than 64 bits hold"))?;
        let header_count = i32::try_from(headers.len()).map_err(|_| TOO_LARGE)?;
        let mut length = 1 + varlong_len(timestamp_delta) + varint_len(offset_delta) + varint_len(header_count);
        length += nullable_len(key)? + nullable_len(value)?;
        for header in headers.clone() {
            length += nullable_len(Some(header.key))? + nullable_len(header.value)?;
        }
        let length = i32::try_from(length).map_err(|_| TOO_LARGE)?;
        let out = &mut self.bytes;
        out.reserve(length as usize + MAX_VARINT_BYTES);
        put_varint(out, length);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varint(out, offset_delta);
        put_nullable(out, key);
        put_nullable(out, value);
        put_varint(out, header_count);
        for header in headers {
            put_nullable(out, Some(header.key));
            put_nullable(out, header.value);
        }
        self.max_timestamp = if self.count == 0 { timestamp_ms } else { self.max_timestamp.max(timestamp_ms) };
        self.base_timestamp = base_timestamp;
        self.last_offset_delta = offset_delta;
        self.count += 1;
        Ok(())
    }

    /// Compresses the records, fills the header in and returns the batch.
    ///
    /// # Errors
    /// [`BatchError::Malformed`] without records or over 2 GiB, [`BatchError::Compress`] for an unknown level.
    pub fn finish(mut self) -> Result<Vec<u8>, BatchError> {
        let options = &self.options;
        options.compression.check_level(options.level)?;
        if self.count == 0 {
            return Err(BatchError::Malformed("it has no record"));
        }
        if options.compression != Compression::None {
            let mut packed = Vec::with_capacity(HEADER_BYTES + self.bytes.len() / 2);
            packed.resize(HEADER_BYTES, 0);
            options.compression.compress(&self.bytes[HEADER_BYTES..], options.level, &mut packed)?;
            self.bytes = packed;
        }
        let mut attributes = i16::from(options.compression.id());
        for (set, bit) in [
            (options.log_append_time, LOG_APPEND_TIME),
            (options.transactional, TRANSACTIONAL),
            (options.control, CONTROL),
            (options.delete_horizon_ms.is_some(), DELETE_HORIZON),
        ] {
            attributes |= if set { bit } else { 0 };
        }
        let header = BatchHeader {
            base_offset: options.base_offset,
            length: 0,
            partition_leader_epoch: options.partition_leader_epoch,
            magic: batch::MAGIC_V2,
            crc: 0,
            attributes,
            last_offset_delta: options.last_offset_delta.unwrap_or(0).max(self.last_offset_delta),
            base_timestamp: self.base_timestamp,
            max_timestamp: options.max_timestamp.unwrap_or(self.max_timestamp),
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.count,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        batch::seal(&mut self.bytes)?;
        Ok(self.bytes)
    }
}

/// The batch without its records: what compaction leaves of the last batch of a producer, whose sequence must survive.
///
/// # Errors
/// None in practice: the batch is a header alone.
pub fn without_records(header: &BatchHeader) -> Result<Vec<u8>, BatchError> {
    let attributes = header.attributes & !(CODEC_MASK | DELETE_HORIZON);
    let mut out = BatchHeader { attributes, base_timestamp: -1, record_count: 0, ..*header }.encode().to_vec();
    batch::seal(&mut out)?;
    Ok(out)
}

/// The same batch with its records in another codec; everything else in the header stays.
///
/// # Errors
/// [`BatchError`]: the batch is no batch, its records can't be decompressed within `limit` bytes, or an unknown level.
pub fn recompress(
    stored: &[u8],
    compression: Compression,
    level: Option<i32>,
    limit: usize,
) -> Result<Vec<u8>, BatchError> {
    let (header, stored, _) = BatchHeader::split_first(stored)?;
    let mut scratch = Vec::new();
    let records = payload(&header, stored, limit, &mut scratch)?;
    let mut out = Vec::with_capacity(HEADER_BYTES + records.len() / 2);
    let attributes = (header.attributes & !CODEC_MASK) | i16::from(compression.id());
    out.extend_from_slice(&BatchHeader { attributes, ..header }.encode());
    compression.compress(records, level, &mut out)?;
    batch::seal(&mut out)?;
    Ok(out)
}
