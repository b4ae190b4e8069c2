//! A file of fixed-size entries that only grows: what the offset, time and transaction indexes have in common.
//!
//! New entries wait in memory and are written a block at a time; the youngest stay in memory as the place where nearly
//! every lookup ends (consumers read the tail). Older ones are found on disk (`entry_pages`), so memory does not grow with
//! data. Entries that a crash loses are rebuilt from the log (`loader`).

use std::io;

use parking_lot::Mutex;

use super::entry_pages::EntryPages;
use super::file_handle::{FileHandle, SegmentFiles};
use crate::fs::{LogFile, Reach};

/// Entries kept in memory at most; half of them are given up when it is reached.
const RECENT_ENTRIES: usize = 512;

/// Entries of `N` bytes each.
pub struct EntryFile<const N: usize> {
    handle: FileHandle,
    entries: Mutex<Option<Entries<N>>>,
}

struct Entries<const N: usize> {
    /// Entries written to the file.
    on_disk: u64,
    /// Index of the first entry of `recent`.
    recent_start: u64,
    /// The youngest entries; those below `on_disk` are on disk too.
    recent: Vec<[u8; N]>,
    /// The way to older ones.
    pages: EntryPages<N>,
}

impl<const N: usize> Entries<N> {
    fn count(&self) -> u64 {
        self.recent_start + self.recent.len() as u64
    }

    fn get(&self, file: &Access<'_>, index: u64, reach: Reach) -> io::Result<[u8; N]> {
        if let Some(at) = index.checked_sub(self.recent_start) {
            return self.recent.get(at as usize).copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(entry) = self.pages.get(index) {
            return Ok(entry);
        }
        let mut entry = [0; N];
        reach.of(&file.0.get(file.1, false)?).read_exact_at(&mut entry, index * N as u64)?;
        Ok(entry)
    }

    fn flush(&mut self, file: &Access<'_>) -> io::Result<()> {
        let waiting = &self.recent[(self.on_disk - self.recent_start) as usize..];
        if waiting.is_empty() {
            return Ok(());
        }
        file.0.get(file.1, true)?.write_all_at(waiting.as_flattened(), self.on_disk * N as u64)?;
        self.on_disk = self.count();
        Ok(())
    }
}

/// The handle and where its file is.
struct Access<'a>(&'a FileHandle, &'a SegmentFiles);

impl<const N: usize> EntryFile<N> {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(suffix: &'static str) -> Self {
        Self { handle: FileHandle::new(suffix), entries: Mutex::new(None) }
    }

    fn with<T>(
        &self,
        files: &SegmentFiles,
        action: impl FnOnce(&mut Entries<N>, &Access<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let access = Access(&self.handle, files);
        let mut slot = self.entries.lock();
        let entries = match &mut *slot {
            Some(entries) => entries,
            None => {
                let on_disk = match self.handle.get(files, false) {
                    Ok(file) => file.len()? / N as u64,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                    Err(error) => return Err(error),
                };
                slot.insert(Entries {
                    on_disk,
                    recent_start: on_disk,
                    recent: Vec::new(),
                    pages: EntryPages::default(),
                })
            }
        };
        action(entries, &access)
    }

    /// True when there is a file, whatever is in it.
    pub fn exists(&self, files: &SegmentFiles) -> io::Result<bool> {
        match self.handle.get(files, false) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Number of entries.
    pub fn count(&self, files: &SegmentFiles) -> io::Result<u64> {
        self.with(files, |entries, _| Ok(entries.count()))
    }

    /// The youngest entry.
    pub fn last(&self, files: &SegmentFiles, reach: Reach) -> io::Result<Option<[u8; N]>> {
        self.with(files, |entries, file| match entries.count() {
            0 => Ok(None),
            count => entries.get(file, count - 1, reach).map(Some),
        })
    }

    /// Adds an entry; it reaches the file with the next block, [`Self::flush`] or [`Self::sync`].
    pub fn append(&self, files: &SegmentFiles, entry: [u8; N]) -> io::Result<()> {
        self.with(files, |entries, file| {
            if entries.recent.len() >= RECENT_ENTRIES {
                entries.flush(file)?;
                entries.recent.drain(..RECENT_ENTRIES / 2);
                entries.recent_start += (RECENT_ENTRIES / 2) as u64;
            }
            entries.recent.push(entry);
            Ok(())
        })
    }

    /// Number of leading entries for which `before` holds; it must hold for a prefix only.
    pub fn partition_point(
        &self,
        files: &SegmentFiles,
        reach: Reach,
        before: impl Fn(&[u8; N]) -> bool,
    ) -> io::Result<u64> {
        self.with(files, |entries, file| {
            if entries.recent.first().is_some_and(&before) || entries.recent_start == 0 {
                return Ok(entries.recent_start + entries.recent.partition_point(before) as u64);
            }
            let file = file.0.get(file.1, false)?;
            entries.pages.partition_point(&reach.of(&file), entries.recent_start, before)
        })
    }

    /// The entry at `index`.
    pub fn get(&self, files: &SegmentFiles, index: u64, reach: Reach) -> io::Result<[u8; N]> {
        self.with(files, |entries, file| entries.get(file, index, reach))
    }

    /// The last entry for which `before` holds.
    pub fn floor(
        &self,
        files: &SegmentFiles,
        reach: Reach,
        before: impl Fn(&[u8; N]) -> bool,
    ) -> io::Result<Option<[u8; N]>> {
        match self.partition_point(files, reach, before)? {
            0 => Ok(None),
            count => self.get(files, count - 1, reach).map(Some),
        }
    }

    /// Keeps the first `count` entries.
    pub fn truncate(&self, files: &SegmentFiles, count: u64) -> io::Result<()> {
        self.with(files, |entries, file| {
            let stray_bytes = count == 0 && self.exists(files)? && !file.0.get(file.1, false)?.is_empty()?;
            if count < entries.on_disk || stray_bytes {
                file.0.get(file.1, true)?.set_len(count.min(entries.on_disk) * N as u64)?;
                entries.on_disk = count.min(entries.on_disk);
                entries.pages.forget();
            }
            if count <= entries.recent_start {
                entries.recent.clear();
                entries.recent_start = count;
            } else {
                entries.recent.truncate((count - entries.recent_start) as usize);
            }
            Ok(())
        })
    }

    /// Opens the file for good and takes note of its length: soon another one will have its name.
    pub fn pin(&self, files: &SegmentFiles) -> io::Result<()> {
        self.handle.pin(files)?;
        self.count(files).map(drop)
    }

    /// Makes an empty file if there is none.
    pub fn make_file(&self, files: &SegmentFiles) -> io::Result<()> {
        self.handle.get(files, true).map(drop)
    }

    /// Writes what waits in memory.
    pub fn flush(&self, files: &SegmentFiles) -> io::Result<()> {
        self.with(files, |entries, file| entries.flush(file))
    }

    /// Writes what waits in memory and makes the file durable, if there is one.
    pub fn sync(&self, files: &SegmentFiles) -> io::Result<()> {
        self.flush(files)?;
        if self.exists(files)? { self.handle.get(files, false)?.sync() } else { Ok(()) }
    }

    /// Writes what waits, and when nobody used the index since the last call gives up its memory and descriptor.
    pub fn release_if_idle(&self, files: &SegmentFiles) -> io::Result<()> {
        let mut slot = self.entries.lock();
        if let Some(entries) = &mut *slot {
            let waiting = entries.count() > entries.on_disk;
            entries.flush(&Access(&self.handle, files))?;
            if self.handle.release_if_idle() && !waiting {
                *slot = None;
            }
        }
        Ok(())
    }
}
