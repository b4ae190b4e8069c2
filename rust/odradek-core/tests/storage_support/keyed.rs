//! Keyed records for the cleaner's tests: what to append, and what a reader of the whole log finds.

use std::collections::BTreeMap;

use bytes::Bytes;
use odradek_core::log::config::{CleanupPolicy, LogConfig};
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::ReadBound;
use odradek_core::record::batch::{BatchHeader, check_crc};
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::reader::{Header, Records, payload};

use super::{Dir, NOW_MS, read_bytes};

pub const COMPACT: CleanupPolicy = CleanupPolicy { delete: false, compact: true };

/// A compacted topic with segments of a few batches that is cleaned whenever it is dirty at all.
pub fn compacted() -> LogConfig {
    LogConfig {
        cleanup_policy: COMPACT,
        segment_bytes: 500,
        index_interval_bytes: 100,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

/// One record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: String,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A batch of (key, value) with a header each, a millisecond apart.
pub fn keyed_with(options: BatchOptions, records: &[(&str, Option<&str>)], timestamp_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (at, (key, value)) in records.iter().enumerate() {
        let header = Header { key: b"h", value: Some(key.as_bytes()) };
        let time = timestamp_ms + i64::try_from(at).unwrap();
        builder.push(time, Some(key.as_bytes()), value.map(str::as_bytes), [header].into_iter()).unwrap();
    }
    Bytes::from(builder.finish().unwrap())
}

pub fn keyed(records: &[(&str, Option<&str>)]) -> Bytes {
    keyed_with(BatchOptions::default(), records, NOW_MS)
}

/// Every whole batch from the log start to `bound`, checksums checked; batches overlap nowhere.
pub fn batches(log: &PartitionLog, bound: ReadBound) -> Vec<(BatchHeader, Vec<u8>)> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    loop {
        let bytes = read_bytes(log, offset, 1 << 20, bound);
        let mut rest = &bytes[..];
        if rest.is_empty() {
            return found;
        }
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).unwrap();
            let (batch, after) = rest.split_at(header.size());
            check_crc(&header, batch).unwrap();
            assert!(header.base_offset >= offset || found.is_empty(), "batches in order");
            found.push((header, batch.to_vec()));
            (offset, rest) = (header.last_offset() + 1, after);
        }
    }
}

pub fn records_of(header: &BatchHeader, batch: &[u8]) -> Vec<Found> {
    let mut scratch = Vec::new();
    let stored = payload(header, batch, 1 << 30, &mut scratch).unwrap();
    let record = |record: odradek_core::record::reader::RecordView<'_>| Found {
        offset: header.offset_of(&record).unwrap(),
        timestamp_ms: header.timestamp_of(&record).unwrap(),
        key: text(record.key.unwrap()),
        value: record.value.map(text),
        headers: record.headers.map(|header| (text(header.key), header.value.map(text))).collect(),
    };
    Records::new(stored, header.record_count).unwrap().map(|found| record(found.unwrap())).collect()
}

/// Every data record from the log start to the log end.
pub fn all_records(log: &PartitionLog) -> Vec<Found> {
    let all = batches(log, ReadBound::LogEnd);
    all.iter()
        .filter(|(header, _)| !header.is_control())
        .flat_map(|(header, batch)| records_of(header, batch))
        .collect()
}

/// (offset, key, value), for comparing with literals.
pub fn rows(log: &PartitionLog) -> Vec<(i64, String, Option<String>)> {
    all_records(log).into_iter().map(|found| (found.offset, found.key, found.value)).collect()
}

/// What a reader that applies the log from its start holds at the end; a tombstone removes.
pub fn state(log: &PartitionLog) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for found in all_records(log) {
        match found.value {
            Some(value) => state.insert(found.key, value),
            None => state.remove(&found.key),
        };
    }
    state
}

/// Cleans until nothing is dirty; what could not be done fails the test.
pub fn clean(dir: &Dir) -> usize {
    let passes = dir.manager().clean();
    assert_eq!(dir.manager().take_warnings(), Vec::<String>::new());
    passes
}
