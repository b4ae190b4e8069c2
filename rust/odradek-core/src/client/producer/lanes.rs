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
    /// Taken from the queue, not sent yet: there was no room in a request, or it had to be compressed first.
    pub staged: Option<Batch>,
    /// Another thread compresses a batch that was taken from the queue: the next one to be staged.
    pub packing: bool,
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
            packing: false,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::accumulator::Accumulator;
    use super::super::test_support::{accumulator, put, queue};
    use super::*;

    const FIRST: Identity = Identity { id: 9, epoch: 0 };
    const SECOND: Identity = Identity { id: 9, epoch: 1 };

    struct World {
        batches: Accumulator,
        lane: Lane,
    }

    impl World {
        fn new() -> Self {
            let batches = accumulator(1_000, 1_000_000, Duration::ZERO);
            let lane = Lane::new(queue(&batches, "t", 0));
            Self { batches, lane }
        }

        /// A batch of `count` records, sent.
        fn sent(&mut self, count: usize) -> Batch {
            for _ in 0..count {
                put(&self.batches, &self.lane.queue, b"x").expect("room");
            }
            let (batch, _) = self.batches.take(&self.lane.queue, Instant::now(), true);
            let mut batch = batch.expect("a batch");
            self.lane.stamp(&mut batch, FIRST);
            self.lane.on_wire.push(batch.order);
            batch
        }
    }

    fn sequences(lane: &Lane) -> Vec<(i16, i32)> {
        lane.resend.iter().filter_map(|batch| batch.sequence.map(|(id, base)| (id.epoch, base))).collect()
    }

    #[test]
    fn failed_batches_go_again_in_their_order_with_their_sequences_one_at_a_time() {
        let mut world = World::new();
        let [first, second, third] = [3, 2, 1].map(|count| world.sent(count));
        let lane = &mut world.lane;
        for batch in [third, first, second] {
            lane.came_back(&batch);
            lane.again(batch);
        }
        assert_eq!(sequences(lane), [(0, 0), (0, 3), (0, 5)]);
        assert_eq!(lane.may(), May::Send);
        let mut first = lane.resend.pop_front().expect("a batch");
        lane.stamp(&mut first, SECOND);
        assert_eq!(first.sequence, Some((FIRST, 0)), "a sequence is kept");
        lane.on_wire.push(first.order);
        assert_eq!(lane.may(), May::Wait, "the second one waits for the first");
    }

    #[test]
    fn only_the_oldest_batch_shows_by_its_refusal_that_the_broker_misses_something() {
        let mut world = World::new();
        let [first, second] = [1, 1].map(|count| world.sent(count));
        let lane = &mut world.lane;
        lane.came_back(&second);
        assert!(!lane.is_oldest(&second), "the first is on the wire");
        lane.again(second);
        lane.came_back(&first);
        assert!(lane.is_oldest(&first));
        lane.again(first);
        let second = lane.resend.pop_back().expect("a batch");
        assert!(!lane.is_oldest(&second), "the first is to be sent again");
    }

    #[test]
    fn new_sequences_wait_until_nothing_is_on_the_wire_and_begin_with_0() {
        let mut world = World::new();
        let [first, second] = [4, 1].map(|count| world.sent(count));
        let lane = &mut world.lane;
        lane.came_back(&first);
        lane.refused = true;
        lane.again(first);
        assert_eq!(lane.may(), May::Wait);
        lane.came_back(&second);
        lane.again(second);
        assert_eq!(lane.may(), May::Rename);
        lane.rename(SECOND);
        assert_eq!(sequences(lane), [(1, 0), (1, 4)]);
        let third = world.sent(1);
        assert_eq!(third.sequence, Some((SECOND, 5)));
    }

    #[test]
    fn after_a_batch_was_given_up_what_was_sent_before_keeps_its_sequence_until_it_is_settled() {
        let mut world = World::new();
        let [first, second] = [1, 1].map(|count| world.sent(count));
        let lane = &mut world.lane;
        lane.came_back(&first);
        lane.came_back(&second);
        lane.unresolved = true;
        drop(first);
        lane.again(second);
        assert_eq!(lane.may(), May::Send, "the second may have been written: the broker tells by its sequence");
        assert_eq!(sequences(lane), [(0, 1)]);
        lane.resend.clear();
        assert_eq!(lane.may(), May::Rename, "what comes next must not hang on the gap");
    }
}
