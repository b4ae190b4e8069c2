//! Whatever the bytes are, the codec answers with an error or with records, never with a panic or a huge allocation.

#![allow(clippy::unwrap_used)] // a test that fails is to fail

use odradek_core::compress::Compression;
use odradek_core::record::batch::{BatchError, BatchHeader, HEADER_BYTES, check_crc};
use odradek_core::record::builder::{BatchBuilder, BatchOptions, recompress};
use odradek_core::record::check::{RecordRules, check_records};
use odradek_core::record::reader::{Header, Records, payload};
use odradek_core::wire::primitives::put_varint;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn sample(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
    for number in 0u8..20 {
        let value = vec![number; usize::from(number) * 9];
        let headers = [Header { key: b"name", value: None }, Header { key: b"other", value: Some(b"x") }];
        builder.push(1000 + i64::from(number), Some(&[number]), Some(&value), headers.into_iter()).unwrap();
    }
    builder.finish().unwrap()
}

/// Reads everything as far as it goes, in the three ways there are; all must agree on good or bad.
fn consume(batch: &[u8]) -> bool {
    let Ok((header, batch, _)) = BatchHeader::split_first(batch) else { return false };
    let mut scratch = Vec::new();
    let read = payload(&header, batch, LIMIT, &mut scratch).and_then(|records| {
        for record in Records::new(records, header.record_count)? {
            let record = record?;
            header.offset_of(&record)?;
            header.timestamp_of(&record)?;
            assert_eq!(record.headers.len(), record.headers.count());
        }
        Ok(())
    });
    let rules = RecordRules { max_payload_bytes: Some(LIMIT), ..RecordRules::default() };
    let checked = check_records(&header, batch, rules);
    assert_eq!(read.is_ok(), checked.is_ok(), "the reader says {read:?}, the check {checked:?}");
    let _ = recompress(batch, Compression::Lz4, None, LIMIT);
    read.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_batches_are_refused_or_read_but_never_panic(
        codec in prop::sample::select(Compression::ALL.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut batch = sample(codec);
        for (at, value) in flips {
            let at = 17 + at.index(batch.len() - 17);
            batch[at] = value;
        }
        if cuts {
            let size = HEADER_BYTES + cut.index(batch.len() - HEADER_BYTES);
            batch.truncate(size);
            let length = (size - 12) as u32;
            batch[8..12].copy_from_slice(&length.to_be_bytes());
        }
        consume(&batch);
    }

    #[test]
    fn garbage_never_panics(codec in 0u8..8, body in prop::collection::vec(any::<u8>(), 0..300), count in any::<i32>()) {
        let mut batch = sample(Compression::None);
        batch.truncate(HEADER_BYTES);
        batch[22] = codec;
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        batch.extend_from_slice(&body);
        let length = (batch.len() - 12) as u32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        consume(&batch);
        consume(&body);
    }
}

fn with_count(mut batch: Vec<u8>, count: i32) -> Vec<u8> {
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    batch
}

#[test]
fn lying_counts_are_refused_in_every_codec() {
    for codec in Compression::ALL {
        assert!(consume(&sample(codec)));
        for count in [-1, 0, 19, 21, i32::MAX, i32::MIN] {
            assert!(!consume(&with_count(sample(codec), count)), "{codec:?} took a count of {count}");
        }
    }
}

#[test]
fn a_cut_payload_is_refused_in_every_codec() {
    for codec in Compression::ALL {
        let whole = sample(codec);
        for size in HEADER_BYTES..whole.len() {
            let mut batch = whole[..size].to_vec();
            assert!(matches!(BatchHeader::split_first(&batch), Err(BatchError::Truncated { .. })));
            batch[8..12].copy_from_slice(&((size - 12) as u32).to_be_bytes());
            assert!(!consume(&batch), "{codec:?} cut to {size} of {}", whole.len());
        }
    }
}

#[test]
fn a_flipped_bit_fails_the_checksum() {
    let whole = sample(Compression::Zstd);
    for at in 21..whole.len() {
        let mut batch = whole.clone();
        batch[at] ^= 1 << (at % 8);
        let header = BatchHeader::parse(&batch).unwrap();
        assert!(matches!(check_crc(&header, &batch), Err(BatchError::ChecksumMismatch { .. })));
    }
}

#[test]
fn old_magics_and_impossible_lengths_are_named() {
    let mut batch = sample(Compression::None);
    batch[16] = 1;
    assert_eq!(BatchHeader::split_first(&batch[..30]).unwrap_err(), BatchError::UnsupportedMagic(1));
    batch[16] = 2;
    for length in [-1i32, 0, 48, i32::MIN] {
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        assert!(matches!(BatchHeader::split_first(&batch), Err(BatchError::Malformed(_))));
    }
    batch[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(BatchHeader::split_first(&batch), Err(BatchError::Truncated { .. })));
}

/// One record of half a GiB of zeros: small when compressed.
fn bomb(codec: Compression, value_bytes: i32) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut body = vec![0, 0, 0, 1];
    put_varint(&mut body, value_bytes);
    put_varint(&mut payload, body.len() as i32 + value_bytes + 1);
    payload.extend_from_slice(&body);
    payload.resize(payload.len() + value_bytes as usize + 1, 0);
    let mut batch = sample(codec);
    batch.truncate(HEADER_BYTES);
    codec.compress(&payload, None, &mut batch).unwrap();
    let length = (batch.len() - 12) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    with_count(batch, 1)
}

#[test]
fn a_bomb_is_skimmed_whole_and_never_unpacked_past_the_limit() {
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let batch = bomb(codec, 32 << 20);
        let header = BatchHeader::parse(&batch).unwrap();
        let facts = check_records(&header, &batch, RecordRules::default()).unwrap();
        assert!(facts.payload_bytes > 32 << 20);
        let mut scratch = Vec::new();
        assert!(matches!(payload(&header, &batch, LIMIT, &mut scratch), Err(BatchError::Decompress(_))));
        assert!(scratch.capacity() <= 4 * LIMIT, "{codec:?} allocated {}", scratch.capacity());
        let lying = with_count(batch, 2);
        let header = BatchHeader::parse(&lying).unwrap();
        assert!(check_records(&header, &lying, RecordRules::default()).is_err());
    }
}

#[test]
fn what_a_payload_claims_to_hold_is_not_allocated() {
    // A raw snappy block and a zstd frame that claim 1 GiB and 2^62 bytes in a few.
    let snappy: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x04, 0x00, 0x61];
    let zstd: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x01, 0, 0];
    for (codec, data) in [(Compression::Snappy, snappy), (Compression::Zstd, zstd)] {
        let mut out = Vec::new();
        assert!(codec.decompress(data, usize::MAX, &mut out).is_err());
        assert!(out.capacity() < 1 << 20);
    }
}
