//! One segment: a log file and its three indexes. The last segment of a partition is active (appended to under the
//! partition's lock), the others are closed and never change but by compaction, which replaces them.
//!
//! Not here: finding and loading batches (`segment_read`), which segment an offset is in (`read`), what happens after a
//! crash (`loader`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::batch_scan::BatchScanner;
use super::cursors::Cursors;
use super::error::LogError;
use super::file_handle::{FileHandle, SegmentFiles};
use super::file_names::LOG;
use super::log_dir::io_error;
use super::offset_index::{OffsetIndex, OffsetPosition};
use super::time_index::{TimeIndex, TimeOffset};
use super::txn_index::TxnIndex;
use crate::fs::{LogFile, Reach};
use crate::record::batch::BatchHeader;

/// No batch has a timestamp yet.
pub const NO_TIME: TimeOffset = TimeOffset { timestamp_ms: -1, offset: -1 };

/// A segment. Readers share it; files open on first use.
pub struct Segment {
    /// Where its files are.
    pub files: SegmentFiles,
    /// Offset to position.
    pub offsets: OffsetIndex,
    /// Timestamp to offset.
    pub times: TimeIndex,
    /// Aborted transactions.
    pub txns: TxnIndex,
    /// Where its readers stopped.
    pub cursors: Cursors,
    log: FileHandle,
    len: AtomicU64,
    /// The greatest timestamp and the last offset of the first batch that has it; `None` = not looked up yet.
    greatest: Mutex<Option<TimeOffset>>,
    indexes_checked: AtomicBool,
    checking: Mutex<()>,
}

impl Segment {
    /// A segment whose log file has `len` bytes; opens nothing.
    #[must_use]
    pub fn new(files: SegmentFiles, len: u64, has_txn_index: bool) -> Self {
        let fresh = len == 0;
        Self {
            files,
            offsets: OffsetIndex::new(),
            times: TimeIndex::new(),
            txns: TxnIndex::new(has_txn_index),
            cursors: Cursors::default(),
            log: FileHandle::new(LOG),
            len: AtomicU64::new(len),
            greatest: Mutex::new(fresh.then_some(NO_TIME)),
            indexes_checked: AtomicBool::new(fresh),
            checking: Mutex::new(()),
        }
    }

    /// Offset that names the segment; its first record is at or after it.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        self.files.base_offset
    }

    /// Bytes of whole batches in the log file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// True without a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn set_len(&self, len: u64) {
        self.len.store(len, Ordering::Release);
    }

    /// The log file, for reading.
    pub fn file(&self) -> Result<Arc<dyn LogFile>, LogError> {
        self.log.get(&self.files, false).map_err(|source| self.error("open", source))
    }

    /// The log file, made when missing.
    pub(super) fn file_to_write(&self) -> Result<Arc<dyn LogFile>, LogError> {
        let result = self.log.get(&self.files, true);
        self.files.changed("open", LOG, result)
    }

    /// An error that names this segment's log file.
    pub fn error(&self, action: &'static str, source: io::Error) -> LogError {
        io_error(action, &self.files.path(LOG), source)
    }

    fn changed<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T, LogError> {
        self.files.changed(action, LOG, result)
    }

    /// Records that the indexes are known to agree with the log.
    pub(super) fn mark_checked(&self, greatest: TimeOffset) {
        *self.greatest.lock() = Some(greatest);
        self.indexes_checked.store(true, Ordering::Release);
    }

    /// Makes sure that the indexes can be used: looks at their ends once, and rebuilds them from the log if they are
    /// missing or contradict its length, which always reaches to the disk.
    pub fn prepare(&self, index_interval_bytes: u64, reach: Reach) -> Result<(), LogError> {
        if self.indexes_checked.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one_at_a_time = self.checking.lock();
        if self.indexes_checked.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.indexed_greatest(reach).map_err(|source| self.error("read the index of", source))? {
            Some(greatest) => self.mark_checked(greatest),
            None => {
                let mut tracker = IndexTracker::default();
                self.reset_indexes()?;
                self.index_from(0, &mut tracker, index_interval_bytes)?;
                self.close_indexes(tracker.greatest)?;
                self.mark_checked(tracker.greatest);
            }
        }
        Ok(())
    }

    /// The greatest timestamp that the indexes tell, if they fit the log.
    pub(super) fn indexed_greatest(&self, reach: Reach) -> io::Result<Option<TimeOffset>> {
        if !self.offsets.entries.exists(&self.files)? || !self.times.entries.exists(&self.files)? {
            return Ok(None);
        }
        let last = self.offsets.last(&self.files, reach)?;
        let fits = last.is_none_or(|last| last.position > 0 && last.position < self.len());
        // A closed segment's time index has at least its greatest timestamp; without one it proves nothing.
        let greatest = self.times.last(&self.files, reach)?.filter(|time| time.timestamp_ms > 0);
        Ok(greatest.filter(|_| fits))
    }

    pub(super) fn reset_indexes(&self) -> Result<(), LogError> {
        self.changed("truncate the index of", self.offsets.entries.truncate(&self.files, 0))?;
        self.changed("truncate the time index of", self.times.entries.truncate(&self.files, 0))
    }

    /// Adds index entries for the batches from `position` to the end, trusting their checksums.
    pub(super) fn index_from(
        &self,
        position: u64,
        tracker: &mut IndexTracker,
        index_interval_bytes: u64,
    ) -> Result<Option<BatchHeader>, LogError> {
        if self.is_empty() {
            return Ok(None);
        }
        let file = self.file()?;
        let mut scanner = BatchScanner::new(&*file, position, self.len());
        let mut last = None;
        while let Some(found) = scanner.next_batch().map_err(|source| self.error("read", source))? {
            self.note_batch(tracker, found.position, &found.header, index_interval_bytes)?;
            last = Some(found.header);
        }
        if scanner.position() == self.len() { Ok(last) } else { Err(self.corrupt_at(scanner.position())) }
    }

    pub(super) fn corrupt_at(&self, position: u64) -> LogError {
        LogError::Corrupt(format!("{}: no record batch at byte {position}", self.files.path(LOG).display()))
    }

    /// Index entries for one batch that was written at `position`.
    pub(super) fn note_batch(
        &self,
        tracker: &mut IndexTracker,
        position: u64,
        header: &BatchHeader,
        index_interval_bytes: u64,
    ) -> Result<(), LogError> {
        if header.max_timestamp > tracker.greatest.timestamp_ms {
            tracker.greatest = TimeOffset { timestamp_ms: header.max_timestamp, offset: header.last_offset() };
        }
        if tracker.bytes_since_entry > index_interval_bytes {
            let entry = OffsetPosition { offset: header.last_offset(), position };
            self.changed("write the index of", self.offsets.append(&self.files, entry))?;
            self.changed("write the time index of", self.times.maybe_append(&self.files, tracker.greatest))?;
            tracker.bytes_since_entry = 0;
        }
        tracker.bytes_since_entry += header.size() as u64;
        Ok(())
    }

    /// Publishes the greatest timestamp after an append.
    pub(super) fn set_greatest(&self, greatest: TimeOffset) {
        *self.greatest.lock() = Some(greatest);
    }

    /// The greatest timestamp and the last offset of its batch; [`NO_TIME`] when no batch has one.
    pub fn greatest_timestamp(&self, index_interval_bytes: u64, reach: Reach) -> Result<TimeOffset, LogError> {
        self.prepare(index_interval_bytes, reach)?;
        Ok(self.greatest.lock().unwrap_or(NO_TIME))
    }

    /// Writes the indexes out with the final time entry: the segment is no longer active.
    pub(super) fn close_indexes(&self, greatest: TimeOffset) -> Result<(), LogError> {
        let files = &self.files;
        if greatest.timestamp_ms >= 0 {
            self.changed("write the time index of", self.times.maybe_append(files, greatest))?;
        }
        for result in [self.offsets.entries.flush(files), self.times.entries.flush(files)] {
            self.changed("write the indexes of", result)?;
        }
        // Kafka expects both files, be they empty.
        self.changed("make the index of", self.offsets.entries.make_file(files))?;
        self.changed("make the time index of", self.times.entries.make_file(files))?;
        Ok(())
    }

    /// Makes the log file and its indexes durable.
    pub fn sync(&self) -> Result<(), LogError> {
        if self.is_empty() {
            return Ok(());
        }
        let log = self.log.get(&self.files, false).and_then(|file| file.sync());
        self.changed("sync", log)?;
        self.changed("sync the index of", self.offsets.entries.sync(&self.files))?;
        self.changed("sync the time index of", self.times.entries.sync(&self.files))?;
        self.changed("sync the transaction index of", self.txns.sync(&self.files))
    }

    /// Closes files that nobody used since the last call and writes out waiting index entries.
    pub fn release_if_idle(&self) -> Result<(), LogError> {
        self.log.release_if_idle();
        for result in [
            self.offsets.entries.release_if_idle(&self.files),
            self.times.entries.release_if_idle(&self.files),
            self.txns.release_if_idle(&self.files),
        ] {
            self.changed("write the indexes of", result)?;
        }
        Ok(())
    }

    /// Opens all files for good: they are about to be renamed, and others get their names. Readers that hold this
    /// segment go on with what it was.
    pub(super) fn pin(&self, index_interval_bytes: u64) -> Result<(), LogError> {
        self.prepare(index_interval_bytes, Reach::Disk)?;
        let files = &self.files;
        self.log.pin(files).map_err(|source| self.error("open", source))?;
        for result in [self.offsets.entries.pin(files), self.times.entries.pin(files), self.txns.pin(files)] {
            result.map_err(|source| self.error("open the indexes of", source))?;
        }
        Ok(())
    }

    /// Closes the log file now.
    pub fn release(&self) {
        self.log.release();
    }
}

/// What the next index entry depends on, carried from batch to batch.
#[derive(Debug, Clone, Copy)]
pub struct IndexTracker {
    /// Log bytes since the last entry.
    pub bytes_since_entry: u64,
    /// Greatest timestamp so far.
    pub greatest: TimeOffset,
}

impl Default for IndexTracker {
    fn default() -> Self {
        Self { bytes_since_entry: 0, greatest: NO_TIME }
    }
}
