//! Records read into memory, one range of a file after the other. Ranges are named by where they start in the buffer.

use std::io;

use crate::fs::LogFile;

/// A buffer that is zeroed where it grows, and never again.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    /// All of it may be read; only the first `used` bytes mean anything.
    bytes: Vec<u8>,
    used: usize,
}

impl ReadBuffer {
    /// The bytes read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// How many; where the next range will start.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Memory held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Keeps the first `used` bytes, and the memory.
    pub fn truncate(&mut self, used: usize) {
        self.used = self.used.min(used);
    }

    /// Appends up to `len` bytes of `file`; fewer at its end.
    ///
    /// # Errors
    /// Whatever the system says; nothing is appended then.
    pub fn append(&mut self, file: &dyn LogFile, position: u64, len: usize) -> io::Result<usize> {
        let end = self.used + len;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let read = file.read_full_at(&mut self.bytes[self.used..end], position)?;
        self.used += read;
        Ok(read)
    }
}

/// Where a read may put records that are few, so that they are read once: looked through and sent from memory.
pub struct Preload<'a> {
    /// They are appended here.
    pub buffer: &'a mut ReadBuffer,
    /// Most bytes of one range.
    pub max_range: usize,
    /// Most bytes in the buffer.
    pub max_total: usize,
}

impl Preload<'_> {
    /// Most bytes that may be appended now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.max_range.min(self.max_total.saturating_sub(self.buffer.used()))
    }
}
