//! Batches that other clients made (`tests/vectors`) are read whole, and mutated ones never panic.

#![allow(clippy::unwrap_used)] // a test that fails is to fail

use std::fs;
use std::path::{Path, PathBuf};

use odradek_core::compress::Compression;
use odradek_core::record::batch::{BatchError, BatchHeader, HEADER_BYTES, check_crc};
use odradek_core::record::builder::recompress;
use odradek_core::record::check::{RecordRules, check_records};
use odradek_core::record::reader::{Records, payload};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn vectors() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "bin")).collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Reads the first batch to its end; returns its header and how many records it has.
fn read(bytes: &[u8]) -> Result<(BatchHeader, usize), BatchError> {
    let (header, batch, _) = BatchHeader::split_first(bytes)?;
    let mut scratch = Vec::new();
    let mut count = 0;
    for record in Records::new(payload(&header, batch, LIMIT, &mut scratch)?, header.record_count)? {
        let record = record?;
        header.offset_of(&record)?;
        header.timestamp_of(&record)?;
        count += 1;
    }
    Ok((header, count))
}

#[test]
fn every_batch_of_every_client_is_read_checked_and_recompressed() {
    let vectors = vectors();
    assert!(vectors.len() >= 22);
    for (path, bytes) in vectors {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (header, batch, after) = BatchHeader::split_first(rest).unwrap();
            check_crc(&header, batch).unwrap();
            assert_eq!(read(batch).unwrap().1, header.record_count as usize, "{}", path.display());
            let rules = RecordRules { consecutive_offsets: true, ..RecordRules::default() };
            let facts = check_records(&header, batch, rules).unwrap();
            assert!(header.is_log_append_time() || facts.max_timestamp == header.max_timestamp);
            for codec in Compression::ALL {
                let other = recompress(batch, codec, None, LIMIT).unwrap();
                let (changed, count) = read(&other).unwrap();
                check_crc(&changed, &other).unwrap();
                assert_eq!((changed.compression(), count), (Ok(codec), header.record_count as usize));
            }
            rest = after;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn mutated_vectors_never_panic_and_reader_and_check_agree(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (path, mut bytes) in vectors() {
            let size = BatchHeader::parse(&bytes).unwrap().size();
            bytes.truncate(size);
            for (at, value) in &flips {
                let at = HEADER_BYTES + at.index(size - HEADER_BYTES);
                bytes[at] = *value;
            }
            let header = BatchHeader::parse(&bytes).unwrap();
            let rules = RecordRules { max_payload_bytes: Some(LIMIT), ..RecordRules::default() };
            let checked = check_records(&header, &bytes, rules);
            let read = read(&bytes);
            prop_assert_eq!(read.is_ok(), checked.is_ok(), "{}: {:?} but {:?}", path.display(), read, checked);
        }
    }
}
