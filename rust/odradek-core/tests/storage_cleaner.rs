//! Compaction: which records stay, what of a batch never changes, when the cleaner works and when it does not.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::sync::Arc;

use odradek_core::compress::Compression;
use odradek_core::fs::Reach;
use odradek_core::log::config::{CleanupPolicy, LogConfig};
use odradek_core::log::manager::LogManager;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use odradek_core::record::builder::BatchOptions;
use storage_support::keyed::*;
use storage_support::*;

/// Rounds of writes to the same ten keys.
fn write_rounds(log: &PartitionLog, rounds: usize) {
    for round in 0..rounds {
        for key in 0..10 {
            produce(log, &keyed(&[(&format!("k{key}"), Some(&format!("v{round}-{key}")))]));
        }
    }
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset_with_its_time_and_headers() {
    let mut dir = Dir::new();
    let log = dir.host(0, compacted());
    write_rounds(&log, 30);
    let (before, size) = (all_records(&log), log.size_bytes());
    assert_eq!(clean(&dir), 1);
    let after = all_records(&log);
    assert!(after.iter().all(|found| before.contains(found)), "offsets, times, headers and values are as they were");
    assert_eq!(state(&log).len(), 10);
    assert_eq!(state(&log)["k3"], "v29-3");
    assert!(log.size_bytes() < size / 5, "{} of {size}", log.size_bytes());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 300));
    assert!(dir.files(".cleaned").is_empty() && dir.files(".swap").is_empty());
    assert_eq!(clean(&dir), 0, "nothing is dirty any more");
    for clean_stop in [true, false] {
        if clean_stop {
            dir.close();
        } else {
            dir.crash();
        }
        dir.open();
        assert_eq!(all_records(&dir.host(0, compacted())), after);
    }
}

#[test]
fn segments_that_became_small_are_put_together() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    write_rounds(&log, 30);
    let segments = dir.files(".log").len();
    clean(&dir);
    write_rounds(&log, 1);
    clean(&dir);
    assert!(dir.files(".log").len() < segments / 4, "{:?}", dir.files(".log"));
    assert_eq!(dir.files(".index").len(), dir.files(".log").len() - 1, "the active one has none yet");
    assert_eq!(state(&log)["k9"], "v0-9");
}

#[test]
fn a_read_at_an_offset_that_is_gone_gives_the_next_batch() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    write_rounds(&log, 30);
    clean(&dir);
    let left: Vec<i64> = all_records(&log).iter().map(|found| found.offset).collect();
    for offset in 0..300 {
        let next = *left.iter().find(|left| **left >= offset).unwrap();
        let bytes = read_bytes(&log, offset, 1, ReadBound::HighWatermark);
        assert_eq!(headers(&bytes)[0].last_offset(), next, "asked for {offset}");
    }
    let first = log.offset_for_timestamp(0, Reach::Disk).unwrap().unwrap();
    assert_eq!(first.offset, left[0]);
}

#[test]
fn a_batch_keeps_its_codec_and_its_offsets_when_records_go_and_its_bytes_when_none_does() {
    for compression in Compression::ALL {
        let dir = Dir::new();
        let log = dir.host(0, compacted());
        let options = || BatchOptions { compression, ..BatchOptions::default() };
        let whole = keyed_with(options(), &[("x", Some("1")), ("y", Some("2"))], NOW_MS);
        produce(&log, &whole);
        produce(&log, &keyed_with(options(), &[("a", Some("old")), ("b", Some("kept")), ("c", Some("old"))], NOW_MS));
        let batches_before = batches(&log, ReadBound::LogEnd);
        produce(&log, &keyed(&[("a", Some("new")), ("c", Some("new"))]));
        write_rounds(&log, 3);
        clean(&dir);
        let after = batches(&log, ReadBound::LogEnd);
        assert_eq!(after[0], batches_before[0], "untouched: byte for byte");
        let (header, batch) = &after[1];
        assert_eq!(header.codec(), compression.id());
        assert_eq!((header.base_offset, header.last_offset(), header.record_count), (2, 4, 1));
        assert_eq!(records_of(header, batch)[0].offset, 3);
        assert_eq!(records_of(header, batch)[0].timestamp_ms, NOW_MS + 1);
    }
}

#[test]
fn log_append_time_survives() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { log_append_time: true, ..compacted() });
    produce(&log, &keyed_with(BatchOptions::default(), &[("a", Some("1")), ("b", Some("1"))], 5));
    dir.clock.advance(10);
    produce(&log, &keyed(&[("a", Some("2"))]));
    write_rounds(&log, 3);
    clean(&dir);
    let first = &all_records(&log)[0];
    assert_eq!((first.offset, first.timestamp_ms), (1, NOW_MS));
}

#[test]
fn a_tombstone_lives_for_delete_retention_ms_after_the_first_cleaning_and_then_goes() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    produce(&log, &keyed(&[("gone", Some("value")), ("stays", Some("value"))]));
    produce(&log, &keyed(&[("gone", None)]));
    write_rounds(&log, 3);
    clean(&dir);
    let tombstone = |log: &PartitionLog| rows(log).iter().any(|(_, key, value)| key == "gone" && value.is_none());
    assert!(tombstone(&log) && !rows(&log).contains(&(0, "gone".into(), Some("value".into()))));
    let headers: Vec<_> = batches(&log, ReadBound::LogEnd).iter().map(|(header, _)| *header).collect();
    assert_eq!(headers[1].delete_horizon_ms(), Some(NOW_MS + 1000));
    assert_eq!(all_records(&log)[1].timestamp_ms, NOW_MS, "its own time is what it was");
    dir.clock.advance(999);
    write_rounds(&log, 3);
    assert_eq!(clean(&dir), 1);
    assert!(tombstone(&log));
    let again: Vec<_> = batches(&log, ReadBound::LogEnd).iter().map(|(header, _)| *header).collect();
    assert_eq!(again[1].delete_horizon_ms(), Some(NOW_MS + 1000), "the horizon does not move");
    dir.clock.advance(1);
    write_rounds(&log, 3);
    assert_eq!(clean(&dir), 1);
    assert!(!rows(&log).iter().any(|(_, key, _)| key == "gone"));
    assert_eq!(state(&log)["stays"], "value");
}

#[test]
fn the_active_segment_and_what_is_not_replicated_are_left_alone() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    for at in 0..40 {
        log.append(&keyed(&[("k", Some(&format!("{at}")))]), 0, AppendOrigin::Client).unwrap();
    }
    assert_eq!(clean(&dir), 0, "nothing is below the high watermark");
    log.advance_high_watermark(20);
    assert_eq!(clean(&dir), 1);
    let offsets: Vec<i64> = all_records(&log).iter().map(|found| found.offset).collect();
    assert_eq!(offsets, (19..40).collect::<Vec<_>>());
    log.advance_high_watermark(40);
    clean(&dir);
    let active: i64 = dir.files(".log").last().unwrap().split_once('.').unwrap().0.parse().unwrap();
    let offsets: Vec<i64> = all_records(&log).iter().map(|found| found.offset).collect();
    assert_eq!(offsets, (active - 1..40).collect::<Vec<_>>());
}

#[test]
fn a_log_is_cleaned_above_the_dirty_ratio_only() {
    let dir = Dir::new();
    let config = LogConfig { min_cleanable_dirty_ratio: 0.5, ..compacted() };
    let log = dir.host(0, config.clone());
    // Keys that never repeat: what is clean stays large.
    for at in 0..100 {
        produce(&log, &keyed(&[(&format!("k{at}"), Some("v"))]));
    }
    assert_eq!(clean(&dir), 1, "all of it is dirty");
    for at in 100..140 {
        produce(&log, &keyed(&[(&format!("k{at}"), Some("v"))]));
    }
    assert_eq!(clean(&dir), 0, "less than half of it is dirty");
    dir.manager().configure(&tp(0), Arc::new(LogConfig { min_cleanable_dirty_ratio: 0.2, ..config }));
    assert_eq!(clean(&dir), 1);
}

#[test]
fn min_compaction_lag_holds_the_cleaner_back_and_max_compaction_lag_drives_it() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { min_compaction_lag_ms: 5000, ..compacted() });
    write_rounds(&log, 10);
    assert_eq!(clean(&dir), 0);
    dir.clock.advance(5001);
    assert_eq!(clean(&dir), 1);
    let patient = LogConfig { min_cleanable_dirty_ratio: 1.0, max_compaction_lag_ms: 60_000, ..compacted() };
    dir.manager().configure(&tp(0), Arc::new(patient));
    write_rounds(&log, 10);
    assert_eq!(clean(&dir), 0);
    dir.clock.advance(60_000);
    assert_eq!(clean(&dir), 1);
}

#[test]
fn other_topics_and_a_disabled_cleaner_leave_logs_as_they_are() {
    let mut dir = Dir::new();
    let log = dir.host(0, LogConfig { cleanup_policy: LogConfig::default().cleanup_policy, ..compacted() });
    write_rounds(&log, 10);
    assert_eq!(clean(&dir), 0);
    assert_eq!(all_records(&log).len(), 100);
    drop(log);
    dir.close();
    let mut config = manager_config(&dir.path());
    config.cleaner_enable = false;
    let manager = LogManager::open_without_thread(config, Arc::clone(&dir.fs), Arc::new(dir.clock.clone())).unwrap();
    manager.host(&tp(0), TOPIC_ID, Arc::new(compacted())).unwrap();
    assert_eq!(manager.clean(), 0);
}

#[test]
fn keys_that_do_not_fit_into_the_map_are_cleaned_in_the_next_pass() {
    let dir = Dir::new();
    let mut config = manager_config(&dir.path().join("small"));
    config.cleaner_dedupe_buffer_bytes = 24 * 100;
    let manager = LogManager::open_without_thread(config, Arc::clone(&dir.fs), Arc::new(dir.clock.clone())).unwrap();
    let log = manager.host(&tp(0), TOPIC_ID, Arc::new(compacted())).unwrap();
    for round in 0..4 {
        for key in 0..150 {
            produce(&log, &keyed(&[(&format!("k{key}"), Some(&format!("{round}")))]));
        }
    }
    let passes = manager.clean();
    assert!(passes > 2, "{passes} passes of 90 keys for 600 records");
    assert_eq!(manager.take_warnings(), Vec::<String>::new());
    let state = state(&log);
    assert_eq!(state.len(), 150);
    assert!(state.values().all(|value| value == "3"));
    assert!(all_records(&log).len() < 160, "{}", all_records(&log).len());
}

#[test]
fn compact_and_delete_together_compact_and_move_the_log_start() {
    let dir = Dir::new();
    let policy = CleanupPolicy { delete: true, compact: true };
    let log = dir.host(0, LogConfig { cleanup_policy: policy, retention_ms: 10_000, ..compacted() });
    write_rounds(&log, 10);
    clean(&dir);
    assert!(all_records(&log).len() < 30);
    assert_eq!(log.log_start_offset(), 0);
    dir.clock.advance(300_000);
    dir.manager().tick();
    assert_eq!(log.log_start_offset(), 100, "all is older than retention.ms");
    assert!(all_records(&log).is_empty());
    produce(&log, &keyed(&[("k", Some("v"))]));
    assert_eq!(rows(&log), [(100, "k".into(), Some("v".into()))]);
}

#[test]
fn a_slice_taken_before_and_a_log_deleted_meanwhile_do_no_harm() {
    let dir = Dir::new();
    let log = dir.host(0, compacted());
    write_rounds(&log, 10);
    let slice = log.read(0, 400, true, ReadBound::LogEnd).unwrap().slice.unwrap();
    clean(&dir);
    let mut bytes = vec![0; slice.len];
    slice.file.read_exact_at(&mut bytes, slice.position).unwrap();
    assert_eq!(headers(&bytes)[0].base_offset, 0, "what was there when it was taken");
    write_rounds(&log, 10);
    dir.manager().delete(&tp(0)).unwrap();
    assert_eq!(dir.manager().clean(), 0);
    assert_eq!(dir.manager().offline_reason(), None);
}

#[test]
fn a_damaged_log_is_reported_left_as_it_is_and_does_not_stop_the_others() {
    let dir = Dir::new();
    let (bad, good) = (dir.host(0, compacted()), dir.host(1, compacted()));
    write_rounds(&bad, 10);
    write_rounds(&good, 10);
    let path = dir.partition_path(0).join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(dir.manager().clean(), 1);
    let warnings = dir.manager().take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("t-0") && warnings[0].contains("checksum"), "{warnings:?}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(dir.files(".cleaned").is_empty());
    assert_eq!(state(&good).len(), 10);
    assert!(all_records(&good).len() < 30);
    assert_eq!(dir.manager().offline_reason(), None);
}

#[test]
fn the_cleaner_checkpoint_says_how_far_it_came_and_is_believed_after_a_restart() {
    let mut dir = Dir::new();
    let log = dir.host(0, compacted());
    write_rounds(&log, 10);
    clean(&dir);
    let active: i64 = dir.files(".log").last().unwrap().split_once('.').unwrap().0.parse().unwrap();
    let text = std::fs::read_to_string(dir.path().join("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(text, format!("0\n1\nt 0 {active}\n"));
    drop(log);
    dir.crash();
    dir.open();
    let log = dir.host(0, compacted());
    assert_eq!(clean(&dir), 0);
    log.advance_high_watermark(100);
    log.truncate_to(2).unwrap();
    for at in 0..40 {
        produce(&log, &keyed(&[("again", Some(&format!("{at}")))]));
    }
    assert_eq!(clean(&dir), 1, "after a truncation the checkpoint does not hide what is new");
}

#[test]
fn readers_that_go_through_the_log_while_segments_are_replaced_see_whole_batches_in_order() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { file_delete_delay_ms: 0, ..compacted() });
    write_rounds(&log, 5);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(std::sync::atomic::Ordering::Acquire) || rounds == 0 {
                        // A state made of the whole log always has every key: each has a record at every moment.
                        assert_eq!(state(&log).len(), 10);
                        rounds += 1;
                    }
                })
            })
            .collect();
        for _ in 0..40 {
            write_rounds(&log, 2);
            clean(&dir);
            dir.clock.advance(300_000);
            dir.manager().tick();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(dir.manager().offline_reason(), None);
}
