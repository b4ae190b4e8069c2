//! Opening a log. After a clean close its end is found from the last segment's indexes; otherwise everything from the
//! recovery point on is read, checksums checked, the first bad batch and all after it cut off, and indexes, producer
//! state and leader epochs made anew. Nothing before a bad batch is lost, and an index is never believed beyond the log.
//!
//! Read next: `recovery` (the scan), `folder` (which files there are).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch_scan::{BatchScanner, Located};
use super::checkpoint;
use super::epoch_cache::EpochCache;
use super::error::LogError;
use super::file_names::{LEADER_EPOCH_CHECKPOINT, SNAPSHOT, TXN_INDEX, segment_file};
use super::folder;
use super::log_dir::io_error;
use super::marker::{self, MAX_CONTROL_BATCH_BYTES};
use super::partition_log::{Origin, PartitionLog, Segments, Writer};
use super::producer_snapshot;
use super::producer_state::{ProducerStates, StagedBatch, StagedProducers};
use super::recovery;
use super::segment::{IndexTracker, Segment};
use super::types::AppendOrigin;
use crate::fs::{LogFile, Reach};

/// Opens the log's files and fills in its state. The caller holds the append lock.
pub(super) fn load(log: &PartitionLog, writer: &mut Writer, origin: Origin) -> Result<(), LogError> {
    let folder = folder::tidy(&log.log_dir, &log.dir)?;
    let mut segments: Segments = folder
        .logs
        .iter()
        .map(|(&base, &len)| Arc::new(Segment::new(log.segment_files(base), len, folder.txn_indexes.contains(&base))))
        .collect();
    let known_start = log.log_start.load(Ordering::Acquire);
    if segments.is_empty() {
        segments.push(Arc::new(Segment::new(log.segment_files(known_start), 0, false)));
    }
    let stored_epochs = read_epochs(log);
    let mut epochs = stored_epochs.clone().unwrap_or_default();
    if origin == Origin::Unclean && stored_epochs.is_none() {
        // Epochs below the recovery point can only come from the batches.
        log.recovery_point.store(0, Ordering::Release);
    }
    let recovery_point = log.recovery_point.load(Ordering::Acquire);
    let trusted = match origin {
        Origin::Clean => trusted_end(log, &segments, writer)?,
        // Nothing was appended since the last fsync: then there is nothing to repair either.
        _ if recovery_point > 0 => trusted_end(log, &segments, writer)?.filter(|end| *end == recovery_point),
        _ => None,
    };
    let (mut end_offset, recovered_from) = match trusted {
        Some(end_offset) => (end_offset, None),
        None => {
            let recovered = recovery::recover(log, &mut segments, writer, &mut epochs)?;
            (recovered.end_offset, Some(recovered.first_base))
        }
    };
    if end_offset < known_start {
        // What is left ends before the log starts: nothing of it may be read. Start again where the log starts.
        recovery::discard(log, &segments)?;
        segments = vec![Arc::new(Segment::new(log.segment_files(known_start), 0, false))];
        writer.tracker = IndexTracker::default();
        end_offset = known_start;
    }
    let first_base = segments.first().map_or(0, |segment| segment.base_offset());
    let log_start = known_start.max(first_base);
    epochs.truncate_from_end(end_offset);
    if stored_epochs.is_none() && recovered_from.is_none() && end_offset > log_start {
        epochs = epochs_from_batches(&segments)?;
    }
    writer.epochs_dirty = stored_epochs.as_ref() != Some(&epochs) && !epochs.entries().is_empty();
    if let Some(active) = segments.last() {
        writer.first_timestamp = first_timestamp(active)?;
    }
    *log.epochs.write() = epochs;
    log.segments.store(Arc::new(segments));
    log.log_start.store(log_start, Ordering::Release);
    log.end_offset.store(end_offset, Ordering::Release);
    let high_watermark = log.high_watermark().clamp(log_start, end_offset);
    log.high_watermark.store(high_watermark, Ordering::Release);
    log.recovery_point.fetch_min(end_offset, Ordering::AcqRel);
    load_producers(log, writer, &folder.snapshots, recovered_from)
}

fn read_epochs(log: &PartitionLog) -> Option<EpochCache> {
    checkpoint::decode_epochs(&log.log_dir.fs.read(&log.dir.join(LEADER_EPOCH_CHECKPOINT)).ok()?)
}

/// The log end as the last segment's indexes and headers tell it; `None` when they contradict each other.
fn trusted_end(log: &PartitionLog, segments: &Segments, writer: &mut Writer) -> Result<Option<i64>, LogError> {
    let Some(active) = segments.last() else { return Ok(None) };
    if active.is_empty() {
        writer.tracker = IndexTracker::default();
        return Ok(Some(active.base_offset()));
    }
    let failed = |source| active.error("read the index of", source);
    let interval = log.config.load().index_interval_bytes;
    let position = match active.indexed_greatest(Reach::Disk).map_err(failed)? {
        Some(greatest) => {
            writer.tracker = IndexTracker { bytes_since_entry: 0, greatest };
            active.offsets.last(&active.files, Reach::Disk).map_err(failed)?.map_or(0, |entry| entry.position)
        }
        None => {
            writer.tracker = IndexTracker::default();
            active.reset_indexes()?;
            0
        }
    };
    match active.index_from(position, &mut writer.tracker, interval) {
        Ok(Some(last)) => {
            active.mark_checked(writer.tracker.greatest);
            Ok(Some(last.last_offset() + 1))
        }
        Ok(None) | Err(LogError::Corrupt(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Greatest timestamp of a segment's first batch, from which `segment.ms` counts.
pub(super) fn first_timestamp(segment: &Segment) -> Result<Option<i64>, LogError> {
    if segment.is_empty() {
        return Ok(None);
    }
    let file = segment.file()?;
    let first = BatchScanner::new(&*file, 0, segment.len()).next_batch();
    let first = first.map_err(|source| segment.error("read", source))?;
    Ok(first.map(|found| found.header.max_timestamp).filter(|timestamp| *timestamp >= 0))
}

fn epochs_from_batches(segments: &Segments) -> Result<EpochCache, LogError> {
    let mut epochs = EpochCache::default();
    for_each_batch(segments, 0, |_, _, found| {
        epochs.assign(found.header.partition_leader_epoch, found.header.base_offset);
        Ok(())
    })?;
    Ok(epochs)
}

/// Calls `visit` with every batch that starts at or after `offset`, by headers only.
fn for_each_batch(
    segments: &Segments,
    offset: i64,
    mut visit: impl FnMut(&Segment, &dyn LogFile, Located) -> Result<(), LogError>,
) -> Result<(), LogError> {
    for (at, segment) in segments.iter().enumerate() {
        let ends_before = segments.get(at + 1).is_some_and(|next| next.base_offset() <= offset);
        if segment.is_empty() || ends_before {
            continue;
        }
        let file = segment.file()?;
        let mut scanner = BatchScanner::new(&*file, 0, segment.len());
        while let Some(found) = scanner.next_batch().map_err(|source| segment.error("read", source))? {
            if found.header.base_offset >= offset {
                visit(segment, &*file, found)?;
            }
        }
    }
    Ok(())
}

/// Producers from the youngest snapshot that can be trusted, and the batches after it. `recovered_from` is the base
/// offset of the first segment that was repaired: from there the transaction indexes are made anew.
fn load_producers(
    log: &PartitionLog,
    writer: &mut Writer,
    snapshots: &BTreeSet<i64>,
    recovered_from: Option<i64>,
) -> Result<(), LogError> {
    let end_offset = log.log_end_offset();
    let newest = recovered_from.unwrap_or(end_offset);
    let mut producers = ProducerStates::default();
    let mut from = log.log_start.load(Ordering::Acquire);
    let mut found = None;
    for &offset in snapshots.iter().rev() {
        let path = segment_file(&log.dir, offset, SNAPSHOT);
        if offset > newest {
            folder::remove(&log.log_dir, &path)?;
            continue;
        }
        let bytes = log.log_dir.fs.read(&path).map_err(|source| io_error("read", &path, source))?;
        if let Some(states) = producer_snapshot::decode(&bytes) {
            (producers, from, found) = (states, offset, Some(offset));
            break;
        }
        folder::remove(&log.log_dir, &path)?;
    }
    let segments = log.segments.load_full();
    if let Some(base) = recovered_from {
        for segment in segments.iter().filter(|segment| segment.base_offset() >= base) {
            let result = segment.txns.truncate_to_offset(&segment.files, base);
            segment.files.changed("truncate the transaction index of", TXN_INDEX, result)?;
        }
    }
    if from < end_offset {
        replay(&segments, &mut producers, from, recovered_from)?;
    }
    producers.expire(log.log_dir.clock.now_ms(), log.log_dir.producer_id_expiration_ms);
    writer.producers = producers;
    writer.snapshot_offset = found.unwrap_or(-1);
    log.publish_first_unstable(writer);
    Ok(())
}

/// Brings producers from `from` to the log end.
fn replay(
    segments: &Segments,
    producers: &mut ProducerStates,
    from: i64,
    recovered_from: Option<i64>,
) -> Result<(), LogError> {
    for_each_batch(segments, from, |segment, file, found| {
        let header = &found.header;
        if header.producer_id < 0 {
            return Ok(());
        }
        let mut marker = None;
        if header.is_control() && header.size() <= MAX_CONTROL_BATCH_BYTES {
            let mut batch = vec![0; header.size()];
            file.read_exact_at(&mut batch, found.position).map_err(|source| segment.error("read", source))?;
            marker = marker::find(header, &batch);
        }
        let mut staged = StagedProducers::default();
        let batch = StagedBatch {
            base_offset: header.base_offset,
            timestamp_ms: header.max_timestamp,
            marker,
            origin: AppendOrigin::Replication,
        };
        producers.stage(&mut staged, header, batch)?;
        for aborted in producers.apply(staged) {
            if recovered_from.is_some_and(|base| segment.base_offset() >= base) {
                let result = segment.txns.append(&segment.files, aborted);
                segment.files.changed("write the transaction index of", TXN_INDEX, result)?;
            }
        }
        Ok(())
    })
}

/// Producers as of the log end after it was cut back.
pub(super) fn reload_producers(log: &PartitionLog, writer: &mut Writer) -> Result<(), LogError> {
    let folder = folder::tidy(&log.log_dir, &log.dir)?;
    load_producers(log, writer, &folder.snapshots, None)
}
