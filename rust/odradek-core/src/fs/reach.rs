//! How far a read may reach: to the disk, or no further than the page cache.
//!
//! A thread that serves others must not wait for the disk, so it reads with [`Reach::Cache`]. Where that is not enough the
//! read fails with a [`Cold`] inside its error, which names what is missing: someone who may wait calls
//! [`Cold::warm`], then the read is tried again. Not here: who that someone is (`net::cold_reads`).

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::LogFile;

/// What is brought in around a small read: the next ones of a search or a scan are near.
const WINDOW_BYTES: u64 = 64 << 10;

/// How far a read may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only what needs no wait.
    Cache,
    /// Waits for the disk where it has to.
    Disk,
}

impl Reach {
    /// `file`, read as far as this allows.
    #[must_use]
    pub fn of(self, file: &Arc<dyn LogFile>) -> Reached<'_> {
        Reached { file, reach: self }
    }
}

/// A file whose reads don't wait, or do.
pub struct Reached<'a> {
    file: &'a Arc<dyn LogFile>,
    reach: Reach,
}

impl LogFile for Reached<'_> {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if self.reach == Reach::Disk {
            return self.file.read_at(buf, position);
        }
        self.file.read_cached_at(buf, position).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Cold { file: Arc::clone(self.file), position, len: buf.len() }.into(),
            _ => error,
        })
    }

    fn write_all_vectored_at(&self, slices: &[io::IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_all_vectored_at(slices, position)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

/// A range of a file, some of which is not in the page cache.
#[derive(Clone)]
pub struct Cold {
    /// The file.
    pub file: Arc<dyn LogFile>,
    /// First byte wanted.
    pub position: u64,
    /// How many bytes.
    pub len: usize,
}

impl Cold {
    /// What was missing, if a read failed for that.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Brings the range and what is around it into the page cache; returns when it is there.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn warm(&self) -> io::Result<()> {
        let start = self.position / WINDOW_BYTES * WINDOW_BYTES;
        let end = self.position.saturating_add(self.len as u64).max(start + WINDOW_BYTES);
        self.file.warm(start, end - start)
    }
}

impl From<Cold> for io::Error {
    fn from(cold: Cold) -> Self {
        Self::new(io::ErrorKind::WouldBlock, cold)
    }
}

impl fmt::Display for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at byte {} are not in memory", self.len, self.position)
    }
}

impl fmt::Debug for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Cold {}
