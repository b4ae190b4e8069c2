//! `.txnindex`: the aborted transactions whose marker lies in a segment. The file exists only when there is one.
//!
//! ```text
//! offset size field
//!      0    2 version (0)
//!      2    8 producer id
//!     10    8 first offset of the transaction
//!     18    8 offset of the abort marker
//!     26    8 last stable offset just after the abort
//! ```
//! Big endian, in order of the markers. Source: Kafka `TransactionIndex`, `AbortedTxn`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry_file::EntryFile;
use super::file_handle::SegmentFiles;
use super::file_names::TXN_INDEX;
use crate::fs::Reach;

/// Bytes an entry.
pub const ENTRY_BYTES: usize = 34;

/// One aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// First offset of the transaction in this partition.
    pub first_offset: i64,
    /// Offset of the abort marker.
    pub last_offset: i64,
    /// Last stable offset once it was aborted.
    pub last_stable_offset: i64,
}

impl AbortedTxn {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (slot, value) in bytes[2..].as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *slot = value.to_be_bytes();
        }
        bytes
    }

    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut fields = [0; 4];
        for (value, slot) in fields.iter_mut().zip(bytes[2..].as_chunks::<8>().0) {
            *value = i64::from_be_bytes(*slot);
        }
        let [producer_id, first_offset, last_offset, last_stable_offset] = fields;
        Self { producer_id, first_offset, last_offset, last_stable_offset }
    }
}

/// The transaction index of one segment. Costs nothing where there are no aborted transactions.
pub struct TxnIndex {
    entries: EntryFile<ENTRY_BYTES>,
    present: AtomicBool,
}

impl TxnIndex {
    /// `present`: whether the folder lists a file.
    #[must_use]
    pub fn new(present: bool) -> Self {
        Self { entries: EntryFile::new(TXN_INDEX), present: AtomicBool::new(present) }
    }

    /// True when the segment has aborted transactions.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.present.load(Ordering::Acquire)
    }

    /// Adds an entry and writes it at once: there are few, and readers need them.
    pub fn append(&self, files: &SegmentFiles, txn: AbortedTxn) -> io::Result<()> {
        self.entries.append(files, txn.encode())?;
        self.entries.flush(files)?;
        self.present.store(true, Ordering::Release);
        Ok(())
    }

    /// Adds to `found` what a reader of `fetch_offset..upper_bound` must skip. True when no later segment can add more.
    pub fn collect(
        &self,
        files: &SegmentFiles,
        fetch_offset: i64,
        upper_bound: i64,
        reach: Reach,
        found: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        if !self.is_present() {
            return Ok(false);
        }
        for index in 0..self.entries.count(files)? {
            let txn = AbortedTxn::decode(&self.entries.get(files, index, reach)?);
            if txn.last_offset >= fetch_offset && txn.first_offset < upper_bound {
                found.push(txn);
            }
            if txn.last_stable_offset >= upper_bound {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops transactions whose marker is at or after `offset`.
    pub fn truncate_to_offset(&self, files: &SegmentFiles, offset: i64) -> io::Result<()> {
        if !self.is_present() {
            return Ok(());
        }
        let keep =
            self.entries.partition_point(files, Reach::Disk, |entry| AbortedTxn::decode(entry).last_offset < offset)?;
        self.entries.truncate(files, keep)
    }

    /// Makes the file durable, if there is one.
    pub fn sync(&self, files: &SegmentFiles) -> io::Result<()> {
        if self.is_present() { self.entries.sync(files) } else { Ok(()) }
    }

    /// Opens the file for good, if there is one.
    pub fn pin(&self, files: &SegmentFiles) -> io::Result<()> {
        if self.is_present() { self.entries.pin(files) } else { Ok(()) }
    }

    /// Gives up memory and descriptor when unused.
    pub fn release_if_idle(&self, files: &SegmentFiles) -> io::Result<()> {
        self.entries.release_if_idle(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_kafkas_bytes() {
        let txn = AbortedTxn { producer_id: 1, first_offset: 2, last_offset: 3, last_stable_offset: 4 };
        let bytes = txn.encode();
        assert_eq!(bytes[..2], [0, 0]);
        assert_eq!(bytes[9], 1);
        assert_eq!((bytes[17], bytes[25], bytes[33]), (2, 3, 4));
        assert_eq!(AbortedTxn::decode(&bytes), txn);
    }
}
