//! Which leader epoch started at which offset: `leader-epoch-checkpoint` in memory.
//!
//! Followers find with it where they diverge (KIP-101, KIP-279). No I/O: `partition_log` writes it before the recovery
//! point moves, and what is younger comes back from the batches (`loader`). Source: Kafka `LeaderEpochFileCache`.

/// An epoch and its first offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// Leader epoch.
    pub epoch: i32,
    /// First offset appended in it.
    pub start_offset: i64,
}

/// Epochs and start offsets, both strictly increasing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochStart>,
}

impl EpochCache {
    /// From a checkpoint; entries that do not increase are dropped.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = EpochStart>) -> Self {
        let mut cache = Self::default();
        for entry in entries {
            cache.assign(entry.epoch, entry.start_offset);
        }
        cache
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// Notes that `epoch` appends at `offset`. True when that was news.
    pub fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        if epoch < 0 || self.entries.last().is_some_and(|last| last.epoch >= epoch) {
            return false;
        }
        // An epoch that began here but appended nothing is superseded.
        self.entries.retain(|entry| entry.start_offset < offset);
        self.entries.push(EpochStart { epoch, start_offset: offset });
        true
    }

    /// Notes that a leader appends at `offset` in `epoch`, be it older than epochs known: a folder that was copied from
    /// another cluster has epochs of its own, and those of the appending leader count. True when something changed.
    pub fn lead(&mut self, epoch: i32, offset: i64) -> bool {
        if epoch < 0 || self.latest() == epoch {
            return false;
        }
        self.entries.retain(|entry| entry.epoch < epoch && entry.start_offset < offset);
        self.entries.push(EpochStart { epoch, start_offset: offset });
        true
    }

    /// The youngest epoch, -1 when there is none.
    #[must_use]
    pub fn latest(&self) -> i32 {
        self.entries.last().map_or(-1, |entry| entry.epoch)
    }

    /// The epoch of the record at `offset`, -1 when unknown.
    #[must_use]
    pub fn epoch_at(&self, offset: i64) -> i32 {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map_or(-1, |at| self.entries[at].epoch)
    }

    /// (largest epoch ≤ `epoch`, where it ends). An epoch before the first known one ends where that starts.
    #[must_use]
    pub fn end_offset(&self, epoch: i32, log_end_offset: i64) -> Option<(i32, i64)> {
        let last = self.entries.last()?;
        if epoch == last.epoch {
            return Some((epoch, log_end_offset));
        }
        let next = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(next)?.start_offset;
        let found = next.checked_sub(1).map_or(epoch, |at| self.entries[at].epoch);
        Some((found, end))
    }

    /// Forgets what starts at or after `offset`. True when that was something.
    pub fn truncate_from_end(&mut self, offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < offset);
        self.entries.len() != before
    }

    /// Forgets epochs that end at or before `offset`; the one that contains it starts there. True when something changed.
    pub fn truncate_from_start(&mut self, offset: i64) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start_offset <= offset).saturating_sub(1);
        let moved = self.entries.get(keep).is_some_and(|entry| entry.start_offset < offset);
        self.entries.drain(..keep);
        if moved {
            self.entries[0].start_offset = offset;
        }
        moved || keep > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> EpochCache {
        EpochCache::new([(1, 0), (3, 10), (4, 20)].map(|(epoch, start_offset)| EpochStart { epoch, start_offset }))
    }

    #[test]
    fn an_epoch_ends_where_the_next_starts() {
        assert_eq!(cache().end_offset(1, 25), Some((1, 10)));
        assert_eq!(cache().end_offset(2, 25), Some((1, 10)));
        assert_eq!(cache().end_offset(4, 25), Some((4, 25)));
        assert_eq!(cache().end_offset(5, 25), None);
        assert_eq!(cache().end_offset(0, 25), Some((0, 0)));
    }

    #[test]
    fn truncation_drops_epochs_from_either_end() {
        let mut cut = cache();
        assert!(cut.truncate_from_end(20));
        assert_eq!(cut.latest(), 3);
        let mut cut = cache();
        assert!(cut.truncate_from_start(15));
        assert_eq!(cut.entries()[0], EpochStart { epoch: 3, start_offset: 15 });
        assert_eq!(cut.epoch_at(14), -1);
        assert_eq!(cut.epoch_at(22), 4);
    }

    #[test]
    fn an_older_epoch_is_not_news() {
        let mut cache = cache();
        assert!(!cache.assign(4, 30));
        assert!(!cache.assign(2, 30));
        assert!(cache.assign(5, 30));
        assert!(cache.assign(6, 30));
        assert_eq!(cache.end_offset(5, 31), Some((4, 30)));
    }

    #[test]
    fn a_leader_of_an_older_epoch_takes_the_place_of_younger_ones() {
        let mut cache = cache();
        assert!(!cache.lead(4, 30));
        assert!(cache.lead(2, 30));
        assert_eq!((cache.latest(), cache.epoch_at(29), cache.epoch_at(30)), (2, 1, 2));
    }
}
