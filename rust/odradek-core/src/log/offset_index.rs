//! `.index`: from an offset to a place in the log file, sparse.
//!
//! ```text
//! offset size field
//!      0    4 last offset of a batch, less the segment's base offset
//!      4    4 position of that batch in the log file
//! ```
//! Big endian, both columns strictly increasing. An entry is made for the first batch after each `index.interval.bytes`.
//! It names the batch's *last* offset, so that the batch at the position never lies wholly after the offset looked up.
//! Not trusted further than the log: `segment` rebuilds one that is missing or contradicts the log's length.
//! Source: Kafka `OffsetIndex`.

use std::io;

use super::entry_file::EntryFile;
use super::file_handle::SegmentFiles;
use super::file_names::OFFSET_INDEX;
use crate::fs::Reach;

/// Bytes an entry.
pub const ENTRY_BYTES: usize = 8;

/// An entry with its absolute offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Last offset of the batch.
    pub offset: i64,
    /// Where the batch starts in the log file.
    pub position: u64,
}

/// The offset index of one segment. Thread-safe; appended to under the partition's append lock only.
pub struct OffsetIndex {
    /// The entries.
    pub entries: EntryFile<ENTRY_BYTES>,
}

fn split(entry: &[u8; ENTRY_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *entry;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

impl OffsetIndex {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: EntryFile::new(OFFSET_INDEX) }
    }

    /// Adds an entry; `offset` must be within 2^31 of the base offset (the roll rule sees to it).
    pub fn append(&self, files: &SegmentFiles, entry: OffsetPosition) -> io::Result<()> {
        let relative = entry.offset - files.base_offset;
        let (Ok(relative), Ok(position)) = (u32::try_from(relative), u32::try_from(entry.position)) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "offset or position outside an index entry's range",
            ));
        };
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&relative.to_be_bytes());
        bytes[4..].copy_from_slice(&position.to_be_bytes());
        self.entries.append(files, bytes)
    }

    fn decode(files: &SegmentFiles, entry: &[u8; ENTRY_BYTES]) -> OffsetPosition {
        let (relative, position) = split(entry);
        OffsetPosition { offset: files.base_offset + i64::from(relative), position: u64::from(position) }
    }

    /// Where to start scanning for `offset`: the greatest entry at or below it, or the start of the segment.
    pub fn lookup(&self, files: &SegmentFiles, offset: i64, reach: Reach) -> io::Result<OffsetPosition> {
        let relative = offset - files.base_offset;
        let found = self.entries.floor(files, reach, |entry| i64::from(split(entry).0) <= relative)?;
        let start = OffsetPosition { offset: files.base_offset, position: 0 };
        Ok(found.map_or(start, |entry| Self::decode(files, &entry)))
    }

    /// The greatest entry whose batch starts at or below `position`, or the start of the segment.
    pub fn lookup_position(&self, files: &SegmentFiles, position: u64, reach: Reach) -> io::Result<OffsetPosition> {
        let found = self.entries.floor(files, reach, |entry| u64::from(split(entry).1) <= position)?;
        let start = OffsetPosition { offset: files.base_offset, position: 0 };
        Ok(found.map_or(start, |entry| Self::decode(files, &entry)))
    }

    /// The last entry.
    pub fn last(&self, files: &SegmentFiles, reach: Reach) -> io::Result<Option<OffsetPosition>> {
        Ok(self.entries.last(files, reach)?.map(|entry| Self::decode(files, &entry)))
    }

    /// Drops entries whose batch starts at or after `position`.
    pub fn truncate_to_position(&self, files: &SegmentFiles, position: u64) -> io::Result<()> {
        let keep = self.entries.partition_point(files, Reach::Disk, |entry| u64::from(split(entry).1) < position)?;
        self.entries.truncate(files, keep)
    }
}

impl Default for OffsetIndex {
    fn default() -> Self {
        Self::new()
    }
}
