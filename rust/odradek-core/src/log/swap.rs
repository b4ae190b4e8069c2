//! Putting a compacted segment in the place of those it was made from, so that a crash at any point leaves the old ones
//! or the new one. Read `folder` for what a start makes of the files in between.
//!
//! ```text
//! 0…0.log.cleaned   written and synced, beside the old segments          a start removes it
//! 0…0.log.swap      renamed, names synced: from here on the new counts    a start removes the old, renames it
//! *.log.deleted     the old renamed, names synced; readers keep them      a start removes them
//! 0…0.log           the new one under its name                            done
//! ```
//! Source: Kafka `LocalLog.replaceSegments`.

use std::path::Path;
use std::sync::Arc;

use super::error::LogError;
use super::file_names::{CLEANED, SEGMENT_SUFFIXES, SNAPSHOT, SWAP, TXN_INDEX, segment_file, with_added};
use super::partition_log::PartitionLog;
use super::retention::{retire_paths, segment_paths};
use super::segment::Segment;
use super::time_index::TimeOffset;

impl PartitionLog {
    /// Replaces `old` by the segment whose files end in `.cleaned`. False when the log has changed so that they are not
    /// there any more (deleted by age, truncated): then nothing was done.
    ///
    /// # Errors
    /// I/O errors, which take the directory offline; [`LogError::Closed`].
    pub(super) fn replace_segments(
        &self,
        old: &[Arc<Segment>],
        cleaned: &Segment,
        greatest: TimeOffset,
    ) -> Result<bool, LogError> {
        let config = self.config();
        old.iter().try_for_each(|segment| segment.pin(config.index_interval_bytes))?;
        let mut writer = self.lock_open()?;
        self.log_dir.check_online()?;
        let segments = self.segments.load_full();
        let Some(at) = old.first().and_then(|first| segments.iter().position(|other| Arc::ptr_eq(first, other))) else {
            return Ok(false);
        };
        let end = at + old.len();
        let whole = end < segments.len() && old.iter().zip(&segments[at..end]).all(|(a, b)| Arc::ptr_eq(a, b));
        if !whole {
            return Ok(false);
        }
        let base = cleaned.base_offset();
        let has_txns = cleaned.txns.is_present();
        let suffixes = SEGMENT_SUFFIXES.into_iter().filter(|suffix| has_txns || *suffix != TXN_INDEX);
        for suffix in suffixes.clone() {
            let path = segment_file(&self.dir, base, suffix);
            self.rename(&with_added(&path, CLEANED), &with_added(&path, SWAP))?;
        }
        self.sync_names()?;
        let snapshots = old[1..].iter().map(|segment| segment_file(&self.dir, segment.base_offset(), SNAPSHOT));
        let paths = old.iter().flat_map(|segment| segment_paths(segment)).chain(snapshots);
        retire_paths(&self.log_dir, paths, config.file_delete_delay_ms)?;
        self.sync_names()?;
        for suffix in suffixes {
            let path = segment_file(&self.dir, base, suffix);
            self.rename(&with_added(&path, SWAP), &path)?;
        }
        self.sync_names()?;
        let replacement = Segment::new(self.segment_files(base), cleaned.len(), has_txns);
        replacement.mark_checked(greatest);
        let mut renewed = segments[..at].to_vec();
        renewed.push(Arc::new(replacement));
        renewed.extend_from_slice(&segments[end..]);
        self.segments.store(Arc::new(renewed));
        writer.dir_dirty = false;
        Ok(true)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        self.log_dir.changed("rename", from, self.log_dir.fs.rename(from, to))
    }

    fn sync_names(&self) -> Result<(), LogError> {
        self.log_dir.changed("sync", &self.dir, self.log_dir.fs.sync_dir(&self.dir))
    }
}
