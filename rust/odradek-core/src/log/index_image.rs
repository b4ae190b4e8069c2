//! The bytes of an offset index, without a file around them: encoded from entries, and searched.
//!
//! The layout, and what a segment does with it, is in `offset_index`.

use thiserror::Error;

use super::error::LogError;

const ENTRY_BYTES: usize = 8;

/// An entry that can't follow the one before, or has no place in its segment.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum EntryError {
    /// Offset or position are outside 31 bits.
    #[error("index entry {offset}, {position} is outside 31 bits of its segment")]
    OutOfRange {
        /// Its offset.
        offset: i64,
        /// Its position in the log file.
        position: i64,
    },
    /// Both columns have to increase.
    #[error("index entry {offset}, {position} is not past the one before")]
    NotAscending {
        /// Its offset.
        offset: i64,
        /// Its position in the log file.
        position: i64,
    },
}

/// Encodes (offset, file position) entries.
///
/// # Errors
/// [`EntryError`] for the first entry that breaks the rules.
pub fn encode(entries: impl IntoIterator<Item = (i64, i64)>, base_offset: i64) -> Result<Vec<u8>, EntryError> {
    let fits = |value: i64| i32::try_from(value).ok().filter(|&value| value >= 0);
    let mut out = Vec::new();
    let mut last = (-1, -1);
    for (offset, position) in entries {
        let relative = offset.checked_sub(base_offset).and_then(fits);
        let (Some(relative), Some(place)) = (relative, fits(position)) else {
            return Err(EntryError::OutOfRange { offset, position });
        };
        if relative <= last.0 || place <= last.1 {
            return Err(EntryError::NotAscending { offset, position });
        }
        out.extend_from_slice(&relative.to_be_bytes());
        out.extend_from_slice(&place.to_be_bytes());
        last = (relative, place);
    }
    Ok(out)
}

/// Finds the (offset, file position) of the last entry at or below `target`, or (`base_offset`, 0).
///
/// # Errors
/// [`LogError::Corrupt`] when the bytes are no whole number of entries.
pub fn lookup(index: &[u8], base_offset: i64, target: i64) -> Result<(i64, u32), LogError> {
    let (entries, []) = index.as_chunks::<ENTRY_BYTES>() else {
        return Err(LogError::Corrupt(format!(
            "offset index of {} bytes is no multiple of {ENTRY_BYTES}",
            index.len()
        )));
    };
    let split = |entry: &[u8; ENTRY_BYTES]| {
        let [a, b, c, d, e, f, g, h] = *entry;
        (base_offset.saturating_add(i64::from(u32::from_be_bytes([a, b, c, d]))), u32::from_be_bytes([e, f, g, h]))
    };
    let above = entries.partition_point(|entry| split(entry).0 <= target);
    Ok(above.checked_sub(1).map_or((base_offset, 0), |at| split(&entries[at])))
}
