//! The bound on the bytes of partly received and queued requests.
//!
//! The rule:
//! 1. A connection holds up to [`FREE_BYTES`] without asking, so requests of that size never wait for anyone.
//! 2. For a longer frame it asks for the whole claimed size before it reads on. A grant is bookkeeping: the buffer
//!    itself grows with the bytes received, so a claim costs no memory.
//! 3. There are two pools: frames up to 1/64 of the total (4 MiB of 256 MiB) draw from one half, longer ones from the
//!    other. A flood of huge frames never takes what ordinary ones need.
//! 4. A pool grants first come, first served. Who waits is not read from, which slows its sender by TCP's own means.
//!
//! No deadlock: a granted frame needs nothing more of us, only its sender. A sender that stalls while others wait for
//! the pool is cut off ([`MIN_PROGRESS_BYTES`] a sweep, see `server`), which gives its grant back. So whoever waits
//! either gets its turn from one that finished or from one that was cut off.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// What every connection may hold without a grant.
pub const FREE_BYTES: usize = 16 << 10;
/// A holder of a grant must receive that much between two sweeps while others wait for its pool.
pub const MIN_PROGRESS_BYTES: u64 = 64 << 10;
/// What a grant may cover beside its frame: the length field and the start of the next frame.
const SLACK_BYTES: usize = 1 << 20;
/// Frames longer than the total divided by this are large.
const LARGE_DIVISOR: usize = 64;

struct Waiting {
    connection_id: u64,
    waker: Waker,
}

struct Pool {
    capacity: usize,
    inner: Mutex<PoolInner>,
}

#[derive(Default)]
struct PoolInner {
    used: usize,
    queue: VecDeque<Waiting>,
}

/// The two pools. Thread-safe; one per broker.
pub struct RequestMemory {
    large_from: usize,
    ordinary: Pool,
    large: Pool,
    /// Connections in both queues; asked on every read, so not under the locks.
    waiting: AtomicUsize,
}

/// Leave to hold a frame of up to `bytes`; gives it back when dropped.
pub struct Grant {
    memory: Arc<RequestMemory>,
    bytes: usize,
}

impl RequestMemory {
    /// Pools of half of `total_bytes` each; the one for large frames takes at least one frame of `max_request_bytes`.
    #[must_use]
    pub fn new(total_bytes: usize, max_request_bytes: usize) -> Self {
        let half = (total_bytes / 2).max(FREE_BYTES);
        let large_from = (total_bytes / LARGE_DIVISOR).clamp(FREE_BYTES, half);
        let pool = |capacity| Pool { capacity, inner: Mutex::default() };
        Self {
            large_from,
            ordinary: pool(half),
            large: pool(half.max(max_request_bytes + SLACK_BYTES)),
            waiting: AtomicUsize::new(0),
        }
    }

    fn pool(&self, bytes: usize) -> &Pool {
        if bytes > self.large_from { &self.large } else { &self.ordinary }
    }

    /// Asks for `bytes`. `None`: not now; `waker` is woken when it may be this connection's turn, to ask again.
    pub fn ask(self: &Arc<Self>, connection_id: u64, bytes: usize, waker: &Waker) -> Option<Grant> {
        let pool = self.pool(bytes);
        let mut inner = pool.inner.lock();
        let place = inner.queue.iter().position(|waiting| waiting.connection_id == connection_id);
        let is_first = place.map_or(inner.queue.is_empty(), |place| place == 0);
        if is_first && inner.used + bytes <= pool.capacity {
            inner.used += bytes;
            if place.is_some() {
                inner.queue.pop_front();
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            let next = inner.queue.front().map(|waiting| waiting.waker.clone());
            drop(inner);
            if let Some(next) = next {
                next.wake();
            }
            return Some(Grant { memory: Arc::clone(self), bytes });
        }
        if place.is_none() {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            inner.queue.push_back(Waiting { connection_id, waker: waker.clone() });
        }
        None
    }

    /// Takes a connection out of the queues: it has gone.
    pub fn withdraw(&self, connection_id: u64) {
        for pool in [&self.ordinary, &self.large] {
            let mut inner = pool.inner.lock();
            let before = inner.queue.len();
            inner.queue.retain(|waiting| waiting.connection_id != connection_id);
            self.waiting.fetch_sub(before - inner.queue.len(), Ordering::Relaxed);
            let next = inner.queue.front().map(|waiting| waiting.waker.clone());
            drop(inner);
            if let Some(next) = next {
                next.wake();
            }
        }
    }

    /// True when someone waits for either pool.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Bytes granted now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.ordinary.inner.lock().used + self.large.inner.lock().used
    }
}

impl Grant {
    /// The bytes it covers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when its pool is at most half used: it may be kept for the connection's next frame.
    #[must_use]
    pub fn may_be_kept(&self) -> bool {
        let pool = self.memory.pool(self.bytes);
        pool.inner.lock().used <= pool.capacity / 2
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut inner = self.memory.pool(self.bytes).inner.lock();
        inner.used -= self.bytes;
        let next = inner.queue.front().map(|waiting| waiting.waker.clone());
        drop(inner);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn memory() -> Arc<RequestMemory> {
        Arc::new(RequestMemory::new(256 * MIB, 100 * MIB))
    }

    #[test]
    fn huge_claims_leave_room_for_ordinary_frames() {
        let (memory, waker) = (memory(), Waker::noop());
        let grants: Vec<_> = (0..40).map(|id| memory.ask(id, 95 * MIB, waker)).collect();
        assert_eq!(grants.iter().flatten().count(), 1);
        assert!(memory.is_contended());
        for id in 100..110 {
            assert!(memory.ask(id, MIB, waker).is_some());
        }
    }

    #[test]
    fn turns_are_taken_in_order_and_passed_on() {
        let (memory, waker) = (memory(), Waker::noop());
        let first = memory.ask(1, 100 * MIB, waker);
        assert!(memory.ask(2, 100 * MIB, waker).is_none());
        assert!(memory.ask(3, 10 * MIB, waker).is_none(), "does not overtake");
        drop(first);
        assert!(memory.ask(3, 10 * MIB, waker).is_none(), "still not its turn");
        memory.withdraw(2);
        assert!(memory.ask(3, 10 * MIB, waker).is_some());
        assert_eq!(memory.used(), 0);
        assert!(!memory.is_contended());
    }

    #[test]
    fn one_frame_of_the_greatest_size_always_fits() {
        let memory = Arc::new(RequestMemory::new(MIB, 100 * MIB));
        assert!(memory.ask(1, 101 * MIB, Waker::noop()).is_some());
    }
}
