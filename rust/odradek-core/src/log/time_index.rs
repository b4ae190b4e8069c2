//! `.timeindex`: from a timestamp to an offset, sparse.
//!
//! ```text
//! offset size field
//!      0    8 greatest timestamp so far in the segment, ms
//!      8    4 last offset of the batch that has it, less the segment's base offset
//! ```
//! Big endian; timestamps strictly increase, offsets never fall. An entry says: no batch up to that offset has a greater
//! timestamp. Written with each offset-index entry when the greatest timestamp has grown, and when a segment is closed,
//! so that the last entry of a closed segment is its greatest timestamp. Source: Kafka `TimeIndex`.

use std::io;

use super::entry_file::EntryFile;
use super::file_handle::SegmentFiles;
use super::file_names::TIME_INDEX;
use crate::fs::Reach;

/// Bytes an entry.
pub const ENTRY_BYTES: usize = 12;

/// An entry with its absolute offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOffset {
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Last offset of the batch that has it.
    pub offset: i64,
}

/// The time index of one segment. Thread-safe; appended to under the partition's append lock only.
pub struct TimeIndex {
    /// The entries.
    pub entries: EntryFile<ENTRY_BYTES>,
}

fn split(entry: &[u8; ENTRY_BYTES]) -> (i64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}

impl TimeIndex {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: EntryFile::new(TIME_INDEX) }
    }

    /// Adds an entry if its timestamp is greater than the last one's.
    pub fn maybe_append(&self, files: &SegmentFiles, entry: TimeOffset) -> io::Result<()> {
        let floor = self.last(files, Reach::Disk)?.map_or(-1, |last| last.timestamp_ms);
        if entry.timestamp_ms <= floor {
            return Ok(());
        }
        let Ok(relative) = u32::try_from(entry.offset - files.base_offset) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "offset outside an index entry's range"));
        };
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&entry.timestamp_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&relative.to_be_bytes());
        self.entries.append(files, bytes)
    }

    fn decode(files: &SegmentFiles, entry: &[u8; ENTRY_BYTES]) -> TimeOffset {
        let (timestamp_ms, relative) = split(entry);
        TimeOffset { timestamp_ms, offset: files.base_offset + i64::from(relative) }
    }

    /// The last entry below `timestamp_ms`: no batch up to its offset has a record at or after that time.
    pub fn lookup_before(
        &self,
        files: &SegmentFiles,
        timestamp_ms: i64,
        reach: Reach,
    ) -> io::Result<Option<TimeOffset>> {
        let found = self.entries.floor(files, reach, |entry| split(entry).0 < timestamp_ms)?;
        Ok(found.map(|entry| Self::decode(files, &entry)))
    }

    /// The last entry.
    pub fn last(&self, files: &SegmentFiles, reach: Reach) -> io::Result<Option<TimeOffset>> {
        Ok(self.entries.last(files, reach)?.map(|entry| Self::decode(files, &entry)))
    }

    /// Drops entries at or after `offset`.
    pub fn truncate_to_offset(&self, files: &SegmentFiles, offset: i64) -> io::Result<()> {
        let keep = self
            .entries
            .partition_point(files, Reach::Disk, |entry| files.base_offset + i64::from(split(entry).1) < offset)?;
        self.entries.truncate(files, keep)
    }
}

impl Default for TimeIndex {
    fn default() -> Self {
        Self::new()
    }
}
