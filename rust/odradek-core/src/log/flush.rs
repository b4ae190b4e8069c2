//! What moves a log's durable part forward: rolling to a new segment, fsync and the recovery point, snapshots, closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::checkpoint;
use super::error::LogError;
use super::file_names::{LEADER_EPOCH_CHECKPOINT, SNAPSHOT, segment_file};
use super::partition_log::{PartitionLog, Phase, Writer};
use super::producer_snapshot;
use super::segment::{IndexTracker, Segment};

/// Who makes durable what a close writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The log, file by file.
    Here,
    /// The caller, for all logs at once.
    Later,
}

impl PartitionLog {
    pub(super) fn active_segment(&self) -> Result<Arc<Segment>, LogError> {
        let segments = self.segments.load();
        segments.last().cloned().ok_or_else(|| LogError::Corrupt(format!("{} has no segment", self.tp)))
    }

    /// Closes the active segment and starts one at the log end. Its fsync is the background thread's.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<Arc<Segment>, LogError> {
        let active = self.active_segment()?;
        active.close_indexes(writer.tracker.greatest)?;
        self.write_snapshot(writer, false)?;
        let base_offset = self.log_end_offset();
        let segment = Arc::new(Segment::new(self.segment_files(base_offset), 0, false));
        // Made at once, so that the folder tells where the log ends even before the next append.
        segment.file_to_write()?;
        let mut segments = self.segments.load_full().to_vec();
        segments.push(Arc::clone(&segment));
        self.segments.store(Arc::new(segments));
        writer.tracker = IndexTracker::default();
        writer.first_timestamp = None;
        writer.segment_created_ms = self.log_dir.clock.now_ms();
        writer.dir_dirty = true;
        Ok(segment)
    }

    /// Writes the producers at the log end, unless that was done.
    pub(super) fn write_snapshot(&self, writer: &mut Writer, durable: bool) -> Result<(), LogError> {
        let offset = self.log_end_offset();
        if offset <= writer.snapshot_offset {
            return Ok(());
        }
        let path = segment_file(&self.dir, offset, SNAPSHOT);
        let bytes = producer_snapshot::encode(&writer.producers);
        self.log_dir.changed("write", &path, self.log_dir.fs.write_atomic(&path, &bytes, durable))?;
        writer.snapshot_offset = offset;
        Ok(())
    }

    pub(super) fn write_epochs(&self, writer: &mut Writer, durable: bool) -> Result<(), LogError> {
        if writer.epochs_dirty {
            let text = checkpoint::encode_epochs(&self.epochs.read());
            let path = self.dir.join(LEADER_EPOCH_CHECKPOINT);
            self.log_dir.changed("write", &path, self.log_dir.fs.write_atomic(&path, text.as_bytes(), durable))?;
            writer.epochs_dirty = false;
        }
        Ok(())
    }

    /// Makes everything below `upto` (the log end, or a closed segment's) durable and moves the recovery point there.
    pub(super) fn flush_locked(&self, writer: &mut Writer, upto: i64) -> Result<(), LogError> {
        writer.last_flush_ms = self.log_dir.clock.now_ms();
        let from = self.recovery_point.load(Ordering::Acquire);
        if upto <= from {
            return Ok(());
        }
        let segments = self.segments.load_full();
        for (at, segment) in segments.iter().enumerate() {
            let end = segments.get(at + 1).map_or(i64::MAX, |next| next.base_offset());
            if end > from && segment.base_offset() < upto {
                segment.sync()?;
            }
        }
        self.write_epochs(writer, true)?;
        if writer.dir_dirty {
            self.log_dir.changed("sync", &self.dir, self.log_dir.fs.sync_dir(&self.dir))?;
            writer.dir_dirty = false;
        }
        self.recovery_point.store(upto, Ordering::Release);
        Ok(())
    }

    /// Makes the whole log durable.
    ///
    /// # Errors
    /// I/O errors, which take the directory offline.
    pub fn flush(&self) -> Result<(), LogError> {
        self.log_dir.check_online()?;
        let mut writer = self.lock_open()?;
        let end_offset = self.log_end_offset();
        self.flush_locked(&mut writer, end_offset)
    }

    /// The background thread's flush: closed segments that are not durable yet, and all of it after `flush.ms`.
    ///
    /// Closed segments are synced outside the append lock.
    pub(super) fn flush_due(&self, now_ms: i64) -> Result<(), LogError> {
        if !self.is_loaded() {
            return Ok(());
        }
        let recovery_point = self.recovery_point.load(Ordering::Acquire);
        let active_base = self.active_segment()?.base_offset();
        if recovery_point < active_base {
            let segments = self.segments.load_full();
            for pair in segments.windows(2) {
                if pair[1].base_offset() > recovery_point {
                    pair[0].sync()?;
                }
            }
            let mut writer = self.lock_any();
            if writer.phase == Phase::Open && self.recovery_point.load(Ordering::Acquire) == recovery_point {
                self.write_epochs(&mut writer, true)?;
                self.log_dir.changed("sync", &self.dir, self.log_dir.fs.sync_dir(&self.dir))?;
                self.recovery_point.store(active_base.min(self.log_end_offset()), Ordering::Release);
            }
        }
        let flush_ms = self.config.load().flush_ms;
        if flush_ms == i64::MAX {
            return Ok(());
        }
        let mut writer = self.lock_any();
        let due = writer.phase == Phase::Open && now_ms.saturating_sub(writer.last_flush_ms) >= flush_ms;
        if due { self.flush_locked(&mut writer, self.log_end_offset()) } else { Ok(()) }
    }

    /// True when closing has something to make durable.
    pub(super) fn has_unflushed(&self) -> bool {
        if !self.is_loaded() {
            return false;
        }
        let writer = self.lock_any();
        let end_offset = self.log_end_offset();
        end_offset > self.recovery_point.load(Ordering::Acquire)
            || end_offset > writer.snapshot_offset.max(0)
            || writer.epochs_dirty
    }

    /// Writes what a clean start needs (indexes, snapshot, epochs) and refuses everything from then on. Makes it durable
    /// itself, or leaves that to the caller, who then says so with [`Self::settle`].
    ///
    /// # Errors
    /// I/O errors; the log counts as closed all the same.
    pub(super) fn close(&self, durability: Durability) -> Result<(), LogError> {
        let mut writer = self.lock_any();
        let phase = std::mem::replace(&mut writer.phase, Phase::Closed);
        if phase != Phase::Open {
            return Ok(());
        }
        let result = self.log_dir.check_online().and_then(|()| self.close_files(&mut writer, durability));
        for segment in self.segments.load().iter() {
            segment.release();
        }
        self.mark_unloaded();
        result
    }

    fn close_files(&self, writer: &mut Writer, durability: Durability) -> Result<(), LogError> {
        let durable = durability == Durability::Here;
        let end_offset = self.log_end_offset();
        if end_offset > 0 || self.log_start.load(Ordering::Acquire) > 0 {
            let active = self.active_segment()?;
            if !active.is_empty() {
                active.close_indexes(writer.tracker.greatest)?;
            }
            self.write_snapshot(writer, durable)?;
        }
        self.write_epochs(writer, durable)?;
        if durable { self.flush_locked(writer, end_offset) } else { Ok(()) }
    }

    /// Everything written before [`Self::close`] returned is durable.
    pub(super) fn settle(&self) {
        self.recovery_point.store(self.log_end_offset(), Ordering::Release);
    }

    /// Closes without writing anything: the folder is about to go. Waits until the cleaner has let go of it.
    pub(super) fn abandon(&self) {
        self.lock_any().phase = Phase::Closed;
        for segment in self.segments.load().iter() {
            segment.release();
        }
        self.mark_unloaded();
        drop(self.cleaning.lock());
    }
}
