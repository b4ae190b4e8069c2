//! Reads that load what they find: the same batches as a read that only locates them, in one go where a reader goes on.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::sync::Arc;

use odradek_core::fs::Reach;
use odradek_core::fs::faulty::{FaultyFileSystem, Operation};
use odradek_core::log::config::LogConfig;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::read_buffer::{Preload, ReadBuffer};
use odradek_core::log::types::{AppendOrigin, ReadBound};
use storage_support::*;

const ROOM: usize = 1 << 20;

/// Bytes of one loading read, and whether they were loaded.
fn load(log: &PartitionLog, offset: i64, max_bytes: usize, bound: ReadBound, max_range: usize) -> (Vec<u8>, bool) {
    let mut buffer = ReadBuffer::default();
    let mut preload = Preload { buffer: &mut buffer, max_range, max_total: ROOM };
    let read = log.read_into(offset, max_bytes, true, bound, Reach::Cache, Some(&mut preload)).unwrap();
    let Some(slice) = read.slice else {
        assert_eq!((read.loaded_at, buffer.used()), (None, 0));
        return (Vec::new(), false);
    };
    let mut in_file = vec![0; slice.len];
    slice.file.read_exact_at(&mut in_file, slice.position).unwrap();
    match read.loaded_at {
        Some(at) => assert_eq!(buffer.bytes()[at..], in_file, "what is loaded is what is in the file, and no more"),
        None => assert_eq!(buffer.used(), 0),
    }
    (in_file, read.loaded_at.is_some())
}

/// A log of batches of 1 to 7 records in segments of 3,000 bytes.
fn uneven(dir: &Dir) -> Arc<PartitionLog> {
    let log = dir.host(0, LogConfig { segment_bytes: 3000, index_interval_bytes: 300, ..LogConfig::default() });
    let mut next = 0;
    for at in 0..150 {
        let count = at * 5 % 7 + 1;
        produce(&log, &batch(next, count));
        next += count;
    }
    log
}

#[test]
fn a_loading_read_gives_what_a_locating_one_gives_at_every_offset_and_limit() {
    let dir = Dir::new();
    let log = uneven(&dir);
    assert!(dir.files(".log").len() > 5);
    let end = log.log_end_offset();
    for bound in [ReadBound::LogEnd, ReadBound::HighWatermark] {
        for max_bytes in [0, 1, 61, 100, 250, 1000, 2999, 1 << 20] {
            for max_range in [100, 700, 1 << 20] {
                for offset in 0..end {
                    // A log without cursors to compare with, and one where each read leaves one.
                    let expected = read_bytes(&log, offset, max_bytes, bound);
                    let (found, _) = load(&log, offset, max_bytes, bound, max_range);
                    assert!(found == expected, "{offset}: {max_bytes} bytes, {max_range} a range");
                }
            }
        }
    }
}

#[test]
fn only_what_fits_is_loaded_and_only_up_to_the_bound() {
    let dir = Dir::new();
    let log = dir.log();
    for at in 0..20 {
        log.append(&batch(at * 2, 2), 0, AppendOrigin::Client).unwrap();
    }
    log.advance_high_watermark(6);
    let size = batch(0, 2).len();
    let (bytes, loaded) = load(&log, 0, 1 << 20, ReadBound::HighWatermark, ROOM);
    assert!(loaded && headers(&bytes).last().unwrap().last_offset() == 5);
    assert_eq!(load(&log, 6, 1 << 20, ReadBound::HighWatermark, ROOM), (Vec::new(), false));
    let (bytes, loaded) = load(&log, 0, 1 << 20, ReadBound::LogEnd, 10 * size);
    assert!(!loaded && headers(&bytes).len() == 20);
    let (bytes, loaded) = load(&log, 0, 1, ReadBound::LogEnd, size);
    assert!(loaded && headers(&bytes).len() == 1, "a first batch above the limit");
    let (bytes, loaded) = load(&log, 0, 1, ReadBound::LogEnd, size - 1);
    assert!(!loaded && headers(&bytes).len() == 1, "and above what may be loaded");
}

/// Reads of files that a consumer costs who goes from 0 to the end in steps of `max_bytes`; and its fetches.
fn consume(fs: &FaultyFileSystem, log: &PartitionLog, max_bytes: usize) -> (usize, usize) {
    let (before, mut fetches, mut offset) = (fs.calls(Operation::Read), 0, 0);
    let mut buffer = ReadBuffer::default();
    while offset < log.log_end_offset() {
        buffer.truncate(0);
        let mut preload = Preload { buffer: &mut buffer, max_range: ROOM, max_total: ROOM };
        let read = log.read_into(offset, max_bytes, true, ReadBound::LogEnd, Reach::Cache, Some(&mut preload)).unwrap();
        let at = read.loaded_at.unwrap();
        offset = headers(&buffer.bytes()[at..]).last().unwrap().last_offset() + 1;
        fetches += 1;
    }
    (fs.calls(Operation::Read) - before, fetches)
}

#[test]
fn a_consumer_that_goes_on_costs_one_read_of_a_file_a_fetch() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, LogConfig { segment_bytes: 100_000, index_interval_bytes: 300, ..LogConfig::default() });
    for at in 0..3000 {
        produce(&log, &batch(at, 1));
    }
    let (reads, fetches) = consume(&fs, &log, 1000);
    let segments = usize::try_from(log.size_bytes() / 100_000).unwrap() + 1;
    assert!(segments > 2 && fetches > 200);
    // The first fetch of a segment has to look its place up.
    assert!(reads <= fetches + 4 * segments, "{reads} reads for {fetches} fetches of {segments} segments");
}

#[test]
fn a_reader_at_the_end_loads_what_is_appended_next_with_one_read() {
    let fs = FaultyFileSystem::new();
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.log();
    produce(&log, &batch(0, 3));
    load(&log, 0, ROOM, ReadBound::LogEnd, ROOM);
    let mut buffer = ReadBuffer::default();
    for at in 3..50 {
        produce(&log, &batch(at, 1));
        let before = fs.calls(Operation::Read);
        buffer.truncate(0);
        let mut preload = Preload { buffer: &mut buffer, max_range: ROOM, max_total: ROOM };
        let read =
            log.read_into(i64::from(at), ROOM, true, ReadBound::LogEnd, Reach::Cache, Some(&mut preload)).unwrap();
        assert_eq!((read.loaded_at, fs.calls(Operation::Read) - before), (Some(0), 1));
        assert_eq!(headers(buffer.bytes())[0].base_offset, i64::from(at));
    }
}

#[test]
fn after_the_end_is_cut_off_readers_find_the_new_records_not_bytes_inside_them() {
    let dir = Dir::new();
    let log = dir.log();
    for at in 0..30 {
        produce(&log, &batch(at, 1));
    }
    for offset in 0..30 {
        load(&log, offset, 1, ReadBound::LogEnd, ROOM);
    }
    log.truncate_to(10).unwrap();
    assert_eq!(load(&log, 10, ROOM, ReadBound::LogEnd, ROOM), (Vec::new(), false));
    // Batches of another size: the old places are inside them now.
    for at in 0..10 {
        produce(&log, &batch(10 + at * 3, 3));
    }
    for offset in 0..40 {
        let (bytes, _) = load(&log, offset, 1, ReadBound::LogEnd, ROOM);
        let found = &headers(&bytes)[0];
        assert!(found.base_offset <= offset && offset <= found.last_offset(), "{offset}");
    }
    assert_eq!(read_all(&log, 0, 100), expected(40));
}
