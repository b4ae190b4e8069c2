//! Compaction and producers: aborted records go, markers go after their data, sequences are never forgotten.
#![allow(clippy::unwrap_used)]

mod storage_support;

use bytes::Bytes;
use odradek_core::log::error::LogError;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use odradek_core::record::builder::BatchOptions;
use odradek_core::record::control::MarkerType;
use storage_support::keyed::*;
use storage_support::*;

fn of_producer(producer_id: i64, base_sequence: i32, transactional: bool, records: &[(&str, &str)]) -> Bytes {
    let options =
        BatchOptions { producer_id, producer_epoch: 0, base_sequence, transactional, ..BatchOptions::default() };
    let records: Vec<_> = records.iter().map(|(key, value)| (*key, Some(*value))).collect();
    keyed_with(options, &records, NOW_MS)
}

fn end(log: &PartitionLog, producer_id: i64, marker_type: MarkerType) {
    end_txn(log, producer_id, marker_type);
    log.advance_high_watermark(log.log_end_offset());
}

/// Fills segments so that what stood before is not in the active one.
fn fill(log: &PartitionLog) {
    for at in 0..12 {
        produce(log, &keyed(&[("filler", Some(&format!("{at}")))]));
    }
}

/// Base offsets of the markers.
fn markers(log: &PartitionLog) -> Vec<i64> {
    let all = batches(log, ReadBound::LogEnd);
    all.iter().filter(|(header, _)| header.is_control()).map(|(header, _)| header.base_offset).collect()
}

fn aborted_of(log: &PartitionLog) -> usize {
    log.read(0, 1 << 20, true, ReadBound::LastStableOffset).unwrap().aborted.unwrap().len()
}

#[test]
fn aborted_records_never_win_and_go_and_committed_ones_stay() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    produce(&log, &keyed(&[("a", Some("plain"))]));
    produce(&log, &of_producer(1, 0, true, &[("a", "aborted"), ("b", "aborted")]));
    produce(&log, &of_producer(2, 0, true, &[("c", "committed")]));
    end(&log, 1, MarkerType::Abort);
    end(&log, 2, MarkerType::Commit);
    produce(&log, &of_producer(1, 2, true, &[("d", "committed")]));
    end(&log, 1, MarkerType::Commit);
    fill(&log);
    clean(&dir);
    let state = state(&log);
    assert_eq!((&state["a"][..], &state["c"][..], &state["d"][..]), ("plain", "committed", "committed"));
    assert!(!state.contains_key("b"));
    assert_eq!(aborted_of(&log), 1, "its marker was met with data before it, so readers still hear of it");
}

#[test]
fn markers_stay_while_their_data_does_and_then_until_their_horizon() {
    let mut dir = Dir::new();
    let log = dir.host(0, compacted());
    produce(&log, &of_producer(1, 0, true, &[("a", "aborted")]));
    end(&log, 1, MarkerType::Abort);
    produce(&log, &of_producer(2, 0, true, &[("b", "committed")]));
    end(&log, 2, MarkerType::Commit);
    // Both producers go on, so that nothing has to stay for their sequences' sake.
    produce(&log, &of_producer(1, 1, false, &[("x", "1")]));
    produce(&log, &of_producer(2, 1, false, &[("y", "1")]));
    fill(&log);
    clean(&dir);
    assert_eq!(markers(&log), [1, 3]);
    fill(&log);
    clean(&dir);
    assert_eq!(markers(&log), [1, 3], "nothing is left of the first; now its horizon runs");
    assert_eq!(aborted_of(&log), 0);
    dir.clock.advance(1001);
    fill(&log);
    clean(&dir);
    assert_eq!(markers(&log), [3], "the committed record is still there");
    drop(log);
    dir.crash();
    dir.open();
    let log = dir.host(0, compacted());
    assert_eq!(state(&log)["b"], "committed");
    assert_eq!(markers(&log), [3]);
}

#[test]
fn nothing_of_an_open_transaction_is_touched() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    produce(&log, &keyed(&[("a", Some("before"))]));
    produce(&log, &of_producer(1, 0, true, &[("a", "undecided")]));
    fill(&log);
    clean(&dir);
    assert_eq!(log.last_stable_offset(), 1);
    assert_eq!(all_records(&log).len(), 14, "the record before must survive an abort");
    end(&log, 1, MarkerType::Abort);
    fill(&log);
    clean(&dir);
    assert_eq!(state(&log)["a"], "before");
    assert!(all_records(&log).len() < 14);
}

#[test]
fn a_producers_last_sequence_survives_cleaning_and_a_start_without_snapshots() {
    let mut dir = Dir::new();
    let log = dir.host(0, compacted());
    let last = of_producer(7, 2, false, &[("a", "old"), ("b", "old")]);
    produce(&log, &of_producer(7, 0, false, &[("a", "older"), ("b", "older")]));
    produce(&log, &last);
    produce(&log, &keyed(&[("a", Some("new")), ("b", Some("new"))]));
    fill(&log);
    clean(&dir);
    let empty = &batches(&log, ReadBound::LogEnd)[0].0;
    assert_eq!((empty.record_count, empty.base_offset, empty.last_offset()), (0, 2, 3));
    assert_eq!((empty.producer_id, empty.base_sequence), (7, 2));
    drop(log);
    dir.close();
    for name in dir.files(".snapshot") {
        std::fs::remove_file(dir.partition_path(0).join(name)).unwrap();
    }
    dir.open();
    let log = dir.host(0, compacted());
    assert!(log.append(&last, 0, AppendOrigin::Client).unwrap().duplicate);
    let skipped = log.append(&of_producer(7, 5, false, &[("a", "x")]), 0, AppendOrigin::Client);
    assert!(matches!(skipped, Err(LogError::OutOfOrderSequence { expected: 4, .. })));
    produce(&log, &of_producer(7, 4, false, &[("a", "next")]));
    fill(&log);
    clean(&dir);
    assert!(batches(&log, ReadBound::LogEnd).iter().all(|(header, _)| header.record_count > 0), "it may go now");
    assert_eq!(state(&log)["a"], "next");
}
