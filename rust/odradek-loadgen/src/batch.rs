//! Record batches, magic 2, written from scratch and walked header by header.
//!
//! Not shared with the broker's codec on purpose: a fault there must not hide itself here.

use crate::failure::{Failure, Result};
use std::time::{SystemTime, UNIX_EPOCH};

const HEADER: usize = 61;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push((zigzag & 0x7f) as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// One uncompressed batch of `count` records without key, each value `size` bytes of printable noise drawn from `seed`.
pub fn encode(count: usize, size: usize, seed: u64) -> Vec<u8> {
    encode_keyed(count, 0, size, seed)
}

/// The same with keys of `key` bytes; 0 = none.
pub fn encode_keyed(count: usize, key: usize, size: usize, seed: u64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis()) as i64;
    let last = i32::try_from(count - 1).unwrap_or(i32::MAX);
    let mut out = Vec::with_capacity(HEADER + count * (key + size + 16));
    out.extend_from_slice(&0_i64.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out.push(2);
    out.extend_from_slice(&0_u32.to_be_bytes());
    out.extend_from_slice(&0_i16.to_be_bytes());
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&now.to_be_bytes());
    out.extend_from_slice(&now.to_be_bytes());
    out.extend_from_slice(&(-1_i64).to_be_bytes());
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out.extend_from_slice(&(last + 1).to_be_bytes());
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut record = Vec::with_capacity(key + size + 16);
    let mut noise = |record: &mut Vec<u8>, length: usize| {
        for _ in 0..length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            record.push(b' ' + (state % 95) as u8);
        }
    };
    for delta in 0..count {
        record.clear();
        record.push(0);
        varint(&mut record, 0);
        varint(&mut record, delta as i64);
        varint(&mut record, if key == 0 { -1 } else { key as i64 });
        noise(&mut record, key);
        varint(&mut record, size as i64);
        noise(&mut record, size);
        varint(&mut record, 0);
        varint(&mut out, record.len() as i64);
        out.extend_from_slice(&record);
    }
    let length = i32::try_from(out.len() - 12).unwrap_or(i32::MAX);
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&out[CRC_FROM..]);
    out[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    out
}

/// What a walk over fetched batches found. A partial batch at the end is not counted: Kafka cuts where the limit falls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Bytes of whole batches.
    pub bytes: usize,
    /// Records in them.
    pub records: u64,
    /// Offset after the last of them; the offset asked for when there was none.
    pub next_offset: i64,
}

fn be_i64(bytes: &[u8], at: usize) -> i64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(word)
}

fn be_i32(bytes: &[u8], at: usize) -> i32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(word)
}

/// Walk fetched batches.
///
/// # Errors
/// A batch that does not hold or follow `offset`, another magic, or (if `verify_crc`) a wrong CRC-32C.
pub fn walk(bytes: &[u8], offset: i64, verify_crc: bool) -> Result<Walk> {
    let mut walk = Walk { next_offset: offset, ..Walk::default() };
    while bytes.len() - walk.bytes >= HEADER {
        let batch = &bytes[walk.bytes..];
        let length =
            usize::try_from(be_i32(batch, 8)).map_err(|_| Failure::new("a batch with a negative length"))? + 12;
        if batch.len() < length || length < HEADER {
            break;
        }
        let (base, last) = (be_i64(batch, 0), i64::from(be_i32(batch, 23)));
        let holds = base + last >= walk.next_offset && (walk.bytes == 0 || base == walk.next_offset);
        if !holds || batch[16] != 2 {
            let next = walk.next_offset;
            return Err(Failure::new(format!(
                "batch {base}..={} of magic {} where offset {next} was due",
                base + last,
                batch[16]
            )));
        }
        if verify_crc && crc32c(&batch[CRC_FROM..length]) != be_i32(batch, CRC_AT) as u32 {
            return Err(Failure::new(format!("batch {base} has a wrong CRC")));
        }
        walk.next_offset = base + last + 1;
        walk.records += u64::try_from(be_i32(batch, 57)).unwrap_or(0);
        walk.bytes += length;
    }
    Ok(walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, count: usize) -> Vec<u8> {
        let mut batch = encode(count, 10, 1);
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch
    }

    #[test]
    fn a_walk_counts_whole_batches_and_leaves_a_partial_tail() {
        let mut bytes = at(5, 3);
        bytes.extend(at(8, 2));
        let whole = bytes.len();
        bytes.extend_from_slice(&at(10, 2)[..70]);
        let walk = walk(&bytes, 6, true).expect("sound batches");
        assert_eq!(walk, Walk { bytes: whole, records: 5, next_offset: 10 });
    }

    #[test]
    fn a_gap_or_a_step_back_is_an_error() {
        let gap: Vec<u8> = [at(0, 3), at(4, 1)].concat();
        assert!(walk(&gap, 0, false).is_err());
        assert!(walk(&at(0, 3), 3, false).is_err());
    }

    #[test]
    fn a_flipped_bit_is_an_error_only_when_crcs_are_verified() {
        let mut bytes = at(0, 3);
        bytes[80] ^= 1;
        assert!(walk(&bytes, 0, false).is_ok());
        assert!(walk(&bytes, 0, true).is_err());
    }
}
