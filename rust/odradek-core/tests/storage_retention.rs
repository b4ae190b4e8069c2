//! Retention, DeleteRecords, delayed removal of files, and lookups by time over what is left.
#![allow(clippy::unwrap_used)]

mod storage_support;

use odradek_core::fs::Reach;
use odradek_core::log::config::{CleanupPolicy, LogConfig};
use odradek_core::log::error::LogError;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use odradek_core::record::builder::BatchOptions;
use storage_support::*;

const HOUR_MS: i64 = 3_600_000;

/// Six segments of one batch of 10 records, an hour apart, the youngest now.
fn hourly(config: LogConfig) -> (Dir, std::sync::Arc<odradek_core::log::partition_log::PartitionLog>) {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_ms: HOUR_MS / 2, ..config });
    for at in 0..6_u32 {
        let timestamp = NOW_MS - i64::from(5 - at) * HOUR_MS;
        produce(&log, &batch_with(BatchOptions::default(), at * 10, 10, timestamp));
    }
    assert_eq!(dir.files(".log").len(), 6);
    (dir, log)
}

fn run_retention(dir: &Dir) {
    dir.clock.advance(300_000);
    dir.manager().tick();
}

#[test]
fn segments_older_than_retention_ms_go_and_younger_ones_stay() {
    let (dir, log) = hourly(LogConfig { retention_ms: 2 * HOUR_MS + HOUR_MS / 2, ..LogConfig::default() });
    run_retention(&dir);
    assert_eq!(log.log_start_offset(), 30);
    assert_eq!(dir.files(".log").len(), 3);
    assert!(matches!(log.read(29, 100, true, ReadBound::LogEnd), Err(LogError::OffsetOutOfRange { .. })));
    assert_eq!(read_all(&log, 30, 1 << 20).len(), 30);
}

#[test]
fn files_go_after_the_delay_and_not_before() {
    let (dir, _log) = hourly(LogConfig { retention_ms: HOUR_MS, ..LogConfig::default() });
    run_retention(&dir);
    let waiting = dir.files(".log.deleted").len();
    assert!(waiting > 0);
    dir.clock.advance(59_999);
    dir.manager().tick();
    assert_eq!(dir.files(".log.deleted").len(), waiting);
    dir.clock.advance(1);
    dir.manager().tick();
    assert!(dir.files(".deleted").is_empty());
}

#[test]
fn when_everything_is_expired_the_active_segment_is_rolled_and_offsets_go_on() {
    let (mut dir, log) = hourly(LogConfig { retention_ms: 1000, ..LogConfig::default() });
    run_retention(&dir);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 60));
    assert_eq!(dir.files(".log"), ["00000000000000000060.log"]);
    assert_eq!(log.size_bytes(), 0);
    drop(log);
    for clean in [false, true] {
        if clean {
            dir.close()
        } else {
            dir.crash()
        }
        dir.open();
        let log = dir.log();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 60), "clean {clean}");
    }
    assert_eq!(produce(&dir.log(), &batch(0, 1)).base_offset, 60);
}

#[test]
fn retention_bytes_keeps_at_least_that_much() {
    let (dir, log) = hourly(LogConfig::default());
    let segment = log.size_bytes() / 6;
    let keep = i64::try_from(segment * 2 + segment / 2).unwrap();
    let config = LogConfig { retention_bytes: keep, retention_ms: -1, ..LogConfig::default() };
    dir.manager().configure(&tp(0), config.into());
    run_retention(&dir);
    assert_eq!(dir.files(".log").len(), 3, "two would be less than the limit");
    assert_eq!(log.log_start_offset(), 30);
}

#[test]
fn nothing_above_the_high_watermark_goes() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_ms: 1, retention_ms: 1000, ..LogConfig::default() });
    for at in 0..4_u32 {
        let timestamp = NOW_MS - HOUR_MS + i64::from(at) * 10;
        log.append(&batch_with(BatchOptions::default(), at, 1, timestamp), 0, AppendOrigin::Client).unwrap();
    }
    log.advance_high_watermark(2);
    run_retention(&dir);
    assert_eq!(log.log_start_offset(), 2);
}

#[test]
fn a_compacted_topic_keeps_old_records() {
    let cleanup_policy = CleanupPolicy { delete: false, compact: true };
    let (dir, log) = hourly(LogConfig { cleanup_policy, retention_ms: 1, ..LogConfig::default() });
    run_retention(&dir);
    assert_eq!(log.log_start_offset(), 0);
}

#[test]
fn retention_reaches_logs_that_nobody_has_opened_since_the_start() {
    let (mut dir, log) = hourly(LogConfig::default());
    drop(log);
    dir.close();
    dir.open();
    dir.host(0, LogConfig { retention_ms: HOUR_MS, ..LogConfig::default() });
    run_retention(&dir);
    assert_eq!(dir.files(".log").len(), 1);
}

#[test]
fn delete_records_moves_the_start_and_survives_a_restart() {
    let (mut dir, log) = hourly(LogConfig { retention_ms: -1, ..LogConfig::default() });
    assert_eq!(log.delete_records_before(25).unwrap(), 25);
    assert_eq!(log.delete_records_before(5).unwrap(), 25, "it never moves back");
    assert!(matches!(log.read(24, 100, true, ReadBound::LogEnd), Err(LogError::OffsetOutOfRange { .. })));
    for offset in [61, -2, i64::MAX] {
        assert!(matches!(log.delete_records_before(offset), Err(LogError::OffsetOutOfRange { .. })));
    }
    run_retention(&dir);
    assert_eq!(dir.files(".log").len(), 4);
    drop(log);
    for clean in [true, false] {
        if clean {
            dir.close()
        } else {
            dir.crash()
        }
        dir.open();
        let log = dir.host(0, LogConfig { retention_ms: -1, ..LogConfig::default() });
        assert_eq!(log.log_start_offset(), 25, "clean {clean}");
        let found = log.offset_for_timestamp(0, Reach::Disk).unwrap().unwrap();
        assert_eq!(found.offset, 25, "what was deleted is not found by time");
        dir.manager().write_checkpoints().unwrap();
    }
    let log = dir.log();
    log.advance_high_watermark(60);
    assert_eq!(log.delete_records_before(-1).unwrap(), 60);
}

#[test]
fn offsets_for_times_are_exact_over_segments_and_inside_batches() {
    let (_dir, log) = hourly(LogConfig { retention_ms: -1, ..LogConfig::default() });
    let time_of = |number: i64| NOW_MS - (5 - number / 10) * HOUR_MS + number % 10;
    for number in 0..60 {
        let found = log.offset_for_timestamp(time_of(number), Reach::Disk).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp_ms), (number, time_of(number)));
    }
    let between = log.offset_for_timestamp(time_of(19) + 1, Reach::Disk).unwrap().unwrap();
    assert_eq!(between.offset, 20);
    assert_eq!(log.offset_for_timestamp(time_of(59) + 1, Reach::Disk).unwrap(), None);
    let last = log.offset_of_max_timestamp(Reach::Disk).unwrap().unwrap();
    assert_eq!((last.offset, last.timestamp_ms), (59, time_of(59)));
}

#[test]
fn timestamps_out_of_order_are_found_in_offset_order() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { index_interval_bytes: 0, segment_bytes: 400, ..LogConfig::default() });
    let times = [50, 10, 70, 20, 90, 30, 90, 5];
    for (at, time) in times.into_iter().enumerate() {
        produce(&log, &batch_with(BatchOptions::default(), u32::try_from(at).unwrap(), 1, NOW_MS + time));
    }
    for wanted in 0..100 {
        let first = times.iter().position(|time| *time >= wanted).map(|at| at as i64);
        let found = log.offset_for_timestamp(NOW_MS + wanted, Reach::Disk).unwrap().map(|found| found.offset);
        assert_eq!(found, first, "{wanted}");
    }
    assert_eq!(log.offset_of_max_timestamp(Reach::Disk).unwrap().unwrap().offset, 4);
}
