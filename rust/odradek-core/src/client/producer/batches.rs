//! A batch on its way: closed to records, compressed, stamped with its sequence, and written around its header.
//!
//! The records lie in the buffer that they were appended to (or in the one that they were compressed into) until the batch is
//! done; every attempt gets a header of its own in front, so that a new epoch or sequence needs no copy.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::delivery::BatchState;
use super::pool::{Buffer, BufferPool};
use crate::client::error::ClientError;
use crate::compress::Compression;
use crate::record::batch::{BatchError, BatchHeader, HEADER_BYTES, MAGIC_V2, seal_apart};
use crate::record::builder::{BatchBuilder, BatchOptions, BuiltRecords};
use crate::record::reader::Records;

/// An idempotent producer's name at a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
}

/// A batch that takes no more records.
pub struct Batch {
    /// Its fate, shared with the futures.
    pub state: Arc<BatchState>,
    /// When its first record came.
    pub opened: Instant,
    /// Its place among the batches of its partition: the batch's serial, and the place in it where a split one began.
    pub order: (u64, u32),
    /// How often it was sent.
    pub attempts: u32,
    /// Under whose name and from which sequence it was last sent; `None` before the first time.
    pub sequence: Option<(Identity, i32)>,
    /// What went wrong last.
    pub last_error: Option<ClientError>,
    codec: Compression,
    count: i32,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    records: Bytes,
    /// Where compression is still to come, the buffer; `records` is empty then.
    raw: Option<Buffer>,
}

impl Batch {
    /// Closes a batch. `buffer` is the one that the records were built in, without its bytes.
    #[must_use]
    pub fn close(state: Arc<BatchState>, opened: Instant, built: BuiltRecords, mut buffer: Buffer) -> Self {
        buffer.bytes = built.bytes;
        buffer.settle();
        Self {
            order: (state.serial, 0),
            state,
            opened,
            attempts: 0,
            sequence: None,
            last_error: None,
            codec: Compression::None,
            count: built.count,
            last_offset_delta: built.last_offset_delta,
            base_timestamp: built.base_timestamp,
            max_timestamp: built.max_timestamp,
            records: Bytes::new(),
            raw: Some(buffer),
        }
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes on the wire, header included; before [`Batch::pack`] those of the uncompressed batch.
    #[must_use]
    pub fn size(&self) -> usize {
        self.raw.as_ref().map_or(self.records.len() + HEADER_BYTES, |raw| raw.bytes.len())
    }

    /// True once [`Batch::pack`] has done its work.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.raw.is_none()
    }

    /// Compresses the records, once; later calls do nothing.
    ///
    /// # Errors
    /// [`BatchError::Compress`] when the codec fails; the batch stays as it was.
    pub fn pack(&mut self, codec: Compression, level: Option<i32>) -> Result<(), BatchError> {
        let Some(raw) = &mut self.raw else { return Ok(()) };
        let mut from = HEADER_BYTES;
        if codec != Compression::None {
            let mut packed = Vec::with_capacity(raw.bytes.len() / 2);
            codec.compress(&raw.bytes[HEADER_BYTES..], level, &mut packed)?;
            packed.shrink_to_fit();
            raw.replace(packed);
            from = 0;
        }
        self.codec = codec;
        if let Some(raw) = self.raw.take() {
            self.records = Bytes::from_owner(raw).slice(from..);
        }
        Ok(())
    }

    /// The header for the next attempt, and the records behind it.
    ///
    /// # Errors
    /// [`BatchError::Malformed`] over 2 GiB.
    pub fn seal(&self) -> Result<([u8; HEADER_BYTES], Bytes), BatchError> {
        let (identity, base_sequence) = self.sequence.unwrap_or((Identity { id: -1, epoch: -1 }, -1));
        let header = BatchHeader {
            base_offset: 0,
            length: 0,
            partition_leader_epoch: -1,
            magic: MAGIC_V2,
            crc: 0,
            attributes: i16::from(self.codec.id()),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            base_sequence,
            record_count: self.count,
        };
        Ok((seal_apart(&header, &self.records)?, self.records.clone()))
    }

    /// Two batches, each with half of the records (the first one more of an odd number), in the same codec and with the
    /// sequences that the records have. The state of this one ends when both of theirs have.
    ///
    /// # Errors
    /// [`BatchError`] when the records can't be read back: they were ours, so that is a bug. The batch is lost then; its
    /// state is in the caller's hands.
    pub fn split(self, level: Option<i32>, pool: &Arc<BufferPool>) -> Result<[Self; 2], BatchError> {
        let mut plain = Vec::new();
        let records = match self.codec {
            Compression::None => &self.records[..],
            codec => {
                codec.decompress(&self.records, usize::MAX, &mut plain)?;
                &plain[..]
            }
        };
        let first_count = self.count / 2 + self.count % 2;
        let mut halves = [BatchBuilder::new(BatchOptions::default()), BatchBuilder::new(BatchOptions::default())];
        for (at, record) in (0..).zip(Records::new(records, self.count)?) {
            let record = record?;
            let timestamp = self.base_timestamp.saturating_add(record.timestamp_delta);
            halves[usize::from(at >= first_count)].push(timestamp, record.key, record.value, record.headers)?;
        }
        let counts = halves.each_ref().map(|half| half.count().unsigned_abs());
        let mut sequence = self.sequence;
        let mut order = self.order;
        let mut made = Vec::with_capacity(2);
        for builder in halves {
            let built = builder.into_records();
            let count = built.count;
            let mut half = Self::close(Arc::clone(&self.state), self.opened, built, pool.take_anyway());
            half.sequence = sequence;
            half.order = order;
            half.attempts = self.attempts;
            half.pack(self.codec, level)?;
            order.1 += count.unsigned_abs();
            sequence = sequence.map(|(identity, base)| (identity, advance(base, count)));
            made.push(half);
        }
        for (half, state) in made.iter_mut().zip(BatchState::parts(&self.state, &counts)) {
            half.state = state;
        }
        made.try_into().map_err(|_| BatchError::Malformed("it has no halves"))
    }
}

/// The sequence `count` records after `base`; after the largest number comes 0.
#[must_use]
pub fn advance(base: i32, count: i32) -> i32 {
    let after = i64::from(base) + i64::from(count);
    (after % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::test_support::{accumulator, put, queue};
    use super::*;
    use crate::record::batch::check_crc;
    use crate::record::reader::payload;

    fn batch(values: &[&[u8]]) -> (Batch, Arc<BufferPool>) {
        let batches = accumulator(100_000, 1_000_000, Duration::ZERO);
        let queue = queue(&batches, "t", 0);
        for value in values {
            put(&batches, &queue, value).expect("room");
        }
        let (batch, _) = batches.take(&queue, Instant::now(), true);
        (batch.expect("a batch"), Arc::clone(&batches.pool))
    }

    fn values(batch: &Batch) -> (BatchHeader, Vec<Vec<u8>>) {
        let (header, records) = batch.seal().expect("seals");
        let bytes = [&header[..], &records[..]].concat();
        let (header, whole, rest) = BatchHeader::split_first(&bytes).expect("a batch");
        assert!(rest.is_empty());
        check_crc(&header, whole).expect("its checksum");
        let mut scratch = Vec::new();
        let plain = payload(&header, whole, 1 << 20, &mut scratch).expect("records");
        let read = Records::new(plain, header.record_count).expect("records");
        (header, read.map(|record| record.expect("a record").value.unwrap_or_default().to_vec()).collect())
    }

    #[test]
    fn every_codec_keeps_the_records_and_holds_only_the_room_of_its_bytes() {
        for codec in Compression::ALL {
            let value = vec![b'a'; 5_000];
            let (mut batch, pool) = batch(&[b"first", &value, b"last"]);
            batch.pack(codec, None).expect("packs");
            batch.pack(codec, None).expect("packs once only");
            let (header, read) = values(&batch);
            assert_eq!(read, [b"first".to_vec(), value, b"last".to_vec()], "{}", codec.name());
            assert_eq!(header.codec(), codec.id());
            assert_eq!((header.producer_id, header.base_sequence), (-1, -1));
            if codec != Compression::None {
                assert!(pool.available() > 1_000_000 - 5_000, "{}", codec.name());
            }
            drop(batch);
            assert_eq!(pool.available(), 1_000_000);
        }
    }

    #[test]
    fn a_new_sequence_needs_no_new_records() {
        let (mut batch, _) = batch(&[b"a", b"b"]);
        batch.pack(Compression::None, None).expect("packs");
        for (epoch, sequence) in [(0, 7), (1, 0)] {
            batch.sequence = Some((Identity { id: 42, epoch }, sequence));
            let (header, read) = values(&batch);
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (42, epoch, sequence));
            assert_eq!(read.len(), 2);
        }
    }

    #[test]
    fn halves_carry_the_records_their_sequences_and_their_order() {
        for codec in [Compression::None, Compression::Lz4] {
            let (mut whole, pool) = batch(&[b"a", b"b", b"c", b"d", b"e"]);
            whole.pack(codec, None).expect("packs");
            whole.sequence = Some((Identity { id: 1, epoch: 0 }, i32::MAX - 1));
            let [first, second] = whole.split(None, &pool).expect("splits");
            assert_eq!(values(&first).1, [b"a", b"b", b"c"]);
            assert_eq!(values(&second).1, [b"d", b"e"]);
            assert_eq!(second.sequence, Some((Identity { id: 1, epoch: 0 }, 1)), "after the largest comes 0");
            assert!(first.order < second.order);
        }
    }

    #[test]
    fn sequences_begin_again_after_the_largest() {
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(advance(0, 5), 5);
    }
}
