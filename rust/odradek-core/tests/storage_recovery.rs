//! Opening a log again: after a clean close nothing is touched before use; after a crash the tail is repaired and
//! nothing before a bad batch is lost.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use odradek_core::fs::Reach;
use odradek_core::log::config::LogConfig;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use storage_support::*;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 4000, index_interval_bytes: 300, ..LogConfig::default() }
}

/// A log of 300 records in batches of 3 over several segments.
fn filled() -> Dir {
    let dir = Dir::new();
    let log = dir.host(0, config());
    for at in 0..100 {
        produce(&log, &batch(at * 3, 3));
    }
    dir
}

fn last_log_file(dir: &Dir) -> std::path::PathBuf {
    dir.partition_path(0).join(dir.files(".log").last().unwrap())
}

#[test]
fn a_clean_close_is_trusted_and_reads_the_same() {
    let mut dir = filled();
    dir.close();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!((log.log_end_offset(), log.high_watermark()), (300, 300));
    assert_eq!(read_all(&log, 0, 700), expected(300));
    produce(&log, &batch(300, 3));
    assert_eq!(read_all(&log, 0, 700), expected(303));
}

#[test]
fn after_a_clean_close_hosting_touches_no_file_of_the_partition() {
    let mut dir = filled();
    dir.close();
    let folder = dir.partition_path(0);
    let hidden = folder.with_file_name("hidden");
    dir.open();
    let log = dir.host(0, config());
    fs::rename(&folder, &hidden).unwrap();
    assert_eq!((log.log_end_offset(), log.high_watermark()), (300, 300));
    fs::rename(&hidden, &folder).unwrap();
    assert_eq!(read_all(&log, 0, 700), expected(300));
}

#[test]
fn a_crash_loses_nothing_that_reached_the_page_cache() {
    let mut dir = filled();
    for _ in 0..3 {
        dir.crash();
        dir.open();
        let log = dir.host(0, config());
        assert_eq!(read_all(&log, 0, 700), expected(300));
    }
}

#[test]
fn a_torn_tail_is_cut_at_the_first_bad_batch() {
    let sample = batch(300, 3);
    let mut flipped = sample.to_vec();
    flipped[70] ^= 1;
    let mut huge = sample.to_vec();
    huge[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut negative = sample.to_vec();
    negative[8..12].copy_from_slice(&(-5_i32).to_be_bytes());
    let zeros = vec![0; 5000];
    let noise: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for tail in [&sample[..1], &sample[..40], &sample[..sample.len() - 1], &flipped, &huge, &negative, &zeros, &noise] {
        let mut dir = filled();
        dir.crash();
        let before = fs::metadata(last_log_file(&dir)).unwrap().len();
        OpenOptions::new().append(true).open(last_log_file(&dir)).unwrap().write_all(tail).unwrap();
        dir.open();
        let log = dir.host(0, config());
        assert_eq!(fs::metadata(last_log_file(&dir)).unwrap().len(), before);
        assert_eq!(read_all(&log, 0, 700), expected(300));
        produce(&log, &batch(300, 3));
        assert_eq!(read_all(&log, 0, 700), expected(303));
    }
}

#[test]
fn a_batch_that_goes_back_in_offsets_is_cut() {
    let mut dir = filled();
    dir.crash();
    OpenOptions::new().append(true).open(last_log_file(&dir)).unwrap().write_all(&batch(0, 3)).unwrap();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(log.log_end_offset(), 300);
    assert_eq!(read_all(&log, 0, 700), expected(300));
}

#[test]
fn damage_in_an_older_segment_cuts_there_and_drops_what_follows() {
    let mut dir = filled();
    dir.crash();
    let second = dir.files(".log")[1].clone();
    let base: i64 = second.trim_end_matches(".log").parse().unwrap();
    let file = OpenOptions::new().write(true).open(dir.partition_path(0).join(&second)).unwrap();
    file.write_all_at(b"XXXX", 65).unwrap();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(log.log_end_offset(), base);
    assert_eq!(read_all(&log, 0, 700), expected(u32::try_from(base).unwrap()));
    assert_eq!(dir.files(".log").len(), 2);
    produce(&log, &batch(u32::try_from(base).unwrap(), 3));
}

#[test]
fn indexes_that_are_missing_or_lie_are_made_anew() {
    for damage in ["missing", "empty", "noise", "zeros", "odd", "too far"] {
        for clean in [true, false] {
            let mut dir = filled();
            if clean {
                dir.close()
            } else {
                dir.crash()
            }
            for name in dir.files("index") {
                let path = dir.partition_path(0).join(name);
                match damage {
                    "missing" => fs::remove_file(path).unwrap(),
                    "empty" => fs::write(path, b"").unwrap(),
                    "noise" => fs::write(path, [0xA5; 480]).unwrap(),
                    "zeros" => fs::write(path, [0; 480]).unwrap(),
                    "odd" => fs::write(path, [1; 7]).unwrap(),
                    _ => fs::write(path, [0, 0, 0, 1, 0, 0x7f, 0xff, 0xff].repeat(3)).unwrap(),
                }
            }
            dir.open();
            let log = dir.host(0, config());
            for offset in 0..300 {
                let found = headers(&read_bytes(&log, offset, 1, ReadBound::LogEnd));
                assert_eq!(found[0].base_offset, offset / 3 * 3, "{damage}, clean {clean}");
            }
            let found = log.offset_for_timestamp(NOW_MS + 2, Reach::Disk).unwrap().unwrap();
            assert_eq!((found.timestamp_ms, found.offset), (NOW_MS + 2, 2), "{damage}, clean {clean}");
        }
    }
}

#[test]
fn checkpoints_that_are_missing_or_lie_lose_nothing() {
    for text in [None, Some(""), Some("garbage"), Some("0\n1\nt 0 99999999\n"), Some("0\n1\nt 0 7\n")] {
        for clean in [true, false] {
            let mut dir = filled();
            dir.manager().write_checkpoints().unwrap();
            if clean {
                dir.close()
            } else {
                dir.crash()
            }
            for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
                let path = dir.path().join(name);
                match text {
                    Some(text) => fs::write(path, text).unwrap(),
                    None => fs::remove_file(path).unwrap(),
                }
            }
            let _ = fs::remove_file(dir.partition_path(0).join("leader-epoch-checkpoint"));
            dir.open();
            let log = dir.host(0, config());
            assert_eq!(read_all(&log, 0, 700), expected(300), "{text:?}, clean {clean}");
            assert_eq!(log.log_end_offset(), 300);
            assert!(log.high_watermark() <= 300);
            assert_eq!(log.latest_epoch(), 0);
        }
    }
}

#[test]
fn recovery_starts_at_the_recovery_point() {
    let mut dir = Dir::new();
    let log = dir.host(0, LogConfig { index_interval_bytes: 300, ..LogConfig::default() });
    for at in 0..100 {
        produce(&log, &batch(at * 3, 3));
    }
    log.flush().unwrap();
    dir.manager().write_checkpoints().unwrap();
    produce(&log, &batch(300, 3));
    drop(log);
    dir.crash();
    // Damage far below the recovery point is not looked for: what was fsynced is trusted.
    let file = OpenOptions::new().write(true).open(last_log_file(&dir)).unwrap();
    file.write_all_at(b"X", 70).unwrap();
    dir.open();
    let log = dir.host(0, LogConfig { index_interval_bytes: 300, ..LogConfig::default() });
    assert_eq!(log.log_end_offset(), 303);
}

#[test]
fn epochs_survive_a_crash_and_are_cut_with_the_tail() {
    let mut dir = Dir::new();
    let log = dir.host(0, config());
    for (at, epoch) in [(0, 1), (3, 1), (6, 4), (9, 9)] {
        log.append(&batch(at, 3), epoch, AppendOrigin::Client).unwrap();
    }
    drop(log);
    dir.crash();
    let path = last_log_file(&dir);
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 1).unwrap();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(log.latest_epoch(), 4);
    assert_eq!(log.end_offset_for_epoch(1), Some((1, 6)));
    assert_eq!(log.end_offset_for_epoch(4), Some((4, 9)));
    assert_eq!(log.end_offset_for_epoch(9), None);
}

#[test]
fn an_interrupted_swap_is_finished_and_an_interrupted_cleaning_forgotten() {
    let mut dir = filled();
    dir.close();
    let folder = dir.partition_path(0);
    let names = dir.files(".log");
    // The first segment replaced by itself: as compaction would, under the swap name.
    fs::rename(folder.join(&names[0]), folder.join(format!("{}.swap", names[0]))).unwrap();
    dir.open();
    assert_eq!(read_all(&dir.host(0, config()), 0, 700), expected(300));
    dir.close();
    fs::write(folder.join("00000000000000000000.log.cleaned"), b"half").unwrap();
    fs::write(folder.join("00000000000000000000.index.deleted"), b"old").unwrap();
    dir.open();
    assert_eq!(read_all(&dir.host(0, config()), 0, 700), expected(300));
    assert!(dir.files(".cleaned").is_empty() && dir.files(".deleted").is_empty());
}

#[test]
fn what_was_not_hosted_after_a_crash_is_not_taken_for_clean() {
    let mut dir = filled();
    dir.crash();
    dir.open();
    dir.close();
    OpenOptions::new().append(true).open(last_log_file(&dir)).unwrap().write_all(&[0; 100]).unwrap();
    dir.open();
    let log = dir.host(0, config());
    assert_eq!(log.log_end_offset(), 300);
    produce(&log, &batch(300, 3));
    assert_eq!(read_all(&log, 0, 700), expected(303));
}

#[test]
fn truncation_forgets_the_end_and_appends_go_on_there() {
    let mut dir = filled();
    let log = dir.host(0, config());
    log.truncate_to(151).unwrap();
    assert_eq!(log.log_end_offset(), 150, "the batch that contains the offset goes as a whole");
    assert_eq!(log.high_watermark(), 150);
    assert_eq!(read_all(&log, 0, 700), expected(150));
    produce(&log, &batch(150, 3));
    assert_eq!(read_all(&log, 0, 700), expected(153));
    drop(log);
    dir.crash();
    dir.open();
    assert_eq!(read_all(&dir.host(0, config()), 0, 700), expected(153));
}
