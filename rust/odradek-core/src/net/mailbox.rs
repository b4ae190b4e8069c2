//! What other threads may tell a connection's task: answers from Python, "look again", "close".
//!
//! The task owns everything else of its connection; this is the only shared part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Wake, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

/// Something that concerns one response slot, or the whole connection.
#[derive(Debug)]
pub enum Delivery {
    /// The response to the request in slot `slot`, after its header.
    Respond {
        /// The slot's number.
        slot: u64,
        /// The response body.
        body: Bytes,
    },
    /// Answer the Metadata request in slot `slot` from the snapshot.
    Reroute {
        /// The slot's number.
        slot: u64,
    },
    /// Close the connection.
    Disconnect,
}

#[derive(Default)]
struct Inner {
    task: Option<Waker>,
    deliveries: Vec<Delivery>,
}

/// One connection's mailbox. As a [`Wake`] it means "something you wait for may have changed".
pub struct Mailbox {
    /// Never reused.
    pub connection_id: u64,
    inner: Mutex<Inner>,
    pending: AtomicBool,
    closing: AtomicBool,
    closed: AtomicBool,
    keeps_buffer: AtomicBool,
    holds_grant: AtomicBool,
    waiting: AtomicBool,
    release_buffer: AtomicBool,
    has_turn: AtomicBool,
    last_active_tick: AtomicU64,
    received: AtomicU64,
}

impl Mailbox {
    /// An empty mailbox of a connection seen alive at `tick`.
    #[must_use]
    pub fn new(connection_id: u64, tick: u64) -> Self {
        Self {
            connection_id,
            inner: Mutex::default(),
            pending: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            keeps_buffer: AtomicBool::new(false),
            holds_grant: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            release_buffer: AtomicBool::new(false),
            has_turn: AtomicBool::new(false),
            last_active_tick: AtomicU64::new(tick),
            received: AtomicU64::new(0),
        }
    }

    /// Leaves a delivery and wakes the task. Dropped when the connection has gone.
    pub fn deliver(&self, delivery: Delivery) {
        if self.is_closed() {
            return;
        }
        self.inner.lock().deliveries.push(delivery);
        self.notify();
    }

    /// Wakes the task to look again at what it waits for.
    pub fn notify(&self) {
        self.pending.store(true, Ordering::SeqCst);
        self.wake_task();
    }

    fn wake_task(&self) {
        let task = self.inner.lock().task.clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Tells the task that it may serve the request it stood in line with (see `turn`); false when it has gone.
    pub fn give_turn(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        self.has_turn.store(true, Ordering::SeqCst);
        self.wake_task();
        true
    }

    /// True once after [`Self::give_turn`].
    pub fn take_turn(&self) -> bool {
        self.has_turn.swap(false, Ordering::SeqCst)
    }

    /// Asks the connection to finish what is under way and close.
    pub fn close_when_done(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// True once [`Self::close_when_done`] was called.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// The task says which waker reaches it; to be called on every poll.
    pub fn attend(&self, waker: &Waker) {
        let mut inner = self.inner.lock();
        if !inner.task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            inner.task = Some(waker.clone());
        }
    }

    /// Takes what has been delivered; `None` when nothing happened since the last call.
    pub fn collect(&self) -> Option<Vec<Delivery>> {
        if !self.pending.swap(false, Ordering::SeqCst) {
            return None;
        }
        Some(std::mem::take(&mut self.inner.lock().deliveries))
    }

    /// The connection has gone; later deliveries are dropped.
    pub fn mark_closed(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.inner.lock() = Inner::default();
    }

    /// True once the connection has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Notes that the connection was used at `tick`.
    pub fn touch(&self, tick: u64) {
        self.last_active_tick.store(tick, Ordering::Relaxed);
    }

    /// Tick of the last use.
    #[must_use]
    pub fn last_active_tick(&self) -> u64 {
        self.last_active_tick.load(Ordering::Relaxed)
    }

    /// Counts bytes received.
    pub fn add_received(&self, bytes: u64) {
        self.received.store(self.received.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    /// Bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The task tells, before it sleeps, what it holds: a read buffer, a grant for a frame that is not whole, and
    /// requests without an answer.
    pub fn set_keeps(&self, buffer: bool, grant: bool, requests: bool) {
        self.keeps_buffer.store(buffer, Ordering::Relaxed);
        self.holds_grant.store(grant, Ordering::Relaxed);
        self.waiting.store(requests, Ordering::Relaxed);
    }

    /// True while the connection holds a grant for a frame that is not whole.
    #[must_use]
    pub fn holds_grant(&self) -> bool {
        self.holds_grant.load(Ordering::Relaxed)
    }

    /// True while a request is not answered.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Asks the task to drop an empty read buffer, if it keeps one.
    pub fn ask_to_release_buffer(&self) {
        if self.keeps_buffer.load(Ordering::Relaxed) {
            self.release_buffer.store(true, Ordering::SeqCst);
            self.notify();
        }
    }

    /// True once after [`Self::ask_to_release_buffer`].
    pub fn take_release_request(&self) -> bool {
        self.release_buffer.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Mailbox {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}
