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

use super::crc32c::crc32c;

/// Bytes before the length field's value starts to count: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// Size of the whole header, before the first record.
pub const HEADER_BYTES: usize = 61;
/// The only magic this broker stores.
pub const MAGIC_V2: i8 = 2;
/// Where the CRC's coverage starts.
pub const CRC_START: usize = 21;

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
    /// Header fields or records contradict each other.
    #[error("malformed record batch: {0}")]
    Malformed(&'static str),
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

    /// Size of the whole batch in bytes, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.length).unwrap_or(0) + LOG_OVERHEAD
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Codec number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    #[must_use]
    pub fn codec(&self) -> u8 {
        (self.attributes & 0x07) as u8
    }

    /// True when the broker's clock stamped the records.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }

    /// True for a batch inside a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// True for a transaction marker or another control batch.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }
}

/// Checks the checksum of one whole batch.
///
/// # Errors
/// [`BatchError::ChecksumMismatch`] with both numbers.
pub fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let expected = crc32c(&batch[CRC_START..]);
    if expected == header.crc { Ok(()) } else { Err(BatchError::ChecksumMismatch { expected, found: header.crc }) }
}
