//! Records of a batch, as views over borrowed bytes: no allocation a record.
//!
//! ```text
//! length          varint    bytes of this record after the length
//! attributes      int8      unused, 0
//! timestamp delta varlong   less the batch's base timestamp, ms
//! offset delta    varint    less the batch's base offset
//! key length      varint    -1 = null, then the key
//! value length    varint    -1 = null, then the value
//! header count    varint    then for each: key length (never null), key, value length (-1 = null), value
//! ```
//! Source: Kafka `DefaultRecord`, KIP-82, KIP-98. To check records without keeping them read [`super::check`].

use super::batch::{BatchError, BatchHeader, HEADER_BYTES};
use crate::compress::Compression;
use crate::wire::primitives::Cursor;

/// One record; its bytes belong to the (decompressed) batch.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp less the batch's base timestamp, ms.
    pub timestamp_delta: i64,
    /// Key, if not null.
    pub key: Option<&'a [u8]>,
    /// Value, if not null.
    pub value: Option<&'a [u8]>,
    /// Headers in their order.
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name; UTF-8 if the producer keeps to the rules.
    pub key: &'a [u8],
    /// Value, if not null.
    pub value: Option<&'a [u8]>,
}

/// Headers of a record that has been checked; an iterator that can be cloned to start again.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Headers<'a> {
    /// Checks `count` and all headers that `cursor` stands before; they have to end where it ends.
    fn check(mut cursor: Cursor<'a>, count: i32) -> Result<Self, BatchError> {
        // A header takes two bytes at least.
        let left = usize::try_from(count)
            .ok()
            .filter(|&count| count <= cursor.remaining() / 2)
            .ok_or(BatchError::InvalidRecord("its number of headers is impossible"))?;
        let headers = Self { cursor: cursor.clone(), left };
        for _ in 0..left {
            read_header(&mut cursor)?;
        }
        if cursor.remaining() != 0 {
            return Err(BatchError::InvalidRecord("its length is not that of its fields"));
        }
        Ok(headers)
    }

    /// Reads headers that [`Headers::raw`] gave.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`] when they are not exactly `count` headers.
    pub fn parse(raw: &'a [u8], count: i32) -> Result<Self, BatchError> {
        Self::check(Cursor::new(raw), count)
    }

    /// The bytes of the headers that are left, to be kept and read later.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.cursor.rest()
    }
}

fn read_header<'a>(cursor: &mut Cursor<'a>) -> Result<Header<'a>, BatchError> {
    let key = cursor.nullable_bytes()?.ok_or(BatchError::InvalidRecord("a header's key is null"))?;
    Ok(Header { key, value: cursor.nullable_bytes()? })
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        read_header(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Reads one record off the cursor.
#[inline]
fn read_record<'a>(cursor: &mut Cursor<'a>) -> Result<RecordView<'a>, BatchError> {
    let length = usize::try_from(cursor.varint()?).map_err(|_| BatchError::InvalidRecord("its length is negative"))?;
    let mut body = Cursor::new(cursor.take(length)?);
    let _attributes = body.u8()?;
    let timestamp_delta = body.varlong()?;
    let offset_delta = body.varint()?;
    let key = body.nullable_bytes()?;
    let value = body.nullable_bytes()?;
    let header_count = body.varint()?;
    let headers = Headers::check(body, header_count)?;
    Ok(RecordView { offset_delta, timestamp_delta, key, value, headers })
}

/// The records of one decompressed payload: exactly as many as the header says, ending exactly with its bytes.
///
/// Yields an error once, in place of the record that has it or after the last one for bytes that follow it, then ends.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    cursor: Cursor<'a>,
    left: u32,
    failed: bool,
}

impl<'a> Records<'a> {
    /// Reads `count` records of `payload`.
    ///
    /// # Errors
    /// [`BatchError::Malformed`] for a negative count.
    pub fn new(payload: &'a [u8], count: i32) -> Result<Self, BatchError> {
        let left = u32::try_from(count).map_err(|_| BatchError::Malformed("its record count is negative"))?;
        Ok(Self::resume(payload, left))
    }

    /// Goes on where [`Records::remaining`] told another reader to stand.
    #[must_use]
    pub fn resume(rest: &'a [u8], left: u32) -> Self {
        Self { cursor: Cursor::new(rest), left, failed: false }
    }

    /// (bytes, records) not read yet.
    #[must_use]
    pub fn remaining(&self) -> (usize, u32) {
        (self.cursor.remaining(), self.left)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = match self.left {
            0 if self.cursor.remaining() == 0 => return None,
            0 => Err(BatchError::InvalidRecord("bytes follow the last one")),
            _ => read_record(&mut self.cursor),
        };
        self.left = self.left.saturating_sub(1);
        self.failed = record.is_err();
        Some(record)
    }
}

/// The records of a batch, decompressed into `scratch` if need be.
///
/// # Errors
/// [`BatchError::UnknownCodec`], or [`BatchError::Decompress`] when they are corrupt or over `limit` bytes.
pub fn payload<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    limit: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], BatchError> {
    let stored = batch.get(HEADER_BYTES..).unwrap_or_default();
    match header.compression()? {
        Compression::None => Ok(stored),
        codec => {
            scratch.clear();
            codec.decompress(stored, limit, scratch)?;
            Ok(scratch)
        }
    }
}

impl BatchHeader {
    /// Offset of a record, which has to lie inside the batch.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`].
    pub fn offset_of(&self, record: &RecordView<'_>) -> Result<i64, BatchError> {
        if !(0..=self.last_offset_delta).contains(&record.offset_delta) {
            return Err(BatchError::InvalidRecord("its offset is outside its batch"));
        }
        self.base_offset
            .checked_add(i64::from(record.offset_delta))
            .ok_or(BatchError::InvalidRecord("its offset is outside 64 bits"))
    }

    /// Timestamp of a record in ms: its own, or the batch's if the broker's clock stamped it.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`].
    pub fn timestamp_of(&self, record: &RecordView<'_>) -> Result<i64, BatchError> {
        let own = self
            .base_timestamp
            .checked_add(record.timestamp_delta)
            .ok_or(BatchError::InvalidRecord("its timestamp is outside 64 bits"))?;
        Ok(if self.is_log_append_time() { self.max_timestamp } else { own })
    }
}
