//! The bound on what a fetcher holds: every byte asked for, received or decompressed is leased here until it is dropped.
//!
//! A lease lives as long as the memory it stands for: slices of one answer share the answer's lease, so an answer of which
//! one slice is left still counts in full, as it still takes its memory. What is kept for each partition, records or not,
//! makes the bound smaller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes in use, their bound, and who waits for some to come back.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    standing: AtomicUsize,
    used: AtomicUsize,
    /// Of `used`, what is no answer.
    beside: AtomicUsize,
    wanted: AtomicBool,
    wake: Arc<Notify>,
}

impl Budget {
    /// A budget of `limit` bytes; `wake` is notified when bytes come back after [`Budget::want`].
    #[must_use]
    pub fn new(limit: usize, wake: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            standing: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            wake,
        })
    }

    /// The bound in bytes of what is leased.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit - self.standing.load(Ordering::Acquire)
    }

    /// Takes so many bytes out of the bound, but never more than half of it: without any room nothing could be read.
    pub fn set_standing(&self, bytes: usize) {
        self.standing.store(bytes.min(self.limit / 2), Ordering::Release);
    }

    /// Bytes leased at present.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Bytes that may still be leased.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// Bytes that answers may take beside all else that is leased.
    #[must_use]
    pub fn for_answers(&self) -> usize {
        self.limit().saturating_sub(self.beside.load(Ordering::Acquire))
    }

    /// Asks for a notification when bytes come back.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// Leases bytes even past the bound: for what exists already, or for the one batch without which nothing goes on.
    #[must_use]
    pub fn lease(self: &Arc<Self>, bytes: usize) -> Lease {
        self.beside.fetch_add(bytes, Ordering::AcqRel);
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Lease { budget: Arc::clone(self), bytes, is_answer: false }
    }

    /// As [`Budget::lease`], for an answer: one that is asked for, or here.
    #[must_use]
    pub fn lease_answer(self: &Arc<Self>, bytes: usize) -> Lease {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Lease { budget: Arc::clone(self), bytes, is_answer: true }
    }
}

/// Bytes in use; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
    is_answer: bool,
}

impl Lease {
    /// Bytes leased.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it `bytes`, more or less than before.
    pub fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
            if !self.is_answer {
                self.budget.beside.fetch_add(bytes - self.bytes, Ordering::AcqRel);
            }
        } else {
            self.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    fn give_back(&self, bytes: usize) {
        if !self.is_answer {
            self.budget.beside.fetch_sub(bytes, Ordering::AcqRel);
        }
        self.budget.used.fetch_sub(bytes, Ordering::AcqRel);
        if bytes > 0 && self.budget.wanted.swap(false, Ordering::AcqRel) {
            self.budget.wake.notify_one();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_counts_until_it_is_dropped_or_shrunk() {
        let budget = Budget::new(100, Arc::new(Notify::new()));
        let mut first = budget.lease(60);
        let second = budget.lease(70);
        assert_eq!((budget.used(), budget.room()), (130, 0));
        first.resize(10);
        assert_eq!((budget.used(), budget.room()), (80, 20));
        drop(second);
        first.resize(30);
        assert_eq!((first.bytes(), budget.used()), (30, 30));
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_stands_makes_the_bound_smaller_and_leaves_half_of_it() {
        let budget = Budget::new(100, Arc::new(Notify::new()));
        budget.set_standing(30);
        let lease = budget.lease(60);
        assert_eq!((budget.limit(), budget.used(), budget.room()), (70, 60, 10));
        budget.set_standing(1_000);
        assert_eq!((budget.limit(), budget.room()), (50, 0));
        drop(lease);
        budget.set_standing(0);
        assert_eq!(budget.room(), 100);
    }

    #[test]
    fn what_answers_may_take_is_the_bound_less_all_else() {
        let budget = Budget::new(100, Arc::new(Notify::new()));
        let answer = budget.lease_answer(50);
        let mut other = budget.lease(20);
        assert_eq!((budget.used(), budget.for_answers()), (70, 80));
        other.resize(130);
        assert_eq!(budget.for_answers(), 0);
        other.resize(5);
        drop(answer);
        assert_eq!((budget.used(), budget.for_answers()), (5, 95));
        drop(other);
        assert_eq!(budget.for_answers(), 100);
    }

    #[tokio::test]
    async fn bytes_that_come_back_wake_whoever_wanted_them() {
        let wake = Arc::new(Notify::new());
        let budget = Budget::new(10, Arc::clone(&wake));
        let lease = budget.lease(10);
        budget.want();
        drop(lease);
        wake.notified().await;
    }
}
