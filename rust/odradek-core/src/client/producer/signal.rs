//! How the callers' threads tell the sender: a list of partitions to look at, and a bell that rings once until it is heard.
//!
//! The bell costs a system call and a thread's wake-up, so it is left alone where the sender wakes in time by itself. The order
//! makes that safe: a caller lists, then looks how long the sender sleeps; the sender says how long, then looks at the list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::accumulator::Queue;

/// The list and the bell.
pub struct Signal {
    listed: Mutex<Vec<Arc<Queue>>>,
    recheck: AtomicBool,
    rung: AtomicBool,
    began: Instant,
    /// Until when the sender's task sleeps, us since `began`.
    sleeps_until: AtomicU64,
    notify: Notify,
}

impl Default for Signal {
    fn default() -> Self {
        Self {
            listed: Mutex::default(),
            recheck: AtomicBool::new(false),
            rung: AtomicBool::new(false),
            began: Instant::now(),
            sleeps_until: AtomicU64::new(u64::MAX),
            notify: Notify::new(),
        }
    }
}

impl Signal {
    /// Puts a partition on the list.
    pub(super) fn list(&self, queue: &Arc<Queue>) {
        self.listed.lock().push(Arc::clone(queue));
    }

    /// Makes the sender look at every queue again.
    pub fn recheck(&self) {
        self.recheck.store(true, Ordering::Release);
        self.ring();
    }

    /// Wakes the sender's task.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }

    pub(super) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Lets the bell ring again. To be called before looking at anything that somebody may ring for.
    pub(super) fn hear(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// What was listed since the last call, and whether all is to be looked at again.
    pub(super) fn take(&self) -> (Vec<Arc<Queue>>, bool) {
        let recheck = self.recheck.swap(false, Ordering::AcqRel);
        (std::mem::take(&mut self.listed.lock()), recheck)
    }

    /// The sender's task sleeps until `until`. False if there is something on the list: then it must not.
    pub(super) fn sleep_until(&self, until: Instant) -> bool {
        self.sleeps_until.store(self.micros(until), Ordering::Release);
        self.listed.lock().is_empty()
    }

    /// True if the sender's task sleeps beyond `until`, unless it is woken.
    pub(super) fn sleeps_past(&self, until: Instant) -> bool {
        self.sleeps_until.load(Ordering::Acquire) > self.micros(until)
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.checked_duration_since(self.began).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}
