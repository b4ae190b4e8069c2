//! What goes into a batch comes out of it, in every codec.

#![allow(clippy::unwrap_used)] // a test that fails is to fail

use odradek_core::compress::Compression;
use odradek_core::record::batch::{self, BatchHeader, check_crc};
use odradek_core::record::builder::{BatchBuilder, BatchOptions, recompress};
use odradek_core::record::check::{RecordFacts, RecordRules, check_records};
use odradek_core::record::control::{Marker, MarkerType};
use odradek_core::record::reader::{Header, Records, payload};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIMIT: usize = 64 << 20;

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..most), (any::<u8>(), 0..most * 8).prop_map(|(byte, size)| vec![byte; size])]
}

fn record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![1_600_000_000_000i64..1_900_000_000_000, -1i64..1000];
    let headers = vec((bytes(8), option::of(bytes(16))), 0..4);
    (timestamp, option::of(bytes(32)), option::of(bytes(400)), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

fn build(records: &[Owned], options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let headers = record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() });
        builder.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers).unwrap();
    }
    builder.finish().unwrap()
}

fn read(batch: &[u8]) -> Vec<Owned> {
    let (header, batch, rest) = BatchHeader::split_first(batch).unwrap();
    assert!(rest.is_empty());
    check_crc(&header, batch).unwrap();
    let mut scratch = Vec::new();
    let records = payload(&header, batch, LIMIT, &mut scratch).unwrap();
    let read = Records::new(records, header.record_count).unwrap().enumerate().map(|(place, record)| {
        let record = record.unwrap();
        assert_eq!(header.offset_of(&record).unwrap(), header.base_offset + place as i64);
        assert_eq!(record.headers.len(), record.headers.clone().count());
        Owned {
            timestamp: header.timestamp_of(&record).unwrap(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
        }
    });
    read.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_come_back_as_they_went_in(records in vec(record(), 1..20), compression in codec(), base in 0i64..1 << 60) {
        let batch = build(&records, BatchOptions { compression, base_offset: base, ..BatchOptions::default() });
        prop_assert_eq!(read(&batch), records);
    }

    #[test]
    fn the_check_agrees_with_the_reader_on_good_batches(records in vec(record(), 1..20), compression in codec()) {
        let batch = build(&records, BatchOptions { compression, ..BatchOptions::default() });
        let header = BatchHeader::parse(&batch).unwrap();
        let rules = RecordRules { consecutive_offsets: true, ..RecordRules::default() };
        let facts = check_records(&header, &batch, rules).unwrap();
        let max = records.iter().map(|record| record.timestamp).max().unwrap();
        let first = records.iter().position(|record| record.timestamp == max).unwrap();
        let mut scratch = Vec::new();
        let payload_bytes = payload(&header, &batch, LIMIT, &mut scratch).unwrap().len() as u64;
        let expected = RecordFacts { max_timestamp: max, max_timestamp_offset_delta: first as i32, payload_bytes };
        prop_assert_eq!(facts, expected);
        prop_assert_eq!(header.max_timestamp, max);
        let keys = check_records(&header, &batch, RecordRules { require_keys: true, ..rules });
        prop_assert_eq!(keys.is_ok(), records.iter().all(|record| record.key.is_some()));
    }

    #[test]
    fn recompression_changes_the_codec_and_nothing_else(records in vec(record(), 1..20), from in codec(), to in codec()) {
        let options = BatchOptions { compression: from, producer_id: 9, producer_epoch: 1, base_sequence: 5, transactional: true, ..BatchOptions::default() };
        let batch = build(&records, options);
        let other = recompress(&batch, to, None, LIMIT).unwrap();
        prop_assert_eq!(read(&other), records);
        let (before, after) = (BatchHeader::parse(&batch).unwrap(), BatchHeader::parse(&other).unwrap());
        prop_assert_eq!(after.compression().unwrap(), to);
        let expected = BatchHeader { length: after.length, crc: after.crc, attributes: before.attributes & !7 | i16::from(to.id()), ..before };
        prop_assert_eq!(after, expected);
    }

    #[test]
    fn compressed_bytes_decompress_up_to_the_limit_and_no_further(data in bytes(20_000), compression in codec()) {
        let mut packed = b"kept".to_vec();
        compression.compress(&data, None, &mut packed).unwrap();
        prop_assert_eq!(&packed[..4], b"kept");
        let mut out = b"kept too".to_vec();
        compression.decompress(&packed[4..], data.len(), &mut out).unwrap();
        prop_assert_eq!(&out[8..], &data[..]);
        if !data.is_empty() {
            prop_assert!(compression.decompress(&packed[4..], data.len() - 1, &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn offsets_may_have_gaps_but_never_go_back() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push_at(3, 10, None, None, std::iter::empty()).unwrap();
    assert!(builder.push_at(3, 10, None, None, std::iter::empty()).is_err());
    builder.push_at(7, 11, None, None, std::iter::empty()).unwrap();
    let batch = builder.finish().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.record_count, header.last_offset_delta), (2, 7));
    let strict = RecordRules { consecutive_offsets: true, ..RecordRules::default() };
    assert!(check_records(&header, &batch, RecordRules::default()).is_ok());
    assert!(check_records(&header, &batch, strict).is_err());
}

#[test]
fn the_leader_s_changes_keep_the_checksum_right() {
    let mut batch = build(
        &[Owned { timestamp: 5, key: None, value: Some(b"v".to_vec()), headers: vec![] }],
        BatchOptions::default(),
    );
    batch::assign(&mut batch, 77, 3).unwrap();
    check_crc(&BatchHeader::parse(&batch).unwrap(), &batch).unwrap();
    batch::stamp_append_time(&mut batch, 99).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    check_crc(&header, &batch).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch, header.max_timestamp), (77, 3, 99));
    assert!(header.is_log_append_time());
    assert_eq!(read(&batch)[0].timestamp, 99);
}

#[test]
fn a_transaction_marker_comes_back_from_its_batch() {
    let marker = Marker { marker_type: MarkerType::Commit, coordinator_epoch: 7 };
    let batch = marker.batch(12, 1, 1000, 0).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    assert!(header.is_control() && header.is_transactional());
    let records = read(&batch);
    assert_eq!(records[0].key.as_deref(), Some(&[0, 0, 0, 1][..]));
    assert_eq!(records[0].value.as_deref(), Some(&[0, 0, 0, 0, 0, 7][..]));
    assert_eq!(Marker::parse(records[0].key.as_deref(), records[0].value.as_deref()), Ok(Some(marker)));
    assert!(Marker::parse(Some(&[0, 0, 0]), None).is_err());
    assert_eq!(Marker::parse(Some(&[0, 0, 0, 5]), None), Ok(None));
}

#[test]
fn levels_are_checked_by_codec() {
    assert!(Compression::Gzip.check_level(Some(10)).is_err());
    assert!(Compression::Snappy.check_level(Some(1)).is_err());
    for (codec, levels) in [(Compression::Gzip, [1, 9]), (Compression::Lz4, [1, 17]), (Compression::Zstd, [-5, 19])] {
        for level in levels {
            let mut packed = Vec::new();
            codec.compress(b"abcabcabcabc", Some(level), &mut packed).unwrap();
            let mut out = Vec::new();
            codec.decompress(&packed, 100, &mut out).unwrap();
            assert_eq!(out, b"abcabcabcabc");
        }
    }
}
