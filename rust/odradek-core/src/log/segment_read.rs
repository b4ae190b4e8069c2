//! Batches of one segment: found by offset, up to a length, and loaded whole when they are few.

use super::batch_scan::{BatchScanner, Located, is_plausible};
use super::error::LogError;
use super::read_buffer::Preload;
use super::segment::Segment;
use crate::fs::Reach;
use crate::record::batch::{BatchHeader, HEADER_BYTES};

/// What a reader asks a segment for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The first record's offset.
    pub offset: i64,
    /// Most bytes.
    pub max_bytes: usize,
    /// The first batch in any case, whatever its size.
    pub at_least_one: bool,
    /// No batch that starts at or after this offset.
    pub bound_offset: i64,
    /// How far its reads reach.
    pub reach: Reach,
}

/// Whole batches that stand one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First byte of the first one in the file.
    pub position: u64,
    /// First byte after the last one.
    pub end_position: u64,
    /// The offset after the last one; where batches are missing behind it, up to the next one's.
    pub end_offset: i64,
}

/// What came of loading.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded {
    /// These are in the buffer, from `at` on.
    Run { run: Run, at: usize },
    /// Nothing that the reader may have.
    Nothing,
    /// More than may be loaded.
    TooMuch,
    /// No batch with the offset is there.
    Elsewhere,
}

impl Segment {
    /// The first batch whose last offset is at or after `offset`, among the first `limit` bytes.
    pub fn find(
        &self,
        offset: i64,
        limit: u64,
        index_interval_bytes: u64,
        reach: Reach,
    ) -> Result<Option<Located>, LogError> {
        self.prepare(index_interval_bytes, reach)?;
        if limit == 0 {
            return Ok(None);
        }
        if let Some(found) = self.find_by_cursor(offset, limit, reach)? {
            return Ok(Some(found));
        }
        let start = self
            .offsets
            .lookup(&self.files, offset, reach)
            .map_err(|source| self.error("read the index of", source))?;
        let file = self.file()?;
        let file = reach.of(&file);
        let mut scanner = BatchScanner::new(&file, start.position, limit);
        while let Some(found) = scanner.next_batch().map_err(|source| self.error("read", source))? {
            if found.header.last_offset() >= offset {
                return Ok(Some(found));
            }
        }
        if scanner.position() < limit { Err(self.corrupt_at(scanner.position())) } else { Ok(None) }
    }

    fn find_by_cursor(&self, offset: i64, limit: u64, reach: Reach) -> Result<Option<Located>, LogError> {
        let Some(position) = self.cursors.position(offset) else { return Ok(None) };
        let file = self.file()?;
        let found = BatchScanner::new(&reach.of(&file), position, limit).next_batch();
        let found = found.map_err(|source| self.error("read", source))?;
        Ok(found.filter(|found| found.header.base_offset <= offset && offset <= found.header.last_offset()))
    }

    /// From `first` as many batches as end at or before `limit`, at least that one.
    pub fn run_within(&self, first: &Located, limit: u64, reach: Reach) -> Result<Run, LogError> {
        let entry = self
            .offsets
            .lookup_position(&self.files, limit, reach)
            .map_err(|source| self.error("read the index of", source))?;
        let mut end_position = first.end_position().max(entry.position);
        let mut end_offset = (end_position == first.end_position()).then(|| after(&first.header));
        let file = self.file()?;
        let file = reach.of(&file);
        let mut scanner = BatchScanner::new(&file, end_position, self.len());
        while let Some(found) = scanner.next_batch().map_err(|source| self.error("read", source))? {
            if found.end_position() > limit {
                end_offset = end_offset.or(Some(found.header.base_offset));
                break;
            }
            (end_position, end_offset) = (found.end_position(), Some(after(&found.header)));
        }
        let end_offset = end_offset.ok_or_else(|| self.corrupt_at(end_position))?;
        Ok(Run { position: first.position, end_position, end_offset })
    }

    /// Reads what is wanted from `position` on in one go, and takes the whole batches of it. `guessed`: nobody knows
    /// whether the batch there has the offset.
    pub fn load(
        &self,
        wanted: &Wanted,
        position: u64,
        len: u64,
        guessed: bool,
        into: &mut Preload<'_>,
    ) -> Result<Loaded, LogError> {
        let available = len.saturating_sub(position);
        let most = wanted.max_bytes.max(HEADER_BYTES) as u64;
        let count = available.min(most) as usize;
        if count > into.room() {
            return Ok(Loaded::TooMuch);
        }
        let at = into.buffer.used();
        let loaded = self.load_at(wanted, position, (available, count), guessed, into);
        if !matches!(loaded, Ok(Loaded::Run { .. })) {
            into.buffer.truncate(at);
        }
        loaded
    }

    fn load_at(
        &self,
        wanted: &Wanted,
        position: u64,
        (available, count): (u64, usize),
        guessed: bool,
        into: &mut Preload<'_>,
    ) -> Result<Loaded, LogError> {
        let file = self.file()?;
        let file = wanted.reach.of(&file);
        let (at, room) = (into.buffer.used(), into.room());
        let read = |source| self.error("read", source);
        into.buffer.append(&file, position, count).map_err(read)?;
        let first = match BatchHeader::parse(&into.buffer.bytes()[at..]) {
            Ok(first) if is_plausible(&first, available) => first,
            _ => return Ok(Loaded::Elsewhere),
        };
        if first.last_offset() < wanted.offset || (guessed && first.base_offset > wanted.offset) {
            return Ok(Loaded::Elsewhere);
        }
        if first.base_offset >= wanted.bound_offset || (first.size() > wanted.max_bytes && !wanted.at_least_one) {
            return Ok(Loaded::Nothing);
        }
        let missing = first.size().saturating_sub(into.buffer.used() - at);
        if missing > 0 {
            if first.size() > room {
                return Ok(Loaded::TooMuch);
            }
            let from = position + (into.buffer.used() - at) as u64;
            if into.buffer.append(&file, from, missing).map_err(read)? < missing {
                return Ok(Loaded::Elsewhere);
            }
        }
        let mut run = Run { position, end_position: position + first.size() as u64, end_offset: after(&first) };
        while let Some(header) = next_whole(&into.buffer.bytes()[at..], &run) {
            if header.base_offset >= wanted.bound_offset {
                break;
            }
            run.end_position += header.size() as u64;
            run.end_offset = after(&header);
        }
        into.buffer.truncate(at + (run.end_position - position) as usize);
        Ok(Loaded::Run { run, at })
    }
}

/// The offset after a batch.
fn after(header: &BatchHeader) -> i64 {
    header.last_offset().saturating_add(1)
}

/// The batch that follows `run`, if `bytes`, which begin where the run does, have all of it.
fn next_whole(bytes: &[u8], run: &Run) -> Option<BatchHeader> {
    let rest = bytes.get((run.end_position - run.position) as usize..)?;
    BatchHeader::parse(rest).ok().filter(|header| is_plausible(header, rest.len() as u64))
}
