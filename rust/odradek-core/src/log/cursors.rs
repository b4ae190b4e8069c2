//! Where the readers of a segment stopped: the next read of each starts there, without a look into an index.
//!
//! A hint, no more: whoever uses a position makes sure that the batch there contains the offset. So a wrong one costs a
//! lookup, never a record. Positions must be those of batches (or the end of the last one), though, so that no bytes
//! inside a record are ever taken for a header: [`Cursors::clear`] when the file was cut, and nothing is remembered by a
//! reader that looked at the file's length before.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Readers of one segment that are told apart.
const KEPT: usize = 16;

/// (next offset, where its batch starts), the youngest first. Thread-safe.
#[derive(Default)]
pub struct Cursors {
    stops: Mutex<Vec<(i64, u64)>>,
    cuts: AtomicU64,
}

impl Cursors {
    /// How often the file was cut; to be asked before its length is, and given back to [`Self::remember`].
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    /// Where a reader stopped before `offset`.
    #[must_use]
    pub fn position(&self, offset: i64) -> Option<u64> {
        self.stops.lock().iter().find(|stop| stop.0 == offset).map(|stop| stop.1)
    }

    /// A reader has everything before `offset`; the next batch is or will be at `position`.
    pub fn remember(&self, cuts: u64, offset: i64, position: u64) {
        let mut stops = self.stops.lock();
        if self.cuts() != cuts {
            return;
        }
        if let Some(stop) = stops.iter_mut().find(|stop| stop.0 == offset) {
            stop.1 = position;
            return;
        }
        if stops.len() == KEPT {
            stops.pop();
        }
        stops.insert(0, (offset, position));
    }

    /// Forgets everything: the file is shorter now.
    pub fn clear(&self) {
        let mut stops = self.stops.lock();
        self.cuts.fetch_add(1, Ordering::AcqRel);
        *stops = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_readers_find_their_place_again_and_one_more_drives_the_oldest_out() {
        let cursors = Cursors::default();
        for round in 0..5 {
            for reader in 0..16_i64 {
                let offset = reader * 1000 + round;
                assert_eq!(cursors.position(offset), (round > 0).then_some(offset as u64), "{reader}");
                cursors.remember(0, offset + 1, offset as u64 + 1);
            }
        }
        cursors.remember(0, -1, 0);
        assert_eq!((cursors.position(5), cursors.position(1005)), (None, Some(1005)));
        cursors.clear();
        assert_eq!(cursors.position(1005), None);
    }

    #[test]
    fn what_was_seen_before_a_cut_is_not_remembered_after_it() {
        let cursors = Cursors::default();
        let before = cursors.cuts();
        cursors.clear();
        cursors.remember(before, 7, 700);
        assert_eq!(cursors.position(7), None);
        cursors.remember(cursors.cuts(), 7, 600);
        assert_eq!(cursors.position(7), Some(600));
    }
}
