//! The operating system's files, through rustix and std.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use rustix::fs::{Advice, FlockOperation, fadvise, fdatasync, flock, sendfile, syncfs};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, pwritev};

use super::{DirEntry, FileSystem, LockGuard, LogFile};

/// Slices that one `pwritev` takes (Linux `IOV_MAX`).
const MAX_SLICES: usize = 1024;

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct DiskFileSystem;

/// Most that is moved by one call that warms a file.
const WARMED_BYTES: u64 = 1 << 20;

struct DiskFile {
    file: File,
    /// Its file system refused a read that does not wait; tmpfs does, which never makes one wait.
    always_waits: AtomicBool,
}

impl LogFile for DiskFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match pread(&self.file, &mut *buf, position) {
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn read_cached_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if self.always_waits.load(Ordering::Relaxed) {
            return self.read_at(buf, position);
        }
        loop {
            match preadv2(&self.file, &mut [IoSliceMut::new(buf)], position, ReadWriteFlags::NOWAIT) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    self.always_waits.store(true, Ordering::Relaxed);
                    return self.read_at(buf, position);
                }
                // The end of the file, or Linux 5.9 and 5.10, which say 0 for what they would have to wait for.
                Ok(0) => return self.read_at(buf, position),
                other => return Ok(other?),
            }
        }
    }

    fn warm(&self, position: u64, len: u64) -> io::Result<()> {
        let Some(wanted) = NonZeroU64::new(len) else { return Ok(()) };
        // All of it is asked of the disk at once; best effort, as the next step asks again and waits.
        let _ = fadvise(&self.file, position, Some(wanted), Advice::WillNeed);
        // Waits for the pages without copying them.
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        let (mut position, end) = (position, position.saturating_add(len));
        while position < end {
            let count = usize::try_from((end - position).min(WARMED_BYTES)).unwrap_or(usize::MAX);
            match sendfile(&nowhere, &self.file, Some(&mut position), count) {
                Err(Errno::INTR) => {}
                Ok(0) => break,
                other => drop(other?),
            }
        }
        Ok(())
    }

    fn write_all_vectored_at(&self, slices: &[IoSlice<'_>], mut position: u64) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        // The common case: one call takes everything, and no slice is touched.
        let first = match pwritev(&self.file, &slices[..slices.len().min(MAX_SLICES)], position) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        if first == total {
            return Ok(());
        }
        let mut rest: Vec<IoSlice<'_>> = slices.to_vec();
        let mut rest = rest.as_mut_slice();
        IoSlice::advance_slices(&mut rest, first);
        position += first as u64;
        let mut left = total - first;
        while left > 0 {
            let count = rest.len().min(MAX_SLICES);
            let written = match pwritev(&self.file, &rest[..count], position) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
            position += written as u64;
            left -= written;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

impl FileSystem for DiskFileSystem {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Arc::new(DiskFile { file, always_waits: AtomicBool::new(false) }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // Names that are not UTF-8 are none of Kafka's.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        Ok(syncfs(File::open(dir)?)?)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let since = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
