//! `%020d.snapshot`: the producers of a partition just before the offset that names the file.
//!
//! ```text
//! offset size field
//!      0    2 version (1)
//!      2    4 CRC-32C of everything after it
//!      6    4 number of entries, each:
//!                8 producer id · 2 epoch · 4 last sequence · 8 last offset · 4 offset delta · 8 timestamp
//!                4 coordinator epoch · 8 first offset of the open transaction (-1 = none)
//! ```
//! Big endian. Of the remembered batches only the last is kept. Source: Kafka `ProducerStateManager`, `ProducerSnapshot.json`.

use super::producer_state::{BatchMetadata, ProducerEntry, ProducerStates};
use crate::record::crc32c::crc32c;

const VERSION: i16 = 1;
const CRC_COVERS_FROM: usize = 6;
const ENTRIES_FROM: usize = 10;
const ENTRY_BYTES: usize = 46;

/// The bytes of a snapshot, entries in the order of their ids.
#[must_use]
pub fn encode(producers: &ProducerStates) -> Vec<u8> {
    let mut entries: Vec<(i64, &ProducerEntry)> = producers.iter().collect();
    entries.sort_by_key(|(id, _)| *id);
    let mut out = Vec::with_capacity(ENTRIES_FROM + entries.len() * ENTRY_BYTES);
    out.extend(VERSION.to_be_bytes());
    out.extend([0; 4]);
    out.extend((entries.len() as u32).to_be_bytes());
    for (id, entry) in entries {
        let none = BatchMetadata { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp_ms: -1 };
        let last = entry.last_batch().unwrap_or(&none);
        out.extend(id.to_be_bytes());
        out.extend(entry.epoch.to_be_bytes());
        out.extend(last.last_sequence.to_be_bytes());
        out.extend(last.last_offset.to_be_bytes());
        out.extend(last.offset_delta.to_be_bytes());
        out.extend(entry.last_timestamp_ms.to_be_bytes());
        out.extend(entry.coordinator_epoch.to_be_bytes());
        out.extend(entry.txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c(&out[CRC_COVERS_FROM..]);
    out[2..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads big-endian numbers one after the other.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }
    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

/// The producers of a snapshot; `None` when the bytes are damaged or of another version.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<ProducerStates> {
    let mut cursor = Cursor(bytes);
    if cursor.i16()? != VERSION {
        return None;
    }
    if u32::from_be_bytes(cursor.take()?) != crc32c(bytes.get(CRC_COVERS_FROM..)?) {
        return None;
    }
    let count = cursor.i32()?;
    let mut states = ProducerStates::default();
    for _ in 0..count {
        let id = cursor.i64()?;
        let mut entry = ProducerEntry::default();
        entry.epoch = cursor.i16()?;
        let (last_sequence, last_offset, offset_delta) = (cursor.i32()?, cursor.i64()?, cursor.i32()?);
        entry.last_timestamp_ms = cursor.i64()?;
        entry.coordinator_epoch = cursor.i32()?;
        entry.txn_first_offset = Some(cursor.i64()?).filter(|offset| *offset >= 0);
        if last_offset >= 0 {
            let timestamp_ms = entry.last_timestamp_ms;
            entry.add_batch(BatchMetadata { last_sequence, last_offset, offset_delta, timestamp_ms });
        }
        states.restore(id, entry);
    }
    Some(states)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_producer() -> ProducerStates {
        let mut entry = ProducerEntry::default();
        (entry.epoch, entry.last_timestamp_ms) = (3, 9);
        entry.add_batch(BatchMetadata { last_sequence: 7, last_offset: 107, offset_delta: 7, timestamp_ms: 9 });
        entry.txn_first_offset = Some(100);
        let mut states = ProducerStates::default();
        states.restore(5, entry);
        states
    }

    #[test]
    fn a_snapshot_reads_back_and_keeps_the_open_transaction() {
        let bytes = encode(&one_producer());
        assert_eq!(bytes.len(), ENTRIES_FROM + ENTRY_BYTES);
        let mut read = decode(&bytes).expect("whole");
        assert_eq!(read.iter().collect::<Vec<_>>(), one_producer().iter().collect::<Vec<_>>());
        assert_eq!(read.first_unstable_offset(1000), Some(100));
    }

    #[test]
    fn a_damaged_snapshot_is_refused() {
        let bytes = encode(&one_producer());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_none(), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }
}
