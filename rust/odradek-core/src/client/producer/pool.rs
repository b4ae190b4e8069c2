//! `buffer.memory`: the bytes that batches may take together, the buffers themselves, and those who wait for room.
//!
//! Room is taken a batch at a time, never a record at a time. Those who wait are served in the order of their coming, and
//! only once an eighth of the memory is free: a sender that is woken for every batch spends its time being woken.
//! Lock order: a queue's lock may be held while the pool's is taken, never the other way round.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Buffers kept for the next batch.
const KEPT_BUFFERS: usize = 256;

/// Called once when room was given to a waiter, or the pool closed.
pub type OnGrant = Box<dyn FnOnce() + Send>;

/// The memory of one producer.
pub struct BufferPool {
    total: usize,
    /// Capacity of the buffers that are kept.
    usual: usize,
    state: Mutex<PoolState>,
}

struct PoolState {
    /// Below 0 while batches have outgrown what they asked for.
    available: i64,
    kept: Vec<Vec<u8>>,
    waiting: VecDeque<Arc<Ticket>>,
    closed: bool,
}

/// A place in the queue for room.
pub struct Ticket {
    need: usize,
    /// It takes the room when its turn comes; else it is only told, and has to ask again.
    keeps: bool,
    state: Mutex<TicketState>,
    granted: Condvar,
}

enum TicketState {
    Waiting(Option<OnGrant>),
    Granted,
    Closed,
}

/// What became of waiting for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The bytes asked for are the caller's now.
    Granted,
    /// Not yet.
    Waiting,
    /// The pool was closed.
    Closed,
}

/// Bytes of the pool; they go back when dropped.
pub struct Reservation {
    pool: Arc<BufferPool>,
    bytes: usize,
}

/// A buffer whose room in the pool is given back when it is dropped, wherever that happens.
pub struct Buffer {
    /// The bytes.
    pub bytes: Vec<u8>,
    reservation: Reservation,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.reservation.pool.keep(std::mem::take(&mut self.bytes));
    }
}

impl Reservation {
    /// Changes the size of what is held: to less at once; more is taken even if it isn't there.
    fn resize(&mut self, bytes: usize) {
        self.pool.exchange(self.bytes, bytes);
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pool.exchange(self.bytes, 0);
    }
}

impl Buffer {
    /// Puts other bytes (compressed ones) in the place of these; the room held shrinks or grows with them.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.reservation.pool.keep(std::mem::replace(&mut self.bytes, bytes));
        self.reservation.resize(self.bytes.len());
    }

    /// Takes room for `more` bytes if there is some and nobody waits for it; the bytes themselves are the caller's affair.
    pub fn try_grow(&mut self, more: usize) -> bool {
        let mut state = self.reservation.pool.state.lock();
        if state.closed || !state.waiting.is_empty() || state.available < more as i64 {
            return false;
        }
        state.available -= more as i64;
        drop(state);
        self.reservation.bytes += more;
        true
    }

    /// Bytes of room held.
    pub fn room(&self) -> usize {
        self.reservation.bytes
    }

    /// Makes the room held that of the bytes, after they outgrew it.
    pub fn settle(&mut self) {
        if self.bytes.capacity() > self.reservation.bytes {
            self.reservation.resize(self.bytes.capacity());
        }
    }
}

impl BufferPool {
    /// A pool of `total` bytes, most of whose buffers have `usual` bytes.
    #[must_use]
    pub fn new(total: usize, usual: usize) -> Arc<Self> {
        let state = PoolState { available: total as i64, kept: Vec::new(), waiting: VecDeque::new(), closed: false };
        Arc::new(Self { total, usual, state: Mutex::new(state) })
    }

    /// Takes a buffer with room for `bytes`, unless there is none or others wait.
    pub fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Buffer> {
        let mut state = self.state.lock();
        if state.closed || !state.waiting.is_empty() || state.available < bytes as i64 {
            return None;
        }
        state.available -= bytes as i64;
        let kept = if bytes == self.usual { state.kept.pop() } else { None };
        drop(state);
        Some(self.buffer(bytes, kept))
    }

    /// The buffer of a ticket that was granted.
    pub fn take_granted(self: &Arc<Self>, ticket: &Ticket) -> Buffer {
        let kept = if ticket.need == self.usual { self.state.lock().kept.pop() } else { None };
        self.buffer(ticket.need, kept)
    }

    /// An empty buffer for bytes that exist already; the room is taken when they are put in, even if there is none.
    pub fn take_anyway(self: &Arc<Self>) -> Buffer {
        Buffer { bytes: Vec::new(), reservation: Reservation { pool: Arc::clone(self), bytes: 0 } }
    }

    fn buffer(self: &Arc<Self>, bytes: usize, kept: Option<Vec<u8>>) -> Buffer {
        let reservation = Reservation { pool: Arc::clone(self), bytes };
        Buffer { bytes: kept.unwrap_or_else(|| Vec::with_capacity(bytes)), reservation }
    }

    /// Stands in line for `bytes`. With `on_grant` the room is not kept: it is called, possibly at once, when there is some.
    pub fn wait(self: &Arc<Self>, bytes: usize, on_grant: Option<OnGrant>) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket {
            need: bytes.min(self.total),
            keeps: on_grant.is_none(),
            state: Mutex::new(TicketState::Waiting(on_grant)),
            granted: Condvar::new(),
        });
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            ticket.end(TicketState::Closed);
            return ticket;
        }
        state.waiting.push_back(Arc::clone(&ticket));
        let served = self.serve(&mut state);
        drop(state);
        grant(served);
        ticket
    }

    /// Gives a place in the line up; room that was granted meanwhile goes back.
    pub fn cancel(self: &Arc<Self>, ticket: &Arc<Ticket>) {
        let mut state = self.state.lock();
        state.waiting.retain(|other| !Arc::ptr_eq(other, ticket));
        let was_granted = ticket.keeps && matches!(&*ticket.state.lock(), TicketState::Granted);
        drop(state);
        if was_granted {
            self.exchange(ticket.need, 0);
        } else {
            self.exchange(0, 0); // those behind it may be next now
        }
    }

    /// True while somebody waits for room: batches need not wait for more records then.
    pub fn is_short(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Bytes not taken.
    pub fn available(&self) -> usize {
        usize::try_from(self.state.lock().available).unwrap_or(0)
    }

    /// Number of those who wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Ends every wait.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for ticket in waiting {
            ticket.end(TicketState::Closed);
        }
    }

    fn keep(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() == self.usual && self.usual > 0 {
            bytes.clear();
            let mut state = self.state.lock();
            if state.kept.len() < KEPT_BUFFERS {
                state.kept.push(bytes);
            }
        }
    }

    fn exchange(&self, back: usize, taken: usize) {
        let mut state = self.state.lock();
        state.available += back as i64 - taken as i64;
        let served = self.serve(&mut state);
        drop(state);
        grant(served);
    }

    fn serve(&self, state: &mut PoolState) -> Vec<Arc<Ticket>> {
        let mut served = Vec::new();
        if state.waiting.is_empty() || state.available < (self.total / 8) as i64 {
            return served;
        }
        while let Some(first) = state.waiting.front() {
            if state.available < first.need as i64 {
                break;
            }
            if first.keeps {
                state.available -= first.need as i64;
            }
            served.extend(state.waiting.pop_front());
        }
        served
    }
}

fn grant(served: Vec<Arc<Ticket>>) {
    for ticket in served {
        ticket.end(TicketState::Granted);
    }
}

impl Ticket {
    fn end(&self, how: TicketState) {
        let before = std::mem::replace(&mut *self.state.lock(), how);
        self.granted.notify_all();
        if let TicketState::Waiting(Some(on_grant)) = before {
            on_grant();
        }
    }

    /// Waits until `until` at most.
    pub fn wait_until(&self, until: Instant) -> Room {
        let mut state = self.state.lock();
        loop {
            match &*state {
                TicketState::Granted => return Room::Granted,
                TicketState::Closed => return Room::Closed,
                TicketState::Waiting(_) => {}
            }
            if self.granted.wait_until(&mut state, until).timed_out() {
                return match &*state {
                    TicketState::Granted => Room::Granted,
                    TicketState::Closed => Room::Closed,
                    TicketState::Waiting(_) => Room::Waiting,
                };
            }
        }
    }

    /// How it stands now.
    pub fn now(&self) -> Room {
        self.wait_until(Instant::now() - Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_when_a_buffer_is_dropped() {
        let pool = BufferPool::new(100, 40);
        let first = pool.try_take(40).expect("room");
        let second = pool.try_take(40).expect("room");
        assert!(pool.try_take(40).is_none());
        drop(first);
        assert_eq!(pool.available(), 60);
        let again = pool.try_take(40).expect("room");
        assert_eq!(again.bytes.capacity(), 40);
        drop((second, again));
        assert_eq!(pool.available(), 100);
    }

    #[test]
    fn those_who_wait_are_served_in_their_order_and_newcomers_stand_behind_them() {
        let pool = BufferPool::new(100, 40);
        let all = pool.try_take(100).expect("room");
        let large = pool.wait(80, None);
        let small = pool.wait(20, None);
        assert!(pool.is_short());
        drop(pool.try_take(10));
        assert_eq!((large.now(), small.now()), (Room::Waiting, Room::Waiting));
        drop(all);
        assert_eq!((large.now(), small.now()), (Room::Granted, Room::Granted));
        assert_eq!(pool.available(), 0);
        drop((pool.take_granted(&large), pool.take_granted(&small)));
        assert_eq!(pool.available(), 100);
    }

    #[test]
    fn giving_up_lets_the_next_one_through_and_returns_what_was_granted() {
        let pool = BufferPool::new(100, 40);
        let half = pool.try_take(50).expect("room");
        let large = pool.wait(80, None);
        let small = pool.wait(20, None);
        assert_eq!(small.now(), Room::Waiting, "it would overtake");
        pool.cancel(&large);
        assert_eq!(small.now(), Room::Granted);
        pool.cancel(&small);
        drop(half);
        assert_eq!(pool.available(), 100);
    }

    #[test]
    fn closing_ends_every_wait_and_tells_those_who_asked() {
        let pool = BufferPool::new(10, 10);
        let held = pool.try_take(10).expect("room");
        let told = Arc::new(Mutex::new(0));
        let count = Arc::clone(&told);
        let ticket = pool.wait(5, Some(Box::new(move || *count.lock() += 1)));
        pool.close();
        assert_eq!((ticket.now(), *told.lock()), (Room::Closed, 1));
        assert_eq!(pool.wait(5, None).now(), Room::Closed);
        drop(held);
    }

    #[test]
    fn compressed_bytes_hold_only_their_own_size() {
        let pool = BufferPool::new(100, 40);
        let mut buffer = pool.try_take(40).expect("room");
        buffer.replace(vec![1; 10]);
        assert_eq!(pool.available(), 90);
        drop(buffer);
        assert_eq!(pool.available(), 100);
    }
}
