//! The log cleaner: which log is to be compacted, and one pass over it. Off the hot path, in a thread of its own
//! (`manager`); appends wait only while a finished segment takes the place of old ones (`swap`).
//!
//! A pass notes the last offset of every key of the dirty part in a map of bounded size (`offset_map`), then writes the
//! log anew from its start to the end of what the map knows, segments in groups of at most `segment.bytes`, leaving out
//! what `cleaned_batch` says. Never the active segment, nothing at or after the last stable offset. Source: Kafka
//! `LogCleanerManager`, `Cleaner`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch_scan::BatchScanner;
use super::cleaned_batch::{AbortedTxns, BatchFilter, LastOfProducers, Verdict};
use super::error::LogError;
use super::file_handle::SegmentFiles;
use super::file_names::{CLEANED, LOG};
use super::folder;
use super::loader;
use super::offset_map::OffsetMap;
use super::partition_log::{PartitionLog, Segments};
use super::retention::segment_paths;
use super::segment::{IndexTracker, Segment};
use super::time_index::TimeOffset;
use crate::fs::Reach;
use crate::record::batch::{BatchHeader, check_crc};
use crate::record::reader::{Records, payload};

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A log and how much of it is dirty.
pub(super) struct Dirty {
    pub log: Arc<PartitionLog>,
    /// Where the last pass ended.
    first_dirty: i64,
    /// How far a pass may go now.
    end: i64,
    /// Share of the bytes that is dirty.
    pub ratio: f64,
}

/// What is dirty of a log at `now_ms`; `None` when it need not be compacted.
pub(super) fn assess(log: &Arc<PartitionLog>, now_ms: i64) -> Result<Option<Dirty>, LogError> {
    let config = log.config();
    let has_data =
        log.log_end_offset() > log.log_start.load(Ordering::Acquire).max(log.cleaned.load(Ordering::Acquire));
    if !config.cleanup_policy.compact || log.uncleanable.load(Ordering::Acquire) || !has_data {
        return Ok(None);
    }
    let segments = log.open_segments()?;
    let Some((active, closed)) = segments.split_last() else { return Ok(None) };
    let log_start = log.log_start.load(Ordering::Acquire);
    let cleaned = log.cleaned.load(Ordering::Acquire);
    let first_dirty = if (log_start..=active.base_offset()).contains(&cleaned) { cleaned } else { log_start };
    let mut end = active.base_offset().min(log.last_stable_offset());
    let end_of = |at: usize| segments[at + 1].base_offset();
    if config.min_compaction_lag_ms > 0 {
        for (at, segment) in closed.iter().enumerate().filter(|(at, _)| end_of(*at) > first_dirty) {
            let newest = segment.greatest_timestamp(config.index_interval_bytes, Reach::Disk)?.timestamp_ms;
            if newest > now_ms.saturating_sub(config.min_compaction_lag_ms) {
                end = end.min(segments[at].base_offset().max(first_dirty));
                break;
            }
        }
    }
    let (mut clean_bytes, mut dirty_bytes) = (0, 0);
    let mut overdue = false;
    for (at, segment) in closed.iter().enumerate().filter(|(_, segment)| segment.base_offset() < end) {
        if end_of(at) <= first_dirty {
            clean_bytes += segment.len();
            continue;
        }
        dirty_bytes += segment.len();
        if config.max_compaction_lag_ms < i64::MAX && !overdue {
            let first = loader::first_timestamp(segment)?.filter(|first| *first > 0);
            overdue = first.is_some_and(|first| now_ms.saturating_sub(first) > config.max_compaction_lag_ms);
        }
    }
    if dirty_bytes == 0 || end <= first_dirty {
        return Ok(None);
    }
    let ratio = dirty_bytes as f64 / (clean_bytes + dirty_bytes) as f64;
    let due = overdue || ratio > config.min_cleanable_dirty_ratio;
    Ok(due.then(|| Dirty { log: Arc::clone(log), first_dirty, end, ratio }))
}

/// One pass over a dirty log. `stop` is asked batch by batch. True when the log is cleaner than before.
///
/// # Errors
/// [`LogError::Closed`] when stopped or the log was closed; [`LogError::Batch`] and [`LogError::Corrupt`] for damage;
/// I/O errors. The log is whole in any case.
pub(super) fn clean(dirty: &Dirty, dedupe_bytes: usize, stop: &dyn Fn() -> bool) -> Result<bool, LogError> {
    let log = &*dirty.log;
    let _stays_in_its_folder = log.cleaning.lock();
    let segments = log.open_segments()?;
    let pass = Pass { log, segments: &segments, first_dirty: dirty.first_dirty, end: dirty.end, stop };
    let now_ms = log.log_dir.clock.now_ms();
    // Before anything is read: a batch that a producer sends meanwhile is in the active segment, which stays as it is.
    let last_of_producers = pass.last_of_producers()?;
    let aborted = pass.aborted()?;
    let (map, map_end) = pass.build_map(&aborted, dedupe_bytes)?;
    let config = log.config();
    let level = (config.compression_codec, config.compression_level);
    let retention_ms = config.delete_retention_ms;
    let mut filter = BatchFilter::new((&map, map_end), &aborted, &last_of_producers, now_ms, retention_ms, level);
    for group in pass.groups(map_end)? {
        if !pass.clean_group(group, &mut filter)? {
            return Ok(false);
        }
    }
    let _writer = log.lock_open()?;
    log.cleaned.store(map_end.min(log.active_segment()?.base_offset()), Ordering::Release);
    Ok(true)
}

struct Pass<'a> {
    log: &'a PartitionLog,
    segments: &'a Segments,
    first_dirty: i64,
    end: i64,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Pass<'a> {
    fn last_of_producers(&self) -> Result<LastOfProducers, LogError> {
        let writer = self.log.lock_open()?;
        let entry_of = |(id, entry): (i64, &super::producer_state::ProducerEntry)| {
            (id, (entry.last_batch().map(|batch| batch.last_offset), entry.epoch))
        };
        Ok(writer.producers.iter().map(entry_of).collect())
    }

    fn aborted(&self) -> Result<AbortedTxns, LogError> {
        let mut found = Vec::new();
        for segment in self.segments {
            let collected = segment.txns.collect(&segment.files, 0, i64::MAX, Reach::Disk, &mut found);
            collected.map_err(|source| segment.error("read the transaction index of", source))?;
        }
        Ok(AbortedTxns::new(found))
    }

    /// Calls `visit` with every batch of a segment until it says no.
    fn for_each_batch(
        &self,
        segment: &Segment,
        mut visit: impl FnMut(&BatchHeader, &[u8]) -> Result<bool, LogError>,
    ) -> Result<(), LogError> {
        if segment.is_empty() {
            return Ok(());
        }
        let file = segment.file()?;
        let mut scanner = BatchScanner::new(&*file, 0, segment.len());
        let mut batch = Vec::new();
        let failed = |source| segment.error("read", source);
        while let Some(found) = scanner.next_batch().map_err(failed)? {
            if (self.stop)() || !self.log.is_loaded() {
                return Err(LogError::Closed(self.log.tp.to_string()));
            }
            batch.resize(found.header.size(), 0);
            file.read_exact_at(&mut batch, found.position).map_err(failed)?;
            if !visit(&found.header, &batch)? {
                return Ok(());
            }
        }
        if scanner.position() == segment.len() { Ok(()) } else { Err(segment.corrupt_at(scanner.position())) }
    }

    /// The keys from the first dirty offset on, and the first offset that they do not tell of.
    fn build_map(&self, aborted: &AbortedTxns, dedupe_bytes: usize) -> Result<(OffsetMap, i64), LogError> {
        let wanted = usize::try_from(self.end - self.first_dirty).unwrap_or(usize::MAX);
        let mut map = OffsetMap::new(wanted, dedupe_bytes);
        let mut map_end = self.first_dirty;
        let mut full = false;
        let mut scratch = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let next_base = self.segments.get(at + 1).map_or(i64::MAX, |next| next.base_offset());
            if next_base <= self.first_dirty || segment.base_offset() >= self.end {
                continue;
            }
            self.for_each_batch(segment, |header, batch| {
                if header.base_offset >= self.end {
                    return Ok(false);
                }
                if header.last_offset() < self.first_dirty {
                    return Ok(true);
                }
                check_crc(header, batch)?;
                if !header.is_control() && !aborted.contain(header) {
                    let limit = super::record_rules::MAX_PAYLOAD_BYTES;
                    let stored = payload(header, batch, limit, &mut scratch)?;
                    for record in Records::new(stored, header.record_count)? {
                        let record = record?;
                        let offset = header.offset_of(&record)?;
                        let Some(key) = record.key.filter(|_| offset >= self.first_dirty) else { continue };
                        if !map.put(key, offset) {
                            full = true;
                            return Ok(false);
                        }
                        map_end = offset + 1;
                    }
                }
                map_end = header.last_offset() + 1;
                Ok(true)
            })?;
            if full {
                return Ok((map, map_end));
            }
        }
        Ok((map, self.end))
    }

    /// Consecutive segments up to `map_end` that together fit into one.
    fn groups(&self, map_end: i64) -> Result<Vec<&'a [Arc<Segment>]>, LogError> {
        let config = self.log.config();
        let count = self.segments.partition_point(|segment| segment.base_offset() < map_end);
        let count = count.min(self.segments.len() - 1);
        let mut groups = Vec::new();
        let mut start = 0;
        let (mut bytes, mut index_bytes) = (0, 0);
        for at in 0..count {
            let segment = &self.segments[at];
            let failed = |source| segment.error("read the index of", source);
            let entries = segment.offsets.entries.count(&segment.files).map_err(failed)?;
            let times = segment.times.entries.count(&segment.files).map_err(failed)?;
            let index = (entries * 8).max(times * 12);
            let range = self.segments[at + 1].base_offset() - self.segments[start].base_offset();
            let full = bytes + segment.len() > config.segment_bytes.min(i32::MAX as u64)
                || index_bytes + index > config.segment_index_bytes
                || range > i64::from(i32::MAX);
            if full && at > start {
                groups.push(&self.segments[start..at]);
                (start, bytes, index_bytes) = (at, 0, 0);
            }
            bytes += segment.len();
            index_bytes += index;
        }
        if start < count {
            groups.push(&self.segments[start..count]);
        }
        Ok(groups)
    }

    /// Writes what stays of a group into one new segment and puts it in the group's place. False when that place is gone.
    fn clean_group(&self, group: &[Arc<Segment>], filter: &mut BatchFilter<'_>) -> Result<bool, LogError> {
        let base_offset = group.first().map_or(0, |segment| segment.base_offset());
        let files = SegmentFiles { added: CLEANED, ..self.log.segment_files(base_offset) };
        let cleaned = Segment::new(files, 0, false);
        let replaced = self
            .write_group(group, filter, &cleaned)
            .and_then(|greatest| self.log.replace_segments(group, &cleaned, greatest));
        if !matches!(replaced, Ok(true)) && self.log.log_dir.check_online().is_ok() {
            for path in segment_paths(&cleaned) {
                folder::remove(&self.log.log_dir, &path)?;
            }
        }
        replaced
    }

    /// The greatest timestamp of what was written.
    fn write_group(
        &self,
        group: &[Arc<Segment>],
        filter: &mut BatchFilter<'_>,
        cleaned: &Segment,
    ) -> Result<TimeOffset, LogError> {
        let log_dir = &self.log.log_dir;
        let interval = self.log.config().index_interval_bytes;
        let path = cleaned.files.path(LOG);
        let file = cleaned.file_to_write()?;
        let mut tracker = IndexTracker::default();
        let mut out = Vec::new();
        let mut written = 0;
        for segment in group {
            self.for_each_batch(segment, |header, batch| {
                let (verdict, entry) = filter.judge(header, batch)?;
                if let Some(txn) = entry {
                    let result = cleaned.txns.append(&cleaned.files, txn);
                    log_dir.changed("write the transaction index of", &path, result)?;
                }
                let position = written + out.len() as u64;
                match &verdict {
                    Verdict::Gone => return Ok(true),
                    Verdict::Same => out.extend_from_slice(batch),
                    Verdict::Rebuilt(bytes) => out.extend_from_slice(bytes),
                }
                let header = match &verdict {
                    Verdict::Rebuilt(bytes) => BatchHeader::parse(bytes)?,
                    _ => *header,
                };
                cleaned.note_batch(&mut tracker, position, &header, interval)?;
                if out.len() >= WRITE_BYTES {
                    log_dir.changed("write", &path, file.write_all_at(&out, written))?;
                    written += out.len() as u64;
                    out.clear();
                }
                Ok(true)
            })?;
        }
        log_dir.changed("write", &path, file.write_all_at(&out, written))?;
        cleaned.set_len(written + out.len() as u64);
        cleaned.close_indexes(tracker.greatest)?;
        cleaned.sync()?;
        Ok(tracker.greatest)
    }
}
