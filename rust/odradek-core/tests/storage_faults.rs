//! Disks that fail and power that goes: after a failed write or fsync nothing is acknowledged any more, and what was
//! made durable survives whatever happened to the rest.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::io::ErrorKind;
use std::sync::Arc;

use odradek_core::fs::faulty::{FaultyFileSystem, Operation};
use odradek_core::log::config::LogConfig;
use odradek_core::log::error::LogError;
use odradek_core::log::manager::LogManager;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use storage_support::*;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_even_when_the_disk_is_well_again() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let fs = FaultyFileSystem::new();
        let dir = Dir::on(Arc::new(fs.clone()));
        let log = dir.host(0, config());
        produce(&log, &batch(0, 3));
        fs.fail_after(Operation::Write, 0, kind);
        assert!(matches!(log.append(&batch(3, 3), 0, AppendOrigin::Client), Err(LogError::Io { .. })));
        fs.heal();
        assert!(matches!(log.append(&batch(3, 3), 0, AppendOrigin::Client), Err(LogError::LogDirOffline(_))));
        let other = dir.manager().host(&tp(1), TOPIC_ID, Arc::default());
        assert!(matches!(other.err().unwrap(), LogError::LogDirOffline(_)));
        assert!(matches!(log.read(0, 100, true, ReadBound::LogEnd), Err(LogError::LogDirOffline(_))));
        assert_eq!(log.log_end_offset(), 3);
        assert!(dir.manager().offline_reason().unwrap().contains("write"));
        assert!(dir.manager().close().is_err(), "an offline directory is not closed cleanly");
    }
}

#[test]
fn a_failed_fsync_takes_the_directory_offline_before_the_acknowledgement() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, LogConfig { flush_messages: 1, ..LogConfig::default() });
    produce(&log, &batch(0, 1));
    fs.fail_after(Operation::Sync, 0, ErrorKind::Other);
    assert!(matches!(log.append(&batch(1, 1), 0, AppendOrigin::Client), Err(LogError::Io { .. })));
    fs.heal();
    assert!(matches!(log.append(&batch(1, 1), 0, AppendOrigin::Client), Err(LogError::LogDirOffline(_))));
}

#[test]
fn the_half_of_a_failed_write_is_cut_at_the_next_start() {
    let fs = FaultyFileSystem::new();
    let mut dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, config());
    produce(&log, &batch(0, 3));
    fs.fail_after(Operation::Write, 0, ErrorKind::StorageFull);
    assert!(log.append(&batch(3, 3), 0, AppendOrigin::Client).is_err());
    drop(log);
    dir.crash();
    fs.heal();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(read_all(&log, 0, 1 << 20), expected(3));
    produce(&log, &batch(3, 3));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(6));
}

#[test]
fn a_failed_read_is_an_error_and_the_next_one_may_succeed() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, config());
    produce(&log, &batch(0, 3));
    fs.fail_after(Operation::Read, 0, ErrorKind::Other);
    assert!(matches!(log.read(0, 100, true, ReadBound::LogEnd), Err(LogError::Io { .. })));
    fs.heal();
    assert_eq!(read_all(&log, 0, 1 << 20), expected(3));
}

#[test]
fn with_flush_messages_one_every_acknowledged_record_survives_the_loss_of_power() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, LogConfig { flush_messages: 1, ..config() });
    for at in 0..60_u32 {
        produce(&log, &batch(at * 3, 3));
        for torn in [0, 50] {
            let mut after = dir.same_path_on(Arc::new(fs.crash_image(torn)));
            after.open();
            let log = after.host(0, config());
            assert_eq!(read_all(&log, 0, 1 << 20), expected(at * 3 + 3), "batch {at}, torn {torn}");
        }
    }
}

#[test]
fn the_loss_of_power_leaves_a_prefix_that_holds_everything_flushed() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, config());
    let mut flushed = 0;
    for at in 0..80_u32 {
        produce(&log, &batch(at * 3, 3));
        if at % 7 == 0 {
            log.flush().unwrap();
            flushed = at * 3 + 3;
        }
        if at % 11 == 0 {
            dir.manager().write_checkpoints().unwrap();
        }
        if at % 13 == 0 {
            dir.manager().tick();
        }
        for torn in [0, 1, 100, 1000] {
            let mut after = dir.same_path_on(Arc::new(fs.crash_image(torn)));
            after.open();
            let log = after.host(0, config());
            let found = read_all(&log, 0, 1 << 20);
            let count = u32::try_from(found.len()).unwrap();
            assert!(count >= flushed, "batch {at}, torn {torn}: {count} of {flushed}");
            assert_eq!(found, expected(count));
            produce(&log, &batch(count, 3));
            assert_eq!(read_all(&log, 0, 1 << 20), expected(count + 3));
        }
    }
}

#[test]
fn a_clean_close_survives_the_loss_of_power() {
    let fs = FaultyFileSystem::new();
    let mut dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, config());
    for at in 0..40_u32 {
        produce(&log, &idempotent(7, 0, i32::try_from(at).unwrap() * 3, 3));
    }
    drop(log);
    dir.close();
    let mut after = dir.same_path_on(Arc::new(fs.crash_image(0)));
    after.open();
    let log = after.host(0, config());
    assert_eq!((log.log_end_offset(), log.high_watermark()), (120, 120));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(120));
    assert!(log.append(&idempotent(7, 0, 117, 3), 0, AppendOrigin::Client).unwrap().duplicate);
}

/// Every single call of an operation made to fail in turn, in a life with appends, rolls, retention, flushes and a close:
/// no panic, no acknowledged record lost, and the next start repairs.
#[test]
fn any_single_failure_loses_no_acknowledged_record() {
    for operation in [Operation::Open, Operation::Read, Operation::Write, Operation::Sync, Operation::Rename] {
        let calls = life(&FaultyFileSystem::new(), operation, None);
        assert!(calls > 5, "{operation:?} is used");
        for nth in 0..calls {
            life(&FaultyFileSystem::new(), operation, Some(nth));
        }
    }
}

/// Returns how often `operation` was called.
fn life(fs: &FaultyFileSystem, operation: Operation, fail_at: Option<usize>) -> usize {
    let mut dir = Dir::closed_on(Arc::new(fs.clone()));
    let mut acknowledged = 0;
    if let Some(calls) = fail_at {
        fs.fail_after(operation, calls, ErrorKind::Other);
    }
    if dir.try_open().is_ok() {
        if let Ok(log) = dir.manager().host(&tp(0), TOPIC_ID, Arc::new(config())) {
            for at in 0..30_u32 {
                if log.append(&batch(at * 3, 3), 0, AppendOrigin::Client).is_err() {
                    break;
                }
                acknowledged = at * 3 + 3;
                let _ = log.read(0, 100, true, ReadBound::LogEnd);
                if at % 10 == 9 {
                    dir.clock.advance(60_000);
                    dir.manager().tick();
                }
            }
        }
        let _ = dir.manager().close();
    }
    let calls = fs.calls(operation);
    dir.crash();
    fs.heal();
    dir.open();
    let log = dir.host(0, config());
    let found = read_all(&log, 0, 1 << 20);
    let count = u32::try_from(found.len()).unwrap();
    assert!(count >= acknowledged, "{operation:?} {fail_at:?}: {count} of {acknowledged}");
    assert_eq!(found, expected(count), "{operation:?} {fail_at:?}");
    produce(&log, &batch(count, 3));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(count + 3));
    calls
}

#[test]
fn a_directory_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
    let fs = FaultyFileSystem::new();
    let mut dir = Dir::on(Arc::new(fs.clone()));
    produce(&dir.host(0, config()), &batch(0, 3));
    dir.close();
    for nth in 0..3 {
        fs.fail_after(Operation::Read, nth, ErrorKind::PermissionDenied);
        let clock = Arc::new(dir.clock.clone());
        let opened = LogManager::open_without_thread(manager_config(&dir.path()), Arc::new(fs.clone()), clock);
        assert!(matches!(opened.err().unwrap(), LogError::Io { .. }));
        fs.heal();
    }
}

#[test]
fn many_logs_closed_at_once_survive_the_loss_of_power() {
    let fs = FaultyFileSystem::new();
    let mut dir = Dir::on(Arc::new(fs.clone()));
    for partition in 0..40 {
        produce(&dir.host(partition, config()), &idempotent(7, 0, 0, 3));
    }
    let before = fs.calls(Operation::Sync);
    dir.close();
    assert!(fs.calls(Operation::Sync) - before < 20, "one sync for all, not one a log");
    let mut after = dir.same_path_on(Arc::new(fs.crash_image(0)));
    after.open();
    for partition in 0..40 {
        let log = after.host(partition, config());
        assert_eq!((log.log_end_offset(), log.high_watermark()), (3, 3));
        assert_eq!(read_all(&log, 0, 1 << 20), expected(3));
    }
}

#[test]
fn rolled_segments_become_durable_in_the_background_and_all_of_it_after_flush_ms() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, LogConfig { flush_ms: 5000, ..config() });
    for at in 0..60_u32 {
        produce(&log, &batch(at * 3, 3));
    }
    let survivors = || {
        let mut after = dir.same_path_on(Arc::new(fs.crash_image(0)));
        after.open();
        read_all(&after.host(0, config()), 0, 1 << 20).len()
    };
    assert_eq!(survivors(), 0);
    dir.manager().tick();
    let rolled = survivors();
    assert!(rolled > 100 && rolled < 180, "{rolled}");
    dir.clock.advance(4999);
    dir.manager().tick();
    assert_eq!(survivors(), rolled);
    dir.clock.advance(1);
    dir.manager().tick();
    assert_eq!(survivors(), 180);
}

#[test]
fn a_crash_when_everything_was_flushed_needs_no_repair_and_keeps_producers() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, config());
    for at in 0..20 {
        produce(&log, &idempotent(7, 0, at * 3, 3));
    }
    log.flush().unwrap();
    dir.manager().write_checkpoints().unwrap();
    let image = fs.crash_image(0);
    let mut after = dir.same_path_on(Arc::new(image.clone()));
    after.open();
    let writes = image.calls(Operation::Write);
    let log = after.host(0, config());
    assert_eq!(image.calls(Operation::Write), writes, "hosting changes no file");
    assert_eq!(read_all(&log, 0, 1 << 20), expected(60));
    assert!(log.append(&idempotent(7, 0, 57, 3), 0, AppendOrigin::Client).unwrap().duplicate);
}
