//! Where the sender's work is done, and by whom: one lock around its state, and whoever has something for it works on it.
//!
//! That is a caller who is about to wait for a record, the connection that brings an answer, a thread that has compressed a
//! batch; and for timers and metadata a task on the I/O thread. So a lone record costs no wake-up of a thread on its way out,
//! and its sender is the first to hear of the answer. Who finds the lock taken rings for the task instead: nobody but the
//! task waits for it. Locks of queues, the pool, connections and batches may be taken under it, never the other way round.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::Shared;
use super::batches::{Batch, Identity};
use super::request::Part;
use super::sender::Sender;
use crate::client::error::ClientError;
use crate::record::batch::BatchError;

/// Something came back.
pub(super) enum Event {
    /// The answer to a Produce request, `None` with acks=0. `direct`: it was written without a task.
    Answer {
        node: i32,
        parts: Vec<Part>,
        started: Instant,
        result: Result<Option<(Bytes, i16)>, ClientError>,
        direct: bool,
    },
    /// The answer to InitProducerId.
    Identity(Result<Identity, ClientError>),
    /// Another thread has compressed a batch, or could not.
    Packed { lane: usize, batch: Batch, result: Result<(), BatchError> },
}

/// The sender, and what came for it.
pub(super) struct Desk {
    shared: Arc<Shared>,
    sender: Mutex<Sender>,
    inbox: Mutex<Vec<Event>>,
}

impl Desk {
    pub(super) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|desk| {
            let sender = Sender::new(Arc::clone(shared), Weak::clone(desk));
            Self { shared: Arc::clone(shared), sender: Mutex::new(sender), inbox: Mutex::default() }
        })
    }

    /// Hands an event in. Once the producer is closed it is dropped: its batches are ended there.
    pub(super) fn bring(desk: &Weak<Self>, event: Event) {
        if let Some(desk) = desk.upgrade() {
            desk.inbox.lock().push(event);
            desk.see_to();
        }
    }

    /// Does what there is to do, unless somebody is at it.
    pub(super) fn see_to(&self) {
        let Some(mut sender) = self.sender.try_lock() else {
            self.shared.accumulator.signal.ring();
            return;
        };
        self.shared.accumulator.signal.hear();
        if self.shared.is_closing() {
            return;
        }
        let next = self.turn(&mut sender);
        if self.shared.accumulator.signal.sleeps_past(next) {
            self.shared.accumulator.signal.ring();
        }
    }

    fn turn(&self, sender: &mut Sender) -> Instant {
        let events = std::mem::take(&mut *self.inbox.lock());
        let now = Instant::now();
        for event in events {
            sender.handle(event, now);
        }
        sender.turn(now)
    }

    /// The task: timers, metadata, and what those who found the lock taken rang for.
    pub(super) async fn run(self: Arc<Self>) {
        let (shared, signal) = (&self.shared, &self.shared.accumulator.signal);
        let mut metadata = shared.cluster.metadata_changed();
        loop {
            let deadline = {
                let mut sender = self.sender.lock();
                signal.hear();
                if shared.is_closing() {
                    sender.give_up(&ClientError::Closed);
                    return;
                }
                self.turn(&mut sender)
            };
            if !signal.sleep_until(deadline) {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                () = signal.rung() => {}
                changed = metadata.changed() => {
                    let mut sender = self.sender.lock();
                    if changed.is_err() {
                        sender.give_up(&ClientError::Closed);
                        return;
                    }
                    sender.metadata_changed();
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }
}
