//! What the sender knows of one partition: batches to send again, what is on the wire, and the sequence numbers.
//!
//! Order is kept by three rules. Batches that failed go first, in their order, one at a time. A batch keeps its sequence
//! however often it is sent, for the broker tells by it what it has already. New sequences (under the next epoch, KIP-360) are
//! given only when nothing is on the wire and the broker has refused the oldest batch for its sequence: then none behind it
//! can have been written either. Source: Kafka `TransactionManager`, `RecordAccumulator`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::accumulator::Queue;
use super::batches::{Batch, Identity, advance};

/// One partition at the sender.
pub(super) struct Lane {
    pub queue: Arc<Queue>,
    /// Taken from the queue, not sent yet for lack of room in a request.
    pub staged: Option<Batch>,
    /// To be sent again, oldest first.
    pub resend: VecDeque<Batch>,
    /// Orders of the batches on the wire.
    pub on_wire: Vec<(u64, u32)>,
    /// Listed among those that may have something to send.
    pub listed: bool,
    /// The earliest time at which it is to be looked at.
    pub timer: Option<Instant>,
    /// Nothing is sent before that.
    pub rests_until: Option<Instant>,
    /// A batch that had a sequence was given up: whether the broker has it is not known.
    pub unresolved: bool,
    /// The broker has refused the oldest batch for its sequence.
    pub refused: bool,
    identity: Option<Identity>,
    next_sequence: i32,
}

/// Whether a lane may send now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum May {
    /// It may.
    Send,
    /// What is on the wire has to come back first.
    Wait,
    /// It needs a new identity first ([`Lane::rename`]).
    Rename,
}

impl Lane {
    pub fn new(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            staged: None,
            resend: VecDeque::new(),
            on_wire: Vec::new(),
            listed: false,
            timer: None,
            rests_until: None,
            unresolved: false,
            refused: false,
            identity: None,
            next_sequence: 0,
        }
    }

    /// Whether something may be sent.
    pub fn may(&self) -> May {
        let again = !self.resend.is_empty();
        let rename = self.refused || (self.unresolved && !again);
        match (rename, self.on_wire.is_empty()) {
            (true, true) => May::Rename,
            (true, false) => May::Wait,
            (false, false) if again => May::Wait,
            _ => May::Send,
        }
    }

    /// Gives every batch that is still to be sent a new sequence under a new identity, beginning with 0.
    pub fn rename(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.next_sequence = 0;
        for batch in self.resend.iter_mut().chain(&mut self.staged) {
            if batch.sequence.is_some() {
                batch.sequence = Some((identity, self.next_sequence));
                self.next_sequence = advance(self.next_sequence, batch.count());
            }
        }
        self.unresolved = false;
        self.refused = false;
    }

    /// Gives a batch its sequence, if it has none.
    pub fn stamp(&mut self, batch: &mut Batch, identity: Identity) {
        if batch.sequence.is_none() {
            let identity = *self.identity.get_or_insert(identity);
            batch.sequence = Some((identity, self.next_sequence));
            self.next_sequence = advance(self.next_sequence, batch.count());
        }
    }

    /// Puts a batch back in its place among those to be sent again.
    pub fn again(&mut self, batch: Batch) {
        let at = self.resend.partition_point(|other| other.order < batch.order);
        self.resend.insert(at, batch);
    }

    /// True if nothing older than this batch is under way.
    pub fn is_oldest(&self, batch: &Batch) -> bool {
        let older = |order: &(u64, u32)| *order < batch.order;
        !self.on_wire.iter().any(older) && self.resend.front().is_none_or(|first| first.order > batch.order)
    }

    /// A batch came back from the wire.
    pub fn came_back(&mut self, batch: &Batch) {
        self.on_wire.retain(|order| *order != batch.order);
    }

    /// Batches that were opened before a time and are not on the wire.
    pub fn take_expired(&mut self, opened_before: Instant) -> Vec<Batch> {
        let mut expired = Vec::new();
        while self.resend.front().is_some_and(|batch| batch.opened < opened_before) {
            expired.extend(self.resend.pop_front());
        }
        if self.staged.as_ref().is_some_and(|batch| batch.opened < opened_before) {
            expired.extend(self.staged.take());
        }
        expired
    }

    /// Every batch that is not on the wire, nor in the queue.
    pub fn take_all(&mut self) -> Vec<Batch> {
        self.resend.drain(..).chain(self.staged.take()).collect()
    }
}
