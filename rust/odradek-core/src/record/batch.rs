//! The header of a record batch, and a view of it over borrowed bytes.
//!
//! ```text
//! offset size field                    covered by the CRC
//!      0    8 base offset              no
//!      8    4 length (bytes after it)  no
//!     12    4 partition leader epoch   no
//!     16    1 magic (2)                no
//!     17    4 CRC-32C of bytes 21..    no
//!     21    2 attributes               yes
//!     23    4 last offset delta        yes
//!     27    8 base timestamp           yes
//!     35    8 max timestamp            yes
//!     43    8 producer id              yes
//!     51    2 producer epoch           yes
//!     53    4 base sequence            yes
//!     57    4 record count             yes
//!     61    … records (compressed as the attributes say)
//! ```
//! Attributes: bits 0-2 codec, bit 3 LogAppendTime, bit 4 transactional, bit 5 control batch, bit 6 delete horizon.
//! Source: Kafka `DefaultRecordBatch`, KIP-98.

use thiserror::Error;

use super::crc32c::{crc32c, crc32c_of_two};
use crate::compress::{CompressError, Compression, DecompressError};
use crate::wire::primitives::PrimitiveError;

/// Bytes before the length field's value starts to count: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// Size of the whole header, before the first record.
pub const HEADER_BYTES: usize = 61;
/// The only magic this broker stores.
pub const MAGIC_V2: i8 = 2;
/// Where the CRC's coverage starts.
pub const CRC_START: usize = 21;
const MAGIC_POSITION: usize = 16;

/// Attribute bits that hold the codec's number.
pub const CODEC_MASK: i16 = 0x07;
/// Attribute bit: the broker's clock stamped the records.
pub const LOG_APPEND_TIME: i16 = 0x08;
/// Attribute bit: part of a transaction.
pub const TRANSACTIONAL: i16 = 0x10;
/// Attribute bit: control batch.
pub const CONTROL: i16 = 0x20;
/// Attribute bit: the base timestamp is the time from which tombstones and markers of the batch may go (KIP-534).
pub const DELETE_HORIZON: i16 = 0x40;

/// What is wrong with a batch.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer bytes than the header or the length field promise.
    #[error("record batch cut short: {available} bytes of {needed}")]
    Truncated {
        /// Bytes there are.
        available: usize,
        /// Bytes the batch claims.
        needed: usize,
    },
    /// A magic other than 2.
    #[error("record batch has magic {0}; only magic 2 is stored")]
    UnsupportedMagic(i8),
    /// The stored checksum does not match the bytes.
    #[error("record batch checksum is {found:#010x}, its bytes give {expected:#010x}")]
    ChecksumMismatch {
        /// What the bytes give.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// Header fields contradict each other or the bytes.
    #[error("malformed record batch: {0}")]
    Malformed(&'static str),
    /// The records contradict themselves or their header, or break a rule that was asked for.
    #[error("invalid record: {0}")]
    InvalidRecord(&'static str),
    /// The attributes name a codec that does not exist.
    #[error("record batch has compression codec {0}, which does not exist")]
    UnknownCodec(u8),
    /// The records can't be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The records can't be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

impl From<PrimitiveError> for BatchError {
    fn from(error: PrimitiveError) -> Self {
        Self::InvalidRecord(match error {
            PrimitiveError::Short => "its fields reach past its end",
            PrimitiveError::Overlong => "a variable-length integer is too long",
            PrimitiveError::NegativeLength => "a length is negative",
        })
    }
}

/// The decoded header of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after the length field; the whole batch is 12 more.
    pub length: i32,
    /// Epoch of the leader that appended it.
    pub partition_leader_epoch: i32,
    /// Format version.
    pub magic: i8,
    /// Stored checksum.
    pub crc: u32,
    /// Attribute bits.
    pub attributes: i16,
    /// Last offset less the base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, ms.
    pub base_timestamp: i64,
    /// Greatest timestamp of the batch, ms.
    pub max_timestamp: i64,
    /// Producer id, -1 without idempotence.
    pub producer_id: i64,
    /// Producer epoch, -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 without idempotence.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Splits the first batch off `bytes`: its header, all its bytes, and what follows it.
    ///
    /// Checks the magic, that the length is possible and that the bytes are there; not the checksum ([`check_crc`]).
    ///
    /// # Errors
    /// [`BatchError::UnsupportedMagic`], [`BatchError::Truncated`] or [`BatchError::Malformed`].
    pub fn split_first(bytes: &[u8]) -> Result<(Self, &[u8], &[u8]), BatchError> {
        // A batch of an older magic may be shorter than our header, and is to be named as what it is.
        if let Some(&magic) = bytes.get(MAGIC_POSITION)
            && magic as i8 != MAGIC_V2
        {
            return Err(BatchError::UnsupportedMagic(magic as i8));
        }
        let header = Self::parse(bytes)?;
        let needed = header.size();
        if needed < HEADER_BYTES {
            return Err(BatchError::Malformed("its length is less than that of its header"));
        }
        let (batch, rest) =
            bytes.split_at_checked(needed).ok_or(BatchError::Truncated { available: bytes.len(), needed })?;
        Ok((header, batch, rest))
    }

    /// Reads the header at the start of `bytes`; checks nothing but that it is whole.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when there are fewer than 61 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::Truncated { available: bytes.len(), needed: HEADER_BYTES });
        }
        Ok(Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            length: i32::from_be_bytes(field(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            magic: i8::from_be_bytes(field(bytes, 16)),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// The 61 bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16..17].copy_from_slice(&self.magic.to_be_bytes());
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// Size of the whole batch in bytes, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.length).unwrap_or(0) + LOG_OVERHEAD
    }

    /// Offset of the last record; saturates where [`BatchHeader::check_offsets`] would refuse.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`].
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_id(self.codec()).ok_or(BatchError::UnknownCodec(self.codec()))
    }

    /// Checks that the last offset is not below the base offset and inside 64 bits.
    ///
    /// # Errors
    /// [`BatchError::Malformed`].
    pub fn check_offsets(&self) -> Result<(), BatchError> {
        let last = self.base_offset.checked_add(i64::from(self.last_offset_delta));
        if self.last_offset_delta < 0 || last.is_none() {
            return Err(BatchError::Malformed("its last offset is impossible"));
        }
        Ok(())
    }

    /// Codec number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    #[must_use]
    pub fn codec(&self) -> u8 {
        (self.attributes & CODEC_MASK) as u8
    }

    /// True when the broker's clock stamped the records.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// True for a batch inside a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// When the cleaner may drop the batch's tombstones and its marker, ms; `None` before it first came by.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// True for a transaction marker or another control batch.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// Checks the checksum of one whole batch.
///
/// # Errors
/// [`BatchError::ChecksumMismatch`] with both numbers.
pub fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let covered = batch.get(CRC_START..).unwrap_or_default();
    let expected = crc32c(covered);
    if expected == header.crc { Ok(()) } else { Err(BatchError::ChecksumMismatch { expected, found: header.crc }) }
}

/// Writes what the leader decides, outside the checksum's coverage: the base offset and the leader epoch.
///
/// # Errors
/// [`BatchError::Truncated`] when `batch` is shorter than a header.
pub fn assign(batch: &mut [u8], base_offset: i64, partition_leader_epoch: i32) -> Result<(), BatchError> {
    check_room(batch)?;
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&partition_leader_epoch.to_be_bytes());
    Ok(())
}

/// Stamps a batch with the broker's time (`LogAppendTime`) and renews its checksum.
///
/// # Errors
/// [`BatchError::Truncated`] when `batch` is shorter than a header.
pub fn stamp_append_time(batch: &mut [u8], now_ms: i64) -> Result<(), BatchError> {
    check_room(batch)?;
    let attributes = i16::from_be_bytes(field(batch, 21)) | LOG_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    renew_crc(batch);
    Ok(())
}

fn check_room(batch: &[u8]) -> Result<(), BatchError> {
    if batch.len() < HEADER_BYTES {
        return Err(BatchError::Truncated { available: batch.len(), needed: HEADER_BYTES });
    }
    Ok(())
}

/// The header in front of `records`, which stay where they are: length and checksum are filled in.
///
/// # Errors
/// [`BatchError::Malformed`] over 2 GiB.
pub fn seal_apart(header: &BatchHeader, records: &[u8]) -> Result<[u8; HEADER_BYTES], BatchError> {
    let length = i32::try_from(HEADER_BYTES - LOG_OVERHEAD + records.len())
        .map_err(|_| BatchError::Malformed("it is over 2 GiB"))?;
    let mut out = BatchHeader { length, ..*header }.encode();
    let crc = crc32c_of_two(&out[CRC_START..], records);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(out)
}

/// Sets length and checksum to those of the bytes, which are at least a header's.
pub(super) fn seal(batch: &mut [u8]) -> Result<(), BatchError> {
    let length = i32::try_from(batch.len() - LOG_OVERHEAD).map_err(|_| BatchError::Malformed("it is over 2 GiB"))?;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    renew_crc(batch);
    Ok(())
}

fn renew_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
