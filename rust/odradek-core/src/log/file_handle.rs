//! A file that is opened when first needed and closed again when nobody has used it for a while, so that thousands of
//! idle partitions hold no descriptors.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::error::LogError;
use super::file_names::{DELETED, segment_file, with_added};
use super::log_dir::LogDir;
use crate::fs::LogFile;

/// Where the files of one segment are.
#[derive(Clone)]
pub struct SegmentFiles {
    /// The partition's folder.
    pub dir: Arc<Path>,
    /// Base offset, which names the files.
    pub base_offset: i64,
    /// File system and clock.
    pub log_dir: Arc<LogDir>,
    /// What follows the names: nothing, or `.cleaned` while the cleaner writes.
    pub added: &'static str,
}

impl SegmentFiles {
    /// Path of the file with this suffix.
    #[must_use]
    pub fn path(&self, suffix: &str) -> PathBuf {
        let path = segment_file(&self.dir, self.base_offset, suffix);
        if self.added.is_empty() { path } else { with_added(&path, self.added) }
    }

    /// As [`LogDir::changed`] for the file with this suffix, whose name is made only for an error.
    pub fn changed<T>(&self, action: &'static str, suffix: &'static str, result: io::Result<T>) -> Result<T, LogError> {
        result.or_else(|source| self.log_dir.changed(action, &self.path(suffix), Err(source)))
    }
}

/// One lazily opened file of a segment.
pub struct FileHandle {
    suffix: &'static str,
    open: Mutex<Option<Arc<dyn LogFile>>>,
    used: AtomicBool,
    pinned: AtomicBool,
}

impl FileHandle {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(suffix: &'static str) -> Self {
        Self { suffix, open: Mutex::new(None), used: AtomicBool::new(false), pinned: AtomicBool::new(false) }
    }

    /// The open file. A reader that still holds a segment which was just retired finds it under its `.deleted` name.
    ///
    /// # Errors
    /// `NotFound` when it is missing and `create` is false; whatever the system says.
    pub fn get(&self, files: &SegmentFiles, create: bool) -> io::Result<Arc<dyn LogFile>> {
        self.used.store(true, Ordering::Relaxed);
        let mut open = self.open.lock();
        if let Some(file) = &*open {
            return Ok(Arc::clone(file));
        }
        let path = files.path(self.suffix);
        let fs = &files.log_dir.fs;
        let file = match fs.open(&path, create) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => {
                fs.open(&with_added(&path, DELETED), false).map_err(|_| error)?
            }
            other => other?,
        };
        *open = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Opens the file and keeps it open: soon another one will have its name. A missing file stays missing.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn pin(&self, files: &SegmentFiles) -> io::Result<()> {
        // Before it is opened, so that nobody closes it in between; `release_if_idle` looks under the lock.
        self.pinned.store(true, Ordering::Relaxed);
        drop(self.open.lock());
        match self.get(files, false) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Closes the file unless it was used since the last call; those who hold it keep it.
    pub fn release_if_idle(&self) -> bool {
        let mut open = self.open.lock();
        let idle = !self.used.swap(false, Ordering::Relaxed) && !self.pinned.load(Ordering::Relaxed);
        if idle {
            *open = None;
        }
        idle
    }

    /// Closes the file now.
    pub fn release(&self) {
        *self.open.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::fs::{DiskFileSystem, FileSystem};

    #[test]
    fn a_pinned_file_stays_the_one_it_was_when_another_gets_its_name() {
        let temp = tempfile::tempdir().expect("a folder");
        let fs = Arc::new(DiskFileSystem);
        let log_dir = LogDir::new(temp.path().to_path_buf(), fs.clone(), Arc::new(ManualClock::at(0)), 0);
        let files = SegmentFiles { dir: temp.path().into(), base_offset: 0, log_dir: Arc::new(log_dir), added: "" };
        let (pinned, idle) = (FileHandle::new("log"), FileHandle::new("log"));
        pinned.get(&files, true).and_then(|file| file.write_all_at(b"old", 0)).expect("written");
        idle.get(&files, false).expect("open");
        pinned.pin(&files).expect("pinned");
        for handle in [&pinned, &idle] {
            handle.release_if_idle();
            handle.release_if_idle();
        }
        fs.rename(&files.path("log"), &with_added(&files.path("log"), DELETED)).expect("renamed");
        fs.open(&files.path("log"), true).and_then(|file| file.write_all_at(b"renewed", 0)).expect("written");
        let len = |handle: &FileHandle| handle.get(&files, false).and_then(|file| file.len()).expect("its length");
        assert_eq!((len(&pinned), len(&idle)), (3, 7));
    }
}
