//! The bounded queue of requests that Python answers.
//!
//! A request is on the queue (waiting for `take`), then pending (taken, not answered), then gone. A full queue refuses;
//! the connection keeps the request, stops reading and is woken when there is room. An answer for a connection that has
//! gone is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;

use super::mailbox::{Delivery, Mailbox};
use crate::doorbell::Doorbell;

/// One request that Python has to answer.
#[derive(Debug, Clone)]
pub struct ControlRequest {
    /// Names this request towards `respond`, `reroute` and `disconnect`; used once.
    pub token: u64,
    /// API key.
    pub api_key: i16,
    /// API version, one that Python published.
    pub api_version: i16,
    /// Correlation id.
    pub correlation_id: i32,
    /// Client id.
    pub client_id: Option<String>,
    /// Same for all requests of one connection, never reused.
    pub connection_id: u64,
    /// The peer's IP address.
    pub peer_host: Arc<str>,
    /// The error code that a fault asks for; 0 is none.
    pub fault_code: i16,
    /// The request after its header.
    pub body: Bytes,
}

/// A request on its way into the queue: all of [`ControlRequest`] but the token, and where its answer goes.
pub struct Submission {
    /// The request; its token is assigned on entry.
    pub request: ControlRequest,
    /// The connection.
    pub mailbox: Arc<Mailbox>,
    /// The response slot.
    pub slot: u64,
}

struct Pending {
    mailbox: Arc<Mailbox>,
    slot: u64,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<ControlRequest>,
    pending: HashMap<u64, Pending>,
    wanting_room: Vec<Waker>,
}

/// The queue. Thread-safe.
pub struct ControlQueue {
    capacity: usize,
    next_token: AtomicU64,
    inner: Mutex<Inner>,
}

impl ControlQueue {
    /// A queue that holds up to `capacity` requests not yet taken.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, next_token: AtomicU64::new(1), inner: Mutex::default() }
    }

    /// Adds a request, or gives it back when the queue is full and wakes `waker` once there is room.
    ///
    /// # Errors
    /// The submission itself, when the queue is full.
    pub fn submit(&self, mut submission: Submission, waker: &Waker, bell: &Doorbell) -> Result<(), Box<Submission>> {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= self.capacity {
            inner.wanting_room.push(waker.clone());
            return Err(Box::new(submission));
        }
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        submission.request.token = token;
        let was_empty = inner.waiting.is_empty();
        inner.waiting.push_back(submission.request);
        inner.pending.insert(token, Pending { mailbox: submission.mailbox, slot: submission.slot });
        drop(inner);
        if was_empty {
            bell.ring();
        }
        Ok(())
    }

    /// A token for a request that is kept elsewhere (`rounds`) and answered as one that was taken.
    pub fn expect(&self, mailbox: Arc<Mailbox>, slot: u64) -> u64 {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        self.inner.lock().pending.insert(token, Pending { mailbox, slot });
        token
    }

    /// Takes up to `limit` requests, oldest first; those of dead connections are dropped on the way.
    pub fn take(&self, limit: usize, bell: &Doorbell) -> Vec<ControlRequest> {
        let mut inner = self.inner.lock();
        let mut taken = Vec::with_capacity(limit.min(inner.waiting.len()));
        while taken.len() < limit {
            let Some(request) = inner.waiting.pop_front() else { break };
            let gone = inner.pending.get(&request.token).is_none_or(|pending| pending.mailbox.is_closed());
            if gone {
                inner.pending.remove(&request.token);
            } else {
                taken.push(request);
            }
        }
        if inner.waiting.is_empty() {
            bell.silence();
        }
        let wanting_room = std::mem::take(&mut inner.wanting_room);
        drop(inner);
        wanting_room.into_iter().for_each(Waker::wake);
        taken
    }

    /// Number of requests not taken yet and number taken or waiting without an answer.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.waiting.len(), inner.pending.len())
    }

    /// Answers a request with the response after its header. An unknown token is ignored: the request was answered.
    pub fn respond(&self, token: u64, body: Bytes) {
        if let Some(pending) = self.settle(token) {
            pending.mailbox.deliver(Delivery::Respond { slot: pending.slot, body });
        }
    }

    /// As [`Self::respond`], for many.
    pub fn respond_all(&self, answers: impl IntoIterator<Item = (u64, Bytes)>) {
        let mut inner = self.inner.lock();
        let settle = |(token, body)| inner.pending.remove(&token).map(|pending| (pending, body));
        let settled: Vec<_> = answers.into_iter().filter_map(settle).collect();
        drop(inner);
        for (pending, body) in settled {
            pending.mailbox.deliver(Delivery::Respond { slot: pending.slot, body });
        }
    }

    /// Answers a Metadata request from the snapshot.
    pub fn reroute(&self, token: u64) {
        if let Some(pending) = self.settle(token) {
            pending.mailbox.deliver(Delivery::Reroute { slot: pending.slot });
        }
    }

    /// Closes the connection that the request came on.
    pub fn disconnect(&self, token: u64) {
        if let Some(pending) = self.settle(token) {
            pending.mailbox.deliver(Delivery::Disconnect);
        }
    }

    fn settle(&self, token: u64) -> Option<Pending> {
        self.inner.lock().pending.remove(&token)
    }
}
