//! The scan after an unclean stop: reads batches from the recovery point on, checks their checksums, cuts the log at the
//! first that is bad, and makes the indexes of what it reads anew.
//!
//! What is below the recovery point was made durable together with its index, so the scan starts at the index entry just
//! below it; an index that does not fit makes it start at the segment's first byte.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch_scan::is_plausible;
use super::epoch_cache::EpochCache;
use super::error::LogError;
use super::partition_log::{PartitionLog, Segments, Writer};
use super::read::segment_index;
use super::retention::retire_files;
use super::segment::{IndexTracker, Segment};
use crate::fs::{LogFile, Reach};
use crate::record::batch::{BatchHeader, HEADER_BYTES, check_crc};

/// Bytes read at once; a greater batch gets a buffer of its size.
const CHUNK_BYTES: usize = 1 << 20;

/// What recovery found.
pub(super) struct Recovered {
    /// One past the last whole record.
    pub end_offset: i64,
    /// Base offset of the first segment that was scanned.
    pub first_base: i64,
}

/// Scans and repairs the segments from the recovery point on; cuts the list where the log is cut.
pub(super) fn recover(
    log: &PartitionLog,
    segments: &mut Segments,
    writer: &mut Writer,
    epochs: &mut EpochCache,
) -> Result<Recovered, LogError> {
    let recovery_point = log.recovery_point.load(Ordering::Acquire);
    let first = segment_index(segments, recovery_point);
    let first_base = segments[first].base_offset();
    let interval = log.config.load().index_interval_bytes;
    let mut end_offset = first_base;
    let mut at = first;
    while let Some(segment) = segments.get(at).cloned() {
        // Offsets never go back: a segment that starts below the end of the one before it is damage.
        if segment.base_offset() < end_offset {
            break;
        }
        let scan = Scan { log, segment: &segment, epochs: &mut *epochs, interval };
        let outcome = scan.run(if at == first { recovery_point } else { segment.base_offset() })?;
        end_offset = outcome.end_offset.max(segment.base_offset());
        writer.tracker = outcome.tracker;
        at += 1;
        if outcome.cut {
            break;
        }
        if at < segments.len() {
            segment.close_indexes(outcome.tracker.greatest)?;
        }
    }
    discard(log, &segments[at..].to_vec())?;
    segments.truncate(at);
    Ok(Recovered { end_offset, first_base })
}

/// Takes segments out of the folder.
pub(super) fn discard(log: &PartitionLog, segments: &Segments) -> Result<(), LogError> {
    segments.iter().try_for_each(|segment| retire_files(&log.log_dir, segment, 0))
}

struct Scan<'a> {
    log: &'a PartitionLog,
    segment: &'a Arc<Segment>,
    epochs: &'a mut EpochCache,
    interval: u64,
}

struct Outcome {
    end_offset: i64,
    tracker: IndexTracker,
    cut: bool,
}

impl Scan<'_> {
    fn run(mut self, recovery_point: i64) -> Result<Outcome, LogError> {
        let segment = self.segment;
        if segment.is_empty() {
            segment.reset_indexes()?;
            let (end_offset, tracker) = (segment.base_offset(), IndexTracker::default());
            return Ok(Outcome { end_offset, tracker, cut: false });
        }
        let (mut start, mut tracker) = self.start(recovery_point)?;
        let mut scanned = self.scan(start, &mut tracker)?;
        if scanned.position == start && start > 0 {
            // The index led to something that is no batch: do without it.
            (start, tracker) = (0, IndexTracker::default());
            segment.reset_indexes()?;
            scanned = self.scan(start, &mut tracker)?;
        }
        let cut = scanned.position < segment.len();
        if cut {
            let path = segment.files.path("log");
            let file = segment.file_to_write()?;
            self.log.log_dir.changed("truncate", &path, file.set_len(scanned.position))?;
            self.log.log_dir.changed("sync", &path, file.sync())?;
            segment.set_len(scanned.position);
        }
        segment.mark_checked(tracker.greatest);
        Ok(Outcome { end_offset: scanned.end_offset, tracker, cut })
    }

    /// Where to start, with the indexes cut back to that place.
    fn start(&self, recovery_point: i64) -> Result<(u64, IndexTracker), LogError> {
        let segment = self.segment;
        let files = &segment.files;
        let failed = |source| segment.error("read the index of", source);
        let fits = segment.indexed_greatest(Reach::Disk).map_err(failed)?.is_some();
        if !fits || recovery_point <= segment.base_offset() {
            segment.reset_indexes()?;
            return Ok((0, IndexTracker::default()));
        }
        let entry = segment.offsets.lookup(files, recovery_point - 1, Reach::Disk).map_err(failed)?;
        if entry.position == 0 {
            segment.reset_indexes()?;
            return Ok((0, IndexTracker::default()));
        }
        let changed = |result| self.log.log_dir.changed("truncate the index of", &files.path("index"), result);
        changed(segment.offsets.truncate_to_position(files, entry.position + 1))?;
        changed(segment.times.truncate_to_offset(files, entry.offset + 1))?;
        let greatest = segment.times.last(files, Reach::Disk).map_err(failed)?.unwrap_or(super::segment::NO_TIME);
        Ok((entry.position, IndexTracker { bytes_since_entry: 0, greatest }))
    }

    /// Goes from batch to batch until one is bad or the file ends.
    fn scan(&mut self, start: u64, tracker: &mut IndexTracker) -> Result<Scanned, LogError> {
        let segment = self.segment;
        let file = segment.file()?;
        let mut window = Window { file: &*file, bytes: Vec::new(), start, end: segment.len() };
        let mut scanned = Scanned { position: start, end_offset: segment.base_offset() };
        let mut lowest = segment.base_offset();
        loop {
            let failed = |source| segment.error("read", source);
            let Some(batch) = window.batch_at(scanned.position).map_err(failed)? else { break };
            let Ok(header) = BatchHeader::parse(batch) else { break };
            let in_order = header.base_offset >= lowest && header.last_offset().checked_add(1).is_some();
            if !in_order || check_crc(&header, batch).is_err() {
                break;
            }
            segment.note_batch(tracker, scanned.position, &header, self.interval)?;
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
            lowest = header.last_offset() + 1;
            scanned = Scanned { position: scanned.position + header.size() as u64, end_offset: lowest };
        }
        Ok(scanned)
    }
}

/// How far a scan came.
struct Scanned {
    position: u64,
    end_offset: i64,
}

/// A part of a file in memory.
struct Window<'a> {
    file: &'a dyn LogFile,
    bytes: Vec<u8>,
    start: u64,
    end: u64,
}

impl Window<'_> {
    /// The whole batch at `position`, or `None` when no plausible one is there.
    fn batch_at(&mut self, position: u64) -> std::io::Result<Option<&[u8]>> {
        if !self.hold(position, HEADER_BYTES)? {
            return Ok(None);
        }
        let Ok(header) = BatchHeader::parse(self.at(position, HEADER_BYTES)) else { return Ok(None) };
        if !is_plausible(&header, self.end - position) || !self.hold(position, header.size())? {
            return Ok(None);
        }
        Ok(Some(self.at(position, header.size())))
    }

    fn at(&self, position: u64, len: usize) -> &[u8] {
        let from = (position - self.start) as usize;
        &self.bytes[from..from + len]
    }

    /// Makes `len` bytes at `position` stand in memory; false when the file ends before.
    fn hold(&mut self, position: u64, len: usize) -> std::io::Result<bool> {
        if self.end.saturating_sub(position) < len as u64 {
            return Ok(false);
        }
        let held = position >= self.start && position + len as u64 <= self.start + self.bytes.len() as u64;
        if held {
            return Ok(true);
        }
        let want = (len.max(CHUNK_BYTES) as u64).min(self.end - position) as usize;
        self.bytes.resize(want, 0);
        let read = self.file.read_full_at(&mut self.bytes, position)?;
        self.bytes.truncate(read);
        self.start = position;
        Ok(read >= len)
    }
}
