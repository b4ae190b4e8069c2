//! Which segments may go, and how they go: out of the list, renamed to `.deleted`, removed after `file.delete.delay.ms`.
//!
//! Rules as Kafka's `UnifiedLog.deleteOldSegments`: only segments wholly below the high watermark; by age of the
//! greatest timestamp, by total size, by the log start offset. The active segment is rolled first if all is expired.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::LogError;
use super::file_names::{DELETED, LOG, SEGMENT_SUFFIXES, SNAPSHOT, segment_file, with_added};
use super::log_dir::LogDir;
use super::partition_log::{PartitionLog, Phase, Writer};
use super::segment::Segment;
use crate::fs::Reach;

impl PartitionLog {
    /// DeleteRecords: moves the log start up to `offset` (-1 = high watermark); returns the new log start.
    /// The files go with the next [`Self::delete_old_segments`].
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] above the high watermark or below -1.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        self.log_dir.check_online()?;
        let mut writer = self.lock_open()?;
        let high_watermark = self.high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        let log_start_offset = self.log_start.load(Ordering::Acquire);
        if offset < 0 || offset > high_watermark {
            return Err(LogError::OffsetOutOfRange { offset, log_start_offset, end_offset: high_watermark });
        }
        self.raise_log_start(&mut writer, offset);
        Ok(self.log_start.load(Ordering::Acquire))
    }

    fn raise_log_start(&self, writer: &mut Writer, offset: i64) {
        if self.log_start.fetch_max(offset, Ordering::AcqRel) < offset {
            writer.epochs_dirty |= self.epochs.write().truncate_from_start(offset);
        }
    }

    /// One retention pass at the clock's time; returns how many segments went.
    ///
    /// # Errors
    /// I/O errors, which take the directory offline.
    pub fn delete_old_segments(&self) -> Result<usize, LogError> {
        self.log_dir.check_online()?;
        let mut writer = self.lock_open()?;
        let config = self.config();
        let now_ms = self.log_dir.clock.now_ms();
        let mut gone = 0;
        if config.cleanup_policy.delete {
            if config.retention_ms >= 0 {
                gone += self.delete_oldest_while(&mut writer, |segment| {
                    let newest = segment_age_reference(segment, config.index_interval_bytes)?;
                    Ok(now_ms.saturating_sub(newest) > config.retention_ms)
                })?;
            }
            if config.retention_bytes >= 0 {
                let limit = config.retention_bytes.cast_unsigned();
                let mut excess = self.size_bytes().saturating_sub(limit);
                gone += self.delete_oldest_while(&mut writer, |segment| {
                    let goes = excess >= segment.len();
                    excess -= if goes { segment.len() } else { 0 };
                    Ok(goes)
                })?;
            }
        }
        gone += self.delete_below_log_start(&mut writer)?;
        Ok(gone)
    }

    /// Removes the oldest segments for which `goes` holds, up to the first for which it does not.
    fn delete_oldest_while(
        &self,
        writer: &mut Writer,
        mut goes: impl FnMut(&Segment) -> Result<bool, LogError>,
    ) -> Result<usize, LogError> {
        let segments = self.segments.load_full();
        let high_watermark = self.high_watermark();
        let mut count = 0;
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1).map(|next| next.base_offset());
            let end_offset = next.unwrap_or_else(|| self.log_end_offset());
            let is_empty_active = next.is_none() && segment.is_empty();
            if high_watermark < end_offset || is_empty_active || !goes(segment)? {
                break;
            }
            count += 1;
        }
        self.retire_oldest(writer, count)
    }

    fn delete_below_log_start(&self, writer: &mut Writer) -> Result<usize, LogError> {
        let segments = self.segments.load_full();
        let log_start = self.log_start.load(Ordering::Acquire);
        let mut count = segments.windows(2).take_while(|pair| pair[1].base_offset() <= log_start).count();
        let all_below = count + 1 == segments.len() && log_start >= self.log_end_offset();
        if all_below && segments.last().is_some_and(|active| !active.is_empty()) {
            count += 1;
        }
        self.retire_oldest(writer, count)
    }

    fn retire_oldest(&self, writer: &mut Writer, count: usize) -> Result<usize, LogError> {
        if count == 0 {
            return Ok(0);
        }
        if count == self.segments.load().len() {
            self.roll(writer)?;
        }
        let segments = self.segments.load_full();
        let (old, kept) = segments.split_at(count);
        let start = kept.first().map_or(0, |segment| segment.base_offset());
        self.segments.store(Arc::new(kept.to_vec()));
        self.raise_log_start(writer, start);
        let delay_ms = self.config.load().file_delete_delay_ms;
        for segment in old {
            retire_files(&self.log_dir, segment, delay_ms)?;
        }
        // What was durable stays so; a recovery point inside what went would name no segment.
        self.recovery_point.fetch_max(start.min(self.log_end_offset()), Ordering::AcqRel);
        Ok(count)
    }

    /// True when a retention pass could find something, so that an unopened log is not opened for nothing.
    pub(super) fn may_have_old_segments(&self) -> bool {
        let phase = self.lock_any().phase;
        let has_data = self.log_end_offset() > self.log_start.load(Ordering::Acquire);
        match phase {
            Phase::Open => true,
            Phase::Closed => false,
            Phase::Unloaded(_) => {
                let config = self.config.load();
                has_data && config.cleanup_policy.delete && (config.retention_ms >= 0 || config.retention_bytes >= 0)
            }
        }
    }
}

/// The time from which a segment's age counts: its greatest timestamp, or when its file was last changed.
fn segment_age_reference(segment: &Segment, interval: u64) -> Result<i64, LogError> {
    if segment.is_empty() {
        // Compaction left nothing in it.
        return Ok(i64::MIN);
    }
    let greatest = segment.greatest_timestamp(interval, Reach::Disk)?.timestamp_ms;
    if greatest >= 0 {
        return Ok(greatest);
    }
    let path = segment.files.path(LOG);
    segment.files.log_dir.fs.modified_ms(&path).map_err(|source| segment.error("look at", source))
}

/// Renames a segment's files out of the way and has them removed later. Readers that hold it go on reading.
pub(super) fn retire_files(log_dir: &LogDir, segment: &Segment, delay_ms: i64) -> Result<(), LogError> {
    let snapshot = segment_file(&segment.files.dir, segment.base_offset(), SNAPSHOT);
    retire_paths(log_dir, segment_paths(segment).into_iter().chain([snapshot]), delay_ms)
}

/// The log file and the indexes of a segment.
pub(super) fn segment_paths(segment: &Segment) -> [PathBuf; 4] {
    SEGMENT_SUFFIXES.map(|suffix| segment.files.path(suffix))
}

/// Renames files out of the way and has them removed later; those that are not there are no error.
pub(super) fn retire_paths(
    log_dir: &LogDir,
    paths: impl IntoIterator<Item = PathBuf>,
    delay_ms: i64,
) -> Result<(), LogError> {
    for path in paths {
        let away = with_added(&path, DELETED);
        match log_dir.fs.rename(&path, &away) {
            Ok(()) => log_dir.remove_later(away, false, delay_ms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return log_dir.changed("rename", &path, Err(error)),
        }
    }
    Ok(())
}
