//! Cutting a log's end off: what a follower does when its leader's history differs from its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::LogError;
use super::file_names::LOG;
use super::loader;
use super::partition_log::{PartitionLog, Writer};
use super::read::segment_index;
use super::retention::retire_files;
use super::segment::{IndexTracker, NO_TIME, Segment};
use crate::fs::Reach;
use crate::record::batch::BatchHeader;

impl PartitionLog {
    /// Forgets every record at or after `offset`; a batch that contains it goes as a whole. No effect above the end.
    ///
    /// # Errors
    /// I/O errors, which take the directory offline; [`LogError::OffsetOutOfRange`] below the log start.
    pub fn truncate_to(&self, offset: i64) -> Result<(), LogError> {
        self.log_dir.check_online()?;
        let mut writer = self.lock_open()?;
        let end_offset = self.log_end_offset();
        let log_start_offset = self.log_start.load(Ordering::Acquire);
        if offset >= end_offset {
            return Ok(());
        }
        if offset < log_start_offset {
            return Err(LogError::OffsetOutOfRange { offset, log_start_offset, end_offset });
        }
        let segments = self.segments.load_full();
        let at = segment_index(&segments, offset);
        for segment in &segments[at + 1..] {
            retire_files(&self.log_dir, segment, 0)?;
        }
        self.segments.store(Arc::new(segments[..=at].to_vec()));
        let end_offset = self.cut_segment(&mut writer, &segments[at], offset)?;
        self.end_offset.store(end_offset, Ordering::Release);
        self.high_watermark.fetch_min(end_offset, Ordering::AcqRel);
        self.recovery_point.fetch_min(end_offset, Ordering::AcqRel);
        self.cleaned.fetch_min(end_offset, Ordering::AcqRel);
        writer.epochs_dirty |= self.epochs.write().truncate_from_end(end_offset);
        self.write_epochs(&mut writer, true)?;
        loader::reload_producers(self, &mut writer)
    }

    /// Cuts inside the segment that is now the last; returns the new log end.
    fn cut_segment(&self, writer: &mut Writer, segment: &Segment, offset: i64) -> Result<i64, LogError> {
        let interval = self.config.load().index_interval_bytes;
        let beyond = segment.find(offset, segment.len(), interval, Reach::Disk)?;
        let position = beyond.map_or(segment.len(), |batch| batch.position);
        let changed = |result| segment.files.changed("truncate", LOG, result);
        changed(segment.file_to_write()?.set_len(position))?;
        segment.set_len(position);
        segment.cursors.clear();
        let end_offset = beyond.map_or(offset, |batch| batch.header.base_offset);
        changed(segment.txns.truncate_to_offset(&segment.files, end_offset))?;
        let mut tracker = IndexTracker::default();
        // The greatest timestamp may have been in what went: the indexes are made anew.
        segment.reset_indexes()?;
        let last: Option<BatchHeader> = segment.index_from(0, &mut tracker, interval)?;
        segment.mark_checked(if last.is_some() { tracker.greatest } else { NO_TIME });
        writer.tracker = tracker;
        writer.first_timestamp = loader::first_timestamp(segment)?;
        Ok(end_offset)
    }
}
