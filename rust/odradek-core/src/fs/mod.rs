//! Files as a trait: the log touches the disk only through [`FileSystem`] and [`LogFile`].
//!
//! what a failed write means is decided in `log::log_dir`.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub mod disk;
#[cfg(feature = "faulty-fs")]
pub mod faulty;
pub mod reach;
#[cfg(feature = "faulty-fs")]
pub mod slow_disk;

pub use disk::DiskFileSystem;
pub use reach::{Cold, Reach};

/// What is read at a time to warm a file that has no better way.
const WARMED_BYTES: usize = 64 << 10;

/// An open file, addressed by position; appends are `write_all_at` at the end.
pub trait LogFile: Send + Sync {
    /// Reads up to `buf.len()` bytes at `position`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// As [`Self::read_at`], but only what is in the page cache: fewer bytes up to what is not, and where nothing is
    /// `WouldBlock`. A file system that can't tell waits.
    fn read_cached_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.read_at(buf, position)
    }
    /// Brings `len` bytes from `position` on, as far as the file has them, into the page cache and waits until they are.
    fn warm(&self, position: u64, len: u64) -> io::Result<()> {
        let mut bytes = vec![0; WARMED_BYTES];
        let (mut position, end) = (position, position.saturating_add(len));
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(WARMED_BYTES).min(WARMED_BYTES);
            match self.read_at(&mut bytes[..wanted], position)? {
                0 => break,
                read => position += read as u64,
            }
        }
        Ok(())
    }
    /// Writes every slice, one after the other, at `position` (one system call where the system allows).
    fn write_all_vectored_at(&self, slices: &[io::IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Current length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True for a file of no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes the data durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// The descriptor, for `sendfile`; `None` where a test stands between.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Writes `bytes` at `position`.
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_vectored_at(&[io::IoSlice::new(bytes)], position)
    }

    /// Fills `buf` from `position`, or says how far it came before the end of the file.
    fn read_full_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], position + done as u64)? {
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }

    /// Reads exactly `buf.len()` bytes, else `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        if self.read_full_at(buf, position)? == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without the folder.
    pub name: String,
    /// True for a folder.
    pub is_dir: bool,
}

/// Held as long as the lock is wanted.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// The directory operations that the log needs.
pub trait FileSystem: Send + Sync + 'static {
    /// Opens for reading and writing; makes the file when `create`.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>>;
    /// Makes one folder whose parent exists; `AlreadyExists` when it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and its parents; no error when it is there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Entries of a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Renames, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything durable that was written to the file system `dir` lies on: one call in place of thousands.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// Length of a file in bytes, without opening it.
    fn file_len(&self, path: &Path) -> io::Result<u64>;
    /// Last change of a file, ms since the epoch.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;
    /// Takes an exclusive lock on a file (made when missing); `None` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>>;

    /// The whole of a small file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, false)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = vec![0; len];
        let read = file.read_full_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces a small file so that a crash leaves the old or the new one, never a mixture: temporary file, rename,
    /// and with `durable` an fsync of the file and of its folder.
    fn write_atomic(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = self.open(&temporary, true)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        if durable {
            file.sync()?;
        }
        drop(file);
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(dir) if durable => self.sync_dir(dir),
            _ => Ok(()),
        }
    }
}

/// Fills `buf` with random bytes of the operating system (ids in `meta.properties`).
pub fn random_bytes(buf: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(buf)
}

/// Raises this process's limit of open files to the most it may have; best effort, as the log also works within little.
pub fn raise_open_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
