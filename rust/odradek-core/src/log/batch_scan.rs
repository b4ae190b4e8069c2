//! Walks the batches of a log file by their headers, with few and small reads. Checks no checksum: `loader` does.

use std::io;

use crate::fs::LogFile;
use crate::record::batch::{BatchHeader, HEADER_BYTES, LOG_OVERHEAD, MAGIC_V2};

/// Bytes read at once; an index interval's worth.
const CHUNK_BYTES: usize = 4096;

/// A batch's header and where the batch starts.
#[derive(Debug, Clone, Copy)]
pub struct Located {
    /// First byte of the batch in the file.
    pub position: u64,
    /// Its header.
    pub header: BatchHeader,
}

impl Located {
    /// First byte after the batch.
    #[must_use]
    pub fn end_position(&self) -> u64 {
        self.position + self.header.size() as u64
    }
}

/// True when the header can start a batch of at most `available` bytes.
#[must_use]
pub fn is_plausible(header: &BatchHeader, available: u64) -> bool {
    header.magic == MAGIC_V2
        && header.base_offset >= 0
        && header.last_offset_delta >= 0
        && header.length >= (HEADER_BYTES - LOG_OVERHEAD) as i32
        && header.size() as u64 <= available
}

/// Goes from header to header up to `end`.
pub struct BatchScanner<'a> {
    file: &'a dyn LogFile,
    position: u64,
    end: u64,
    chunk: [u8; CHUNK_BYTES],
    chunk_start: u64,
    chunk_len: usize,
}

impl<'a> BatchScanner<'a> {
    /// Starts at `position`, where a batch must start, and never looks at or after `end`.
    #[must_use]
    pub fn new(file: &'a dyn LogFile, position: u64, end: u64) -> Self {
        Self { file, position, end, chunk: [0; CHUNK_BYTES], chunk_start: 0, chunk_len: 0 }
    }

    /// Where the next batch starts, or where the scan stopped.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next whole batch; `None` at the end, or where no whole batch starts ([`Self::position`] tells which).
    pub fn next_batch(&mut self) -> io::Result<Option<Located>> {
        let available = self.end.saturating_sub(self.position);
        if available < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let in_chunk = self.position >= self.chunk_start
            && self.position + HEADER_BYTES as u64 <= self.chunk_start + self.chunk_len as u64;
        if !in_chunk {
            let want = CHUNK_BYTES.min(usize::try_from(available).unwrap_or(CHUNK_BYTES));
            self.chunk_len = self.file.read_full_at(&mut self.chunk[..want], self.position)?;
            self.chunk_start = self.position;
        }
        let from = (self.position - self.chunk_start) as usize;
        let Ok(header) = BatchHeader::parse(&self.chunk[from..self.chunk_len]) else {
            return Ok(None);
        };
        if !is_plausible(&header, available) {
            return Ok(None);
        }
        let found = Located { position: self.position, header };
        self.position = found.end_position();
        Ok(Some(found))
    }
}
