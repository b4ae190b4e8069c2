//! Files as a trait: the log touches the disk only through [`FileSystem`] and [`LogFile`].

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// An open file, addressed by position; appends are `write_all_at` at the end.
pub trait LogFile: Send + Sync {
    /// Reads up to `buf.len()` bytes at `position`; 0 at the end of the file.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes every slice, one after the other, at `position` (one system call where the system allows).
    fn write_all_vectored_at(&self, slices: &[io::IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Current length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Makes the data durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// The descriptor, for `sendfile`; `None` where a test stands between.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// The directory operations that the log needs.
pub trait FileSystem: Send + Sync + 'static {
    /// Opens for reading and writing; makes the file when `create`.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>>;
}
