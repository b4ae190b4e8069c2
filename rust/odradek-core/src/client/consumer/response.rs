//! Reads a Fetch response without copying its records: each partition's are a slice of the frame.
//!
//! Counts and lengths are proved before anything is made for them: an answer can't make us allocate more than a small
//! multiple of its own size. The layout is in [`crate::wire::fetch_response`], which writes it.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::log::types::AbortedTransaction;
use crate::wire::primitives::{Cursor, PrimitiveError};

/// First version with compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// First version that names topics by id.
const IDS_FROM: i16 = 13;

/// Which topic a part of the answer is about: a name up to version 12, an id from 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicRef {
    /// By name.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// One partition's part of the answer.
#[derive(Debug, Clone)]
pub struct PartitionAnswer {
    /// Its topic.
    pub topic: TopicRef,
    /// Partition number.
    pub index: i32,
    /// Kafka's error code.
    pub error: i16,
    /// High watermark, -1 unknown.
    pub high_watermark: i64,
    /// Last stable offset, -1 unknown.
    pub last_stable_offset: i64,
    /// Log start offset, -1 unknown.
    pub log_start_offset: i64,
    /// Aborted transactions that overlap the records, by first offset.
    pub aborted: Vec<AbortedTransaction>,
    /// Node id of the replica to read from, -1 = none (KIP-392).
    pub preferred_read_replica: i32,
    /// Batches, the last one perhaps cut short.
    pub records: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct FetchAnswer {
    /// How long the broker wants to be left alone, ms.
    pub throttle_ms: i32,
    /// Error of the whole request.
    pub error: i16,
    /// Fetch session, 0 = none.
    pub session_id: i32,
    /// Partitions in the answer's order.
    pub partitions: Vec<PartitionAnswer>,
}

/// Reads the body of a Fetch response.
///
/// # Errors
/// What contradicts itself, in words.
pub fn parse(frame: &Bytes, version: i16) -> Result<FetchAnswer, &'static str> {
    let mut reader = Reader { cursor: Cursor::new(frame), flexible: version >= FLEXIBLE_FROM };
    let throttle_ms = reader.i32()?;
    let (error, session_id) = if version >= 7 { (reader.i16()?, reader.i32()?) } else { (0, 0) };
    let mut partitions = Vec::new();
    for _ in 0..reader.count(4)? {
        let topic = if version >= IDS_FROM {
            TopicRef::Id(Uuid::from_bytes(reader.fixed()?))
        } else {
            TopicRef::Name(reader.name()?)
        };
        for _ in 0..reader.count(28)? {
            partitions.push(partition(&mut reader, frame, version, topic.clone())?);
        }
        reader.tags()?;
    }
    reader.tags()?;
    Ok(FetchAnswer { throttle_ms, error, session_id, partitions })
}

fn partition(
    reader: &mut Reader<'_>,
    frame: &Bytes,
    version: i16,
    topic: TopicRef,
) -> Result<PartitionAnswer, &'static str> {
    let index = reader.i32()?;
    let error = reader.i16()?;
    let high_watermark = reader.i64()?;
    let last_stable_offset = reader.i64()?;
    let log_start_offset = if version >= 5 { reader.i64()? } else { -1 };
    let mut aborted = Vec::new();
    for _ in 0..reader.count(16)? {
        aborted.push(AbortedTransaction { producer_id: reader.i64()?, first_offset: reader.i64()? });
        reader.tags()?;
    }
    let preferred_read_replica = if version >= 11 { reader.i32()? } else { -1 };
    let length = reader.count(1)?;
    let records = frame.slice_ref(reader.take(length)?);
    reader.tags()?;
    Ok(PartitionAnswer {
        topic,
        index,
        error,
        high_watermark,
        last_stable_offset,
        log_start_offset,
        aborted,
        preferred_read_replica,
        records,
    })
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    flexible: bool,
}

const SHORT: &str = "it ends inside a field";
const BAD_LENGTH: &str = "a length or count in it is impossible";

fn refused(error: PrimitiveError) -> &'static str {
    match error {
        PrimitiveError::Short => SHORT,
        PrimitiveError::Overlong | PrimitiveError::NegativeLength => BAD_LENGTH,
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        self.cursor.take(count).map_err(refused)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| SHORT)
    }

    fn i16(&mut self) -> Result<i16, &'static str> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    fn i32(&mut self) -> Result<i32, &'static str> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    fn i64(&mut self) -> Result<i64, &'static str> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// Number of elements of an array, or of bytes; null counts as 0. Each takes at least `least` bytes, which must be there.
    fn count(&mut self, least: usize) -> Result<usize, &'static str> {
        let count = if self.flexible {
            (self.unsigned_varint()? as usize).saturating_sub(1)
        } else {
            match self.i32()? {
                -1 => 0,
                count => usize::try_from(count).map_err(|_| BAD_LENGTH)?,
            }
        };
        if count > self.cursor.remaining() / least { Err(BAD_LENGTH) } else { Ok(count) }
    }

    fn name(&mut self) -> Result<Arc<str>, &'static str> {
        let length = if self.flexible {
            (self.unsigned_varint()? as usize).saturating_sub(1)
        } else {
            usize::try_from(self.i16()?).map_err(|_| BAD_LENGTH)?
        };
        std::str::from_utf8(self.take(length)?).map(Arc::from).map_err(|_| "a topic's name in it is not UTF-8")
    }

    fn tags(&mut self) -> Result<(), &'static str> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            self.take(size)?;
        }
        Ok(())
    }

    fn unsigned_varint(&mut self) -> Result<u32, &'static str> {
        self.cursor.unsigned_varint().map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error_code::ErrorCode;
    use crate::wire::fetch_response::{FetchResponseWriter, PartitionHead};

    fn answer(version: i16) -> Bytes {
        let head = PartitionHead {
            high_watermark: 10,
            last_stable_offset: 8,
            log_start_offset: 2,
            aborted: Some(vec![AbortedTransaction { producer_id: 5, first_offset: 6 }]),
            diverging: Some((1, 2)),
            current_leader: Some((3, 4)),
            ..PartitionHead::failed(3, ErrorCode::None)
        };
        let mut out = Vec::new();
        let mut writer = FetchResponseWriter::begin(&mut out, version, ErrorCode::None, 9, 2);
        for name in ["orders", "payments"] {
            writer.topic(name, Uuid::from_u128(77), 2);
            for (head, records) in
                [(&head, &b"batch"[..]), (&PartitionHead::failed(4, ErrorCode::OffsetOutOfRange), b"")]
            {
                writer.partition(head, records.len());
                writer.out.extend_from_slice(records);
                writer.end_partition(head);
            }
            writer.end_struct();
        }
        writer.end_struct();
        Bytes::from(out)
    }

    #[test]
    fn every_version_is_read() {
        for version in 4..=18 {
            let frame = answer(version);
            let read = parse(&frame, version).expect("reads");
            assert_eq!((read.error, read.session_id), (0, if version >= 7 { 9 } else { 0 }));
            assert_eq!(read.partitions.len(), 4);
            let topic = match version {
                ..13 => TopicRef::Name(Arc::from("payments")),
                _ => TopicRef::Id(Uuid::from_u128(77)),
            };
            assert_eq!(read.partitions[2].topic, topic);
            let first = &read.partitions[0];
            assert_eq!((first.index, first.high_watermark, first.last_stable_offset), (3, 10, 8));
            assert_eq!(first.log_start_offset, if version >= 5 { 2 } else { -1 });
            assert_eq!(
                (&first.aborted[..], &first.records[..]),
                (&[AbortedTransaction { producer_id: 5, first_offset: 6 }][..], &b"batch"[..])
            );
            assert_eq!((read.partitions[1].index, read.partitions[1].error), (4, 1));
        }
    }

    #[test]
    fn no_cut_and_no_changed_byte_makes_it_panic_or_allocate() {
        for version in [4, 11, 12, 17] {
            let whole = answer(version);
            for end in 0..whole.len() {
                assert!(parse(&whole.slice(..end), version).is_err(), "v{version} cut at {end}");
            }
            for at in 0..whole.len() {
                for value in [0x00, 0x7f, 0x80, 0xff] {
                    let mut bytes = whole.to_vec();
                    bytes[at] = value;
                    let _ = parse(&Bytes::from(bytes), version);
                }
            }
        }
    }

    #[test]
    fn a_lying_count_is_refused() {
        let mut lie = 0_i32.to_be_bytes().to_vec();
        lie.extend_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(parse(&Bytes::from(lie), 4).err(), Some(BAD_LENGTH));
    }
}
