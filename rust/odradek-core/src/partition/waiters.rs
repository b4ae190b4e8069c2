//! Who waits for a partition to change. The whole of the purgatory that a partition knows of.
//!
//! A waiter registers, looks again, and only then sleeps; the partition changes and then wakes. Whichever comes second
//! sees the other, so no wake-up is lost and nothing is polled. Waking empties the list (a waiter that is still not
//! satisfied registers again), and a waiter that goes away takes itself out, so the list never holds the dead.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

use parking_lot::Mutex;

/// The wakers of the requests that wait on one partition, by the waiting request's id.
#[derive(Default)]
pub struct Waiters {
    any: AtomicBool,
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Waiters {
    /// Adds the waiter `id`. The caller must look at the partition again before it sleeps.
    pub fn register(&self, id: u64, waker: &Waker) {
        self.wakers.lock().insert(id, waker.clone());
        self.any.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Takes the waiter `id` out, if it is still there.
    pub fn deregister(&self, id: u64) {
        self.wakers.lock().remove(&id);
    }

    /// Wakes everyone and empties the list. Cheap when nobody waits.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut wakers = self.wakers.lock();
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut *wakers)
        };
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    /// Number of waiters; for tests and metrics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wakers.lock().len()
    }

    /// True when nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn waking_reaches_each_waiter_once() {
        let (waiters, counter) = (Waiters::default(), Arc::new(Counter::default()));
        let waker = Waker::from(Arc::clone(&counter));
        waiters.register(1, &waker);
        waiters.register(2, &waker);
        waiters.wake();
        waiters.wake();
        assert_eq!(counter.0.load(Ordering::SeqCst), 2);
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_waiter_that_left_is_neither_woken_nor_kept() {
        let (waiters, counter) = (Waiters::default(), Arc::new(Counter::default()));
        waiters.register(1, &Waker::from(Arc::clone(&counter)));
        waiters.deregister(1);
        assert!(waiters.is_empty());
        waiters.wake();
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    }
}
