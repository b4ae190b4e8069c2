//! All records of a batch against their header and the topic's rules, without keeping them.
//!
//! Compressed records stream through one small buffer that each thread keeps, so a bomb costs time and no memory. A record that
//! stands in it whole is passed over in one go, any other field by field. To use records read [`super::reader`].

use std::cell::Cell;
use std::io::Read;

use super::batch::{BatchError, BatchHeader, HEADER_BYTES};
use super::reader::Records;
use crate::compress::{Compression, DecompressError};
use crate::wire::primitives::{Cursor, MAX_VARINT_BYTES, MAX_VARLONG_BYTES};

/// What is asked of the records beyond being well-formed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordRules {
    /// No key may be null: a compacted topic's rule.
    pub require_keys: bool,
    /// Offset deltas are 0, 1, 2, ...: a producer's batch, not one that compaction has thinned.
    pub consecutive_offsets: bool,
    /// Most bytes the records may have after decompression; `None` = any number.
    pub max_payload_bytes: Option<usize>,
}

/// What the records say in sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFacts {
    /// Greatest of the records' own timestamps, ms; -1 without records.
    pub max_timestamp: i64,
    /// Offset delta of the first record that has it.
    pub max_timestamp_offset_delta: i32,
    /// Bytes of all records, decompressed.
    pub payload_bytes: u64,
}

/// Reads all records of a batch whose checksum is right.
///
/// # Errors
/// [`BatchError::InvalidRecord`] for lying counts and lengths, offsets outside the batch and broken rules,
/// [`BatchError::Decompress`] for what the codec can't read, [`BatchError::Malformed`] for a header's impossible count.
pub fn check_records(header: &BatchHeader, batch: &[u8], rules: RecordRules) -> Result<RecordFacts, BatchError> {
    let stored = batch.get(HEADER_BYTES..).unwrap_or_default();
    let mut tally = Tally::new(header, rules);
    match header.compression()? {
        Compression::None => {
            if let Some(limit) = rules.max_payload_bytes.filter(|&limit| stored.len() > limit) {
                return Err(DecompressError::OverLimit { limit }.into());
            }
            for record in Records::new(stored, header.record_count)? {
                let record = record?;
                tally.note(record.timestamp_delta, record.offset_delta, record.key.is_some())?;
            }
            tally.facts.payload_bytes = stored.len() as u64;
        }
        codec => {
            let count = u32::try_from(header.record_count)
                .map_err(|_| BatchError::Malformed("its record count is negative"))?;
            let mut skim = Skim::new(codec, stored, rules.max_payload_bytes);
            for _ in 0..count {
                skim.record(&mut tally)?;
            }
            if skim.ensure(1)? != 0 {
                return Err(BatchError::InvalidRecord("bytes follow the last one"));
            }
            tally.facts.payload_bytes = skim.made;
        }
    }
    Ok(tally.facts)
}

/// Takes note of each record and checks what concerns it alone.
struct Tally<'h> {
    header: &'h BatchHeader,
    rules: RecordRules,
    facts: RecordFacts,
    seen: i32,
}

impl<'h> Tally<'h> {
    fn new(header: &'h BatchHeader, rules: RecordRules) -> Self {
        let facts = RecordFacts { max_timestamp: -1, max_timestamp_offset_delta: 0, payload_bytes: 0 };
        Self { header, rules, facts, seen: 0 }
    }

    #[inline]
    fn note(&mut self, timestamp_delta: i64, offset_delta: i32, has_key: bool) -> Result<(), BatchError> {
        if !(0..=self.header.last_offset_delta).contains(&offset_delta) {
            return Err(BatchError::InvalidRecord("its offset is outside its batch"));
        }
        if self.rules.consecutive_offsets && offset_delta != self.seen {
            return Err(BatchError::InvalidRecord("its offset does not follow the one before"));
        }
        if self.rules.require_keys && !has_key {
            return Err(BatchError::InvalidRecord("its key is null on a compacted topic"));
        }
        let timestamp = self
            .header
            .base_timestamp
            .checked_add(timestamp_delta)
            .ok_or(BatchError::InvalidRecord("its timestamp is outside 64 bits"))?;
        if self.seen == 0 || timestamp > self.facts.max_timestamp {
            self.facts.max_timestamp = timestamp;
            self.facts.max_timestamp_offset_delta = offset_delta;
        }
        self.seen += 1;
        Ok(())
    }
}

/// Room for one block of lz4 or snappy behind the few bytes that are carried over: they are decoded right into it.
const BUFFER_BYTES: usize = 64 * 1024 + 64;

thread_local! {
    /// The buffer of the last walk on this thread, for the next one.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Walks over records in a stream, a buffer at a time.
struct Skim<'a> {
    codec: Compression,
    source: crate::compress::Decoder<'a>,
    limit: Option<usize>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes decompressed so far.
    made: u64,
}

impl<'a> Skim<'a> {
    fn new(codec: Compression, stored: &'a [u8], limit: Option<usize>) -> Self {
        let buffer = BUFFER.take().unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Self { codec, source: codec.decoder(stored), limit, buffer, start: 0, end: 0, made: 0 }
    }

    /// Makes `count` bytes stand in the buffer, or as many as are left; returns how many do.
    fn ensure(&mut self, count: usize) -> Result<usize, BatchError> {
        if self.end - self.start >= count {
            return Ok(self.end - self.start);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < count {
            let size = self
                .source
                .read(&mut self.buffer[self.end..])
                .map_err(|error| DecompressError::Corrupt { codec: self.codec.name(), reason: error.to_string() })?;
            if size == 0 {
                break;
            }
            self.end += size;
            self.made += size as u64;
            if let Some(limit) = self.limit.filter(|&limit| self.made > limit as u64) {
                return Err(DecompressError::OverLimit { limit }.into());
            }
        }
        Ok(self.end)
    }

    /// Passes over `count` bytes.
    fn skip(&mut self, mut count: usize) -> Result<(), BatchError> {
        while count > 0 {
            let standing = self.ensure(1)?.min(count);
            if standing == 0 {
                return Err(BatchError::InvalidRecord("its fields reach past its end"));
            }
            self.start += standing;
            count -= standing;
        }
        Ok(())
    }

    /// Reads small fields that stand in front and returns what they say and how many bytes they took.
    fn read<T>(
        &mut self,
        most: usize,
        fields: impl FnOnce(&mut Cursor<'_>) -> Result<T, BatchError>,
    ) -> Result<(T, usize), BatchError> {
        let standing = self.ensure(most)?;
        let mut cursor = Cursor::new(&self.buffer[self.start..self.start + standing]);
        let said = fields(&mut cursor)?;
        let took = standing - cursor.remaining();
        self.start += took;
        Ok((said, took))
    }

    /// Passes over a length and its bytes, which must end within `left`; returns whether they are there (not null).
    fn skip_bytes(&mut self, left: &mut usize) -> Result<bool, BatchError> {
        const PAST_END: BatchError = BatchError::InvalidRecord("its fields reach past its end");
        let (length, took) = self.read(MAX_VARINT_BYTES, |cursor| Ok(cursor.varint()?))?;
        *left = left.checked_sub(took).ok_or(PAST_END)?;
        if length == -1 {
            return Ok(false);
        }
        let length = usize::try_from(length).map_err(|_| BatchError::InvalidRecord("a length is negative"))?;
        *left = left.checked_sub(length).ok_or(PAST_END)?;
        self.skip(length)?;
        Ok(true)
    }

    #[inline]
    fn record(&mut self, tally: &mut Tally<'_>) -> Result<(), BatchError> {
        let mut standing = Cursor::new(&self.buffer[self.start..self.end]);
        match whole_record(&mut standing) {
            Some((timestamp_delta, offset_delta, has_key)) => {
                self.start = self.end - standing.remaining();
                tally.note(timestamp_delta, offset_delta, has_key)
            }
            None => self.record_in_pieces(tally),
        }
    }

    /// A record that does not stand in the buffer whole, or that has something wrong: field by field.
    #[cold]
    fn record_in_pieces(&mut self, tally: &mut Tally<'_>) -> Result<(), BatchError> {
        const NOT_ITS_LENGTH: BatchError = BatchError::InvalidRecord("its length is not that of its fields");
        let (length, _) = self.read(MAX_VARINT_BYTES, |cursor| Ok(cursor.varint()?))?;
        let mut left = usize::try_from(length).map_err(|_| BatchError::InvalidRecord("its length is negative"))?;
        let ((timestamp_delta, offset_delta), took) =
            self.read(1 + MAX_VARLONG_BYTES + MAX_VARINT_BYTES, |cursor| {
                cursor.u8()?;
                Ok((cursor.varlong()?, cursor.varint()?))
            })?;
        left = left.checked_sub(took).ok_or(NOT_ITS_LENGTH)?;
        let has_key = self.skip_bytes(&mut left)?;
        self.skip_bytes(&mut left)?;
        let (header_count, took) = self.read(MAX_VARINT_BYTES, |cursor| Ok(cursor.varint()?))?;
        left = left.checked_sub(took).ok_or(NOT_ITS_LENGTH)?;
        let header_count = usize::try_from(header_count)
            .ok()
            .filter(|&count| count <= left / 2)
            .ok_or(BatchError::InvalidRecord("its number of headers is impossible"))?;
        for _ in 0..header_count {
            if !self.skip_bytes(&mut left)? {
                return Err(BatchError::InvalidRecord("a header's key is null"));
            }
            self.skip_bytes(&mut left)?;
        }
        if left != 0 {
            return Err(NOT_ITS_LENGTH);
        }
        tally.note(timestamp_delta, offset_delta, has_key)
    }
}

impl Drop for Skim<'_> {
    fn drop(&mut self) {
        BUFFER.set(Some(std::mem::take(&mut self.buffer)));
    }
}

/// What [`Tally::note`] wants of the record at the front, if it stands there whole and nothing is wrong with it.
#[inline]
fn whole_record(standing: &mut Cursor<'_>) -> Option<(i64, i32, bool)> {
    let length = usize::try_from(standing.varint().ok()?).ok()?;
    let mut body = Cursor::new(standing.take(length).ok()?);
    body.u8().ok()?;
    let timestamp_delta = body.varlong().ok()?;
    let offset_delta = body.varint().ok()?;
    let has_key = body.nullable_bytes().ok()?.is_some();
    body.nullable_bytes().ok()?;
    for _ in 0..u32::try_from(body.varint().ok()?).ok()? {
        body.nullable_bytes().ok()??;
        body.nullable_bytes().ok()?;
    }
    (body.remaining() == 0).then_some((timestamp_delta, offset_delta, has_key))
}
