//! Files that Apache Kafka 4.3.1 wrote (`tests/storage/make_kafka_vectors.py`) are served, and repaired into the very
//! bytes that Kafka itself would have left.
//!
//! The folder holds 200 records in five codecs, then idempotent, committed, aborted (221..=231 and 242..=252) and open
//! (from 253) transactional ones, over five segments. `running` was copied under the running broker: its last indexes
//! are preallocated, its last snapshot is missing. `closed` was copied after a clean stop.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use odradek_core::fs::Reach;
use odradek_core::log::config::LogConfig;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AbortedTransaction, ReadBound};
use storage_support::*;

/// As the topic was configured.
fn config() -> LogConfig {
    LogConfig { index_interval_bytes: 200, segment_ms: 60_000, retention_ms: -1, ..LogConfig::default() }
}

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/storage/vectors").join(name)
}

/// A data directory with the folder as partition 0, opened after an unclean stop.
fn serve(name: &str, suffixes: &[&str]) -> (Dir, Arc<PartitionLog>) {
    let dir = Dir::new();
    let target = dir.partition_path(0);
    fs::create_dir(&target).unwrap();
    for entry in fs::read_dir(vectors(name)).unwrap() {
        let path = entry.unwrap().path();
        let file_name = path.file_name().unwrap().to_str().unwrap();
        if suffixes.is_empty() || suffixes.iter().any(|suffix| file_name.ends_with(suffix)) {
            fs::copy(&path, target.join(file_name)).unwrap();
        }
    }
    let log = dir.host(0, config());
    log.advance_high_watermark(log.log_end_offset());
    (dir, log)
}

fn check_contents(log: &PartitionLog) {
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 268));
    let records = read_all(log, 0, 1000);
    let values: Vec<String> = records.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(values, (0..265).map(|at| format!("value-{at}")).collect::<Vec<_>>());
    assert_eq!(log.last_stable_offset(), 253);
    let read = log.read(200, 1 << 20, true, ReadBound::LastStableOffset).unwrap();
    assert_eq!(read.aborted, Some(vec![]), "the slice ends with its segment, before the aborted transactions");
    let read = log.read(225, 1 << 20, true, ReadBound::LastStableOffset).unwrap();
    let aborted = |producer_id, first_offset| AbortedTransaction { producer_id, first_offset };
    assert_eq!(read.aborted, Some(vec![aborted(2, 221), aborted(3, 242)]));
}

#[test]
fn a_running_brokers_folder_is_repaired_and_served() {
    let (_dir, log) = serve("kafka-4.3.1-running", &[]);
    check_contents(&log);
}

#[test]
fn log_files_alone_are_enough() {
    let (_dir, log) = serve("kafka-4.3.1-running", &[".log"]);
    check_contents(&log);
}

#[test]
fn repair_leaves_the_very_bytes_that_kafka_left() {
    let (mut dir, _log) = serve("kafka-4.3.1-running", &[".log", ".metadata"]);
    dir.close();
    for entry in fs::read_dir(vectors("kafka-4.3.1-closed")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Snapshots of closed segments are written when they roll, which happened in Kafka.
        let rolled = name.ends_with(".snapshot") && name != "00000000000000000268.snapshot";
        if !rolled {
            let ours = fs::read(dir.partition_path(0).join(name)).unwrap();
            assert_eq!(ours, fs::read(&path).unwrap(), "{name}");
        }
    }
}

#[test]
fn a_folder_closed_by_kafka_is_trusted_with_its_checkpoints() {
    let (mut dir, log) = serve("kafka-4.3.1-closed", &[]);
    drop(log);
    dir.crash();
    for entry in fs::read_dir(vectors("kafka-4.3.1-closed")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.partition_path(0).join(path.file_name().unwrap())).unwrap();
    }
    fs::write(dir.path().join("recovery-point-offset-checkpoint"), "0\n1\nt 0 268\n").unwrap();
    fs::write(dir.path().join("replication-offset-checkpoint"), "0\n1\nt 0 268\n").unwrap();
    fs::write(dir.path().join(".kafka_cleanshutdown"), "{\"version\":0,\"brokerEpoch\":13}").unwrap();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(log.high_watermark(), 268);
    check_contents(&log);
    // A record produced before the restart is still known as a duplicate.
    let again = log.append(&idempotent(0, 0, 0, 10), 0, odradek_core::log::types::AppendOrigin::Client).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offset, 200);
}

#[test]
fn a_record_in_every_codec_is_found_by_its_time() {
    let (_dir, log) = serve("kafka-4.3.1-running", &[]);
    for number in [0, 39, 40, 79, 85, 125, 165, 199] {
        let timestamp_ms = 1_700_000_000_000 + i64::from(number / 40 * 40_000) + i64::from(number);
        let found = log.offset_for_timestamp(timestamp_ms, Reach::Disk).unwrap().unwrap();
        assert_eq!((found.timestamp_ms, found.offset), (timestamp_ms, i64::from(number)));
    }
}
