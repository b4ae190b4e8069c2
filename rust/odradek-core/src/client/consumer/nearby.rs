//! Which replica of a partition is read in place of its leader (KIP-392). No I/O.
//!
//! The leader answers a fetch that tells a rack with the replica to read from, and with no records. What it knows of that
//! replica may be old, or wrong for us alone, and it would name it again: a partition whose replica failed is therefore
//! fetched without a rack for a while, which the leader answers with records.

use std::time::{Duration, Instant};

/// The replica of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nearby {
    /// Node id, and until when the leader's word is taken for true.
    named: Option<(i32, Instant)>,
    /// Read from the leader until then.
    shunned_until: Option<Instant>,
    /// In a row.
    failures: u32,
}

impl Nearby {
    /// Takes the leader's word that `node` is to be read until then.
    pub fn named(&mut self, node: i32, until: Instant) {
        self.named = Some((node, until));
    }

    /// The replica to read from; `None` = the leader.
    #[must_use]
    pub fn node(&self, now: Instant) -> Option<i32> {
        self.named.filter(|(_, until)| *until > now).map(|(node, _)| node)
    }

    /// True while the leader is to answer with records whatever replica it knows.
    #[must_use]
    pub fn shunned(&self, now: Instant) -> bool {
        self.shunned_until.is_some_and(|until| until > now)
    }

    /// Notes that `node` answered with records.
    pub fn served(&mut self, node: i32) {
        if self.named.is_some_and(|(named, _)| named == node) {
            (self.failures, self.shunned_until) = (0, None);
        }
    }

    /// Notes that `node` failed. True if it is the replica: the leader is read for `base`, doubled with each failure in a
    /// row, at most `most`.
    pub fn failed(&mut self, node: i32, now: Instant, base: Duration, most: Duration) -> bool {
        // Whichever failed: what the leader said was before that.
        let was_named = self.named.take().is_some_and(|(named, _)| named == node);
        if was_named {
            let wait = base.saturating_mul(1 << self.failures.min(16)).min(most);
            self.failures = self.failures.saturating_add(1);
            self.shunned_until = Some(now + wait);
        }
        was_named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_leaders_word_ends_with_its_time() {
        let now = Instant::now();
        let mut nearby = Nearby::default();
        assert_eq!(nearby.node(now), None);
        nearby.named(2, now + S);
        assert_eq!((nearby.node(now), nearby.node(now + S)), (Some(2), None));
    }

    #[test]
    fn a_replica_that_fails_again_and_again_is_left_alone_ever_longer_until_it_serves() {
        let now = Instant::now();
        let mut nearby = Nearby::default();
        let mut fail = |served: bool| {
            nearby.named(2, now + S);
            if served {
                nearby.served(2);
            }
            assert!(nearby.failed(2, now, S, 5 * S) && nearby.node(now).is_none());
            (1..100).find(|&seconds| !nearby.shunned(now + seconds * S))
        };
        assert_eq!([false, false, false, false, true].map(&mut fail), [1, 2, 4, 5, 1].map(Some));
    }

    #[test]
    fn a_failure_of_another_broker_only_ends_the_leaders_word() {
        let now = Instant::now();
        let mut nearby = Nearby::default();
        nearby.named(2, now + S);
        assert!(!nearby.failed(1, now, S, S));
        assert!(nearby.node(now).is_none() && !nearby.shunned(now));
    }
}
