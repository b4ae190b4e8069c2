//! Appending and reading a partition's log: offsets, whole batches, bounds, rolled segments.
#![allow(clippy::unwrap_used)]

mod storage_support;

use bytes::{Bytes, BytesMut};
use odradek_core::log::config::LogConfig;
use odradek_core::log::error::LogError;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use storage_support::*;

#[test]
fn offsets_are_assigned_in_order_and_every_record_reads_back() {
    let dir = Dir::new();
    let log = dir.log();
    let first = produce(&log, &batch(0, 3));
    let second = produce(&log, &batch(3, 4));
    assert_eq!((first.base_offset, first.last_offset), (0, 2));
    assert_eq!((second.base_offset, second.last_offset), (3, 6));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(7));
}

#[test]
fn the_leader_epoch_is_patched_and_the_checksum_stays_right() {
    let dir = Dir::new();
    let log = dir.log();
    log.append(&batch(0, 2), 7, AppendOrigin::Client).unwrap();
    let found = headers(&read_bytes(&log, 0, 1 << 20, ReadBound::LogEnd));
    assert_eq!(found[0].partition_leader_epoch, 7);
    assert_eq!(log.latest_epoch(), 7);
    assert_eq!(log.epoch_at(1), 7);
}

#[test]
fn several_batches_in_one_append_follow_each_other_and_a_partial_one_is_trimmed() {
    let dir = Dir::new();
    let log = dir.log();
    let mut bytes = BytesMut::from(&batch(0, 2)[..]);
    bytes.extend_from_slice(&batch(2, 3));
    bytes.extend_from_slice(&batch(5, 5)[..40]);
    let info = produce(&log, &bytes.freeze());
    assert_eq!((info.base_offset, info.last_offset), (0, 4));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(5));
}

#[test]
fn an_offset_inside_a_batch_gives_the_whole_batch() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 10));
    let found = headers(&read_bytes(&log, 7, 1 << 20, ReadBound::HighWatermark));
    assert_eq!(found[0].base_offset, 0);
}

#[test]
fn the_first_batch_comes_whole_even_if_it_is_larger_than_max_bytes() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 100));
    produce(&log, &batch(100, 100));
    assert_eq!(headers(&read_bytes(&log, 0, 1, ReadBound::LogEnd)).len(), 1);
    assert!(log.read(0, 1, false, ReadBound::LogEnd).unwrap().slice.is_none());
}

#[test]
fn a_read_holds_whole_batches_only_and_as_many_as_fit() {
    for index_interval_bytes in [0, 1000, 4096] {
        let dir = Dir::new();
        let log = dir.host(0, LogConfig { index_interval_bytes, ..LogConfig::default() });
        for at in 0..200 {
            produce(&log, &batch(at * 10, 10));
        }
        check_reads_of_many_sizes(&log);
    }
}

fn check_reads_of_many_sizes(log: &PartitionLog) {
    let size = batch(1000, 10).len();
    for max_bytes in [size, 3 * size, 3 * size + size / 2, 50 * size, 1000 * size] {
        for offset in [0, 5, 555, 1203, 1999] {
            let bytes = read_bytes(log, offset, max_bytes, ReadBound::LogEnd);
            let found = headers(&bytes);
            assert!(bytes.len() <= max_bytes);
            assert_eq!(found[0].base_offset, offset / 10 * 10);
            let left = (2000 - found[0].base_offset) / 10;
            let least = (max_bytes / size).min(usize::try_from(left).unwrap());
            assert!(found.len() >= least, "{} batches of {least} for {max_bytes} at {offset}", found.len());
        }
    }
}

#[test]
fn reads_stop_at_the_high_watermark() {
    let dir = Dir::new();
    let log = dir.log();
    for at in 0..10 {
        log.append(&batch(at * 2, 2), 0, AppendOrigin::Client).unwrap();
    }
    assert!(log.advance_high_watermark(6));
    assert!(!log.advance_high_watermark(4), "it never moves down");
    let found = headers(&read_bytes(&log, 0, 1 << 20, ReadBound::HighWatermark));
    assert_eq!(found.last().unwrap().last_offset(), 5);
    assert!(read_bytes(&log, 6, 1 << 20, ReadBound::HighWatermark).is_empty());
    assert_eq!(headers(&read_bytes(&log, 6, 1 << 20, ReadBound::LogEnd)).len(), 7);
    assert!(log.advance_high_watermark(1_000_000));
    assert_eq!(log.high_watermark(), 20, "it never passes the end");
}

#[test]
fn an_offset_outside_the_log_is_refused_and_one_at_the_end_is_empty() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 5));
    assert!(log.read(5, 100, true, ReadBound::LogEnd).unwrap().slice.is_none());
    for offset in [-1, 6, i64::MAX] {
        let refused = log.read(offset, 100, true, ReadBound::LogEnd).err().unwrap();
        assert!(matches!(refused, LogError::OffsetOutOfRange { end_offset: 5, .. }), "{refused}");
    }
}

#[test]
fn segments_roll_by_size_and_every_offset_is_still_found() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_bytes: 4096, index_interval_bytes: 256, ..LogConfig::default() });
    for at in 0..300 {
        produce(&log, &batch(at * 3, 3));
    }
    assert!(dir.files(".log").len() > 5);
    for offset in 0..900 {
        let found = headers(&read_bytes(&log, offset, 1, ReadBound::LogEnd));
        assert_eq!(found[0].base_offset, offset / 3 * 3);
    }
    assert_eq!(read_all(&log, 0, 1000), expected(900));
}

#[test]
fn segments_roll_when_their_first_record_is_older_than_segment_ms() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_ms: 1000, ..LogConfig::default() });
    let at = |first, timestamp| batch_with(Default::default(), first, 1, timestamp);
    produce(&log, &at(0, NOW_MS));
    produce(&log, &at(1, NOW_MS + 1000));
    assert_eq!(dir.files(".log").len(), 1);
    produce(&log, &at(2, NOW_MS + 1001));
    assert_eq!(dir.files(".log"), ["00000000000000000000.log", "00000000000000000002.log"]);
}

#[test]
fn segments_roll_when_an_index_is_full() {
    let dir = Dir::new();
    let config = LogConfig { segment_index_bytes: 40, index_interval_bytes: 0, ..LogConfig::default() };
    let log = dir.host(0, config);
    for at in 0..40 {
        produce(&log, &batch(at, 1));
    }
    assert!(dir.files(".log").len() > 4);
    for name in dir.files("index") {
        assert!(std::fs::metadata(dir.partition_path(0).join(name)).unwrap().len() <= 40);
    }
    assert_eq!(read_all(&log, 0, 1 << 20), expected(40));
}

#[test]
fn a_slice_stays_readable_after_its_segment_is_deleted() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 5));
    let slice = log.read(0, 1 << 20, true, ReadBound::LogEnd).unwrap().slice.unwrap();
    dir.manager().delete(&tp(0)).unwrap();
    dir.clock.advance(60_000);
    dir.manager().tick();
    let mut bytes = vec![0; slice.len];
    slice.file.read_exact_at(&mut bytes, slice.position).unwrap();
    assert_eq!(headers(&bytes)[0].record_count, 5);
    assert!(matches!(log.append(&batch(5, 1), 0, AppendOrigin::Client), Err(LogError::Closed(_))));
}

#[test]
fn readers_see_only_whole_batches_while_others_append() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_bytes: 20_000, index_interval_bytes: 500, ..LogConfig::default() });
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for at in 0..500 {
                        produce(&log, &batch(at, 4));
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                let mut offset = 0;
                while offset < 4000 {
                    let found = headers(&read_bytes(&log, offset, 3000, ReadBound::HighWatermark));
                    for header in found {
                        assert_eq!(header.base_offset, offset);
                        offset = header.last_offset() + 1;
                    }
                    assert!(offset <= log.log_end_offset());
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert_eq!(log.log_end_offset(), 4000);
}

#[test]
fn replicated_batches_keep_their_offsets_and_epochs() {
    let dir = Dir::new();
    let leader = dir.host(0, LogConfig::default());
    leader.append(&batch(0, 3), 4, AppendOrigin::Client).unwrap();
    leader.append(&batch(3, 3), 5, AppendOrigin::Client).unwrap();
    let bytes = Bytes::from(read_bytes(&leader, 0, 1 << 20, ReadBound::LogEnd));
    let follower = dir.host(1, LogConfig::default());
    follower.append(&bytes, 99, AppendOrigin::Replication).unwrap();
    assert_eq!(read_bytes(&follower, 0, 1 << 20, ReadBound::LogEnd), bytes);
    assert_eq!(follower.end_offset_for_epoch(4), Some((4, 3)));
    assert!(follower.append(&bytes, 99, AppendOrigin::Replication).is_err(), "offsets never go back");
    assert_eq!(follower.log_end_offset(), 6);
}
