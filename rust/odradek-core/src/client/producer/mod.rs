//! The producer: records in on any thread, batches out over the cluster's I/O thread, their fate back to those who ask.
//!
//! | file | job |
//! |---|---|
//! | [`accumulator`] | records into batches, on the caller's thread |
//! | [`many`] | a row of them under one lock |
//! | [`signal`] | telling the sender of them |
//! | [`pool`] | `buffer.memory` and those who wait for it |
//! | [`partitioner`] | Kafka's hash of keys |
//! | [`batches`] | a closed batch: compression, header, splitting |
//! | [`sender`], [`lanes`], [`answers`] | what is sent when, what is under way, what an answer means |
//! | [`desk`], [`outbox`] | which thread does that work; how a request leaves |
//! | [`identity`] | InitProducerId |
//! | [`request`] | Produce requests around the batches |
//! | [`delivery`] | the fate of a batch, shared by its futures; flushing |
//! | [`topics`] | a topic's partitions: finding them, and where keyless records go |
//! | [`settings`], [`metrics`] | options in, numbers out |
//!
//! Nothing here blocks: where a caller has to wait it is told for what, and how to is the caller's affair (a thread sleeps, a
//! coroutine awaits). Transactions: `settings` refuses them; their place is beside `identity` and `lanes`.

pub mod accumulator;
mod answers;
pub mod batches;
pub mod delivery;
mod desk;
mod identity;
mod lanes;
pub mod many;
pub mod metrics;
mod outbox;
pub mod partitioner;
pub mod pool;
pub mod request;
mod sender;
pub mod settings;
pub mod signal;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{ThreadId, current};
use std::time::{Duration, Instant, SystemTime};

use self::accumulator::{Accumulator, NewRecord, Placed};
use self::delivery::{BatchState, Completion, OnFlushed, Outcome};
use self::desk::Desk;
use self::many::Put;
use self::metrics::Metrics;
use self::partitioner::Dice;
use self::pool::{Buffer, BufferPool};
use self::settings::{ProducerSettings, Spread};
use self::topics::{Topic, Topics};
use crate::client::cluster::Cluster;
use crate::client::completion::Completions;
use crate::client::error::ClientError;
use crate::client::settings::ClientSettings;
use crate::record::batch::HEADER_BYTES;

/// What the callers' threads and the sender share.
pub struct Shared {
    /// Options.
    pub settings: ProducerSettings,
    /// Batches that take records.
    pub accumulator: Accumulator,
    /// What is done and watched.
    pub completions: Completions<Completion>,
    /// Counters.
    pub metrics: Metrics,
    cluster: Arc<Cluster>,
    topics: Topics,
    dice: Dice,
    /// Somebody takes completions.
    watched: AtomicBool,
    /// The thread that does, if it is one of ours.
    taker: OnceLock<ThreadId>,
    /// Nothing more is taken.
    closed: AtomicBool,
    /// The sender is to give up what is left.
    closing: AtomicBool,
    /// Where the sender is at work; nothing before it is.
    desk: OnceLock<Weak<Desk>>,
}

impl Shared {
    /// Ends a batch, once; false if it has ended, or went on as several.
    fn end(&self, state: &Arc<BatchState>, outcome: Outcome) -> bool {
        let counter = match outcome {
            Outcome::Failed(_) => &self.metrics.records_failed,
            _ => &self.metrics.records_sent,
        };
        if !state.decide(outcome) {
            return false;
        }
        // Before anybody is told, who may look at the counters.
        Metrics::add(counter, u64::from(state.count()));
        if state.announce(&self.completions) {
            self.accumulator.outstanding.close(state.serial);
        }
        true
    }

    /// Ends a batch, or whatever it went on as.
    fn fail(&self, state: &Arc<BatchState>, error: &ClientError) {
        if !self.end(state, Outcome::Failed(error.clone())) {
            for (_, part) in state.split_into() {
                self.fail(part, error);
            }
        }
    }

    /// Refuses use in a forked child.
    ///
    /// # Errors
    /// [`ClientError::Forked`]
    pub fn check_fork(&self) -> Result<(), ClientError> {
        self.cluster.check_fork()
    }

    /// Somebody waits for a batch: it lingers no longer.
    pub fn hurry(&self, state: &Arc<BatchState>) {
        if self.accumulator.hurry(state) {
            self.work();
        }
    }

    /// Has the sender see to what was just scheduled. True: the caller had better see to it itself, by [`Shared::work`].
    ///
    /// That is so when nothing lingers and nothing is under way: a lone record. While something is, records gather.
    #[must_use]
    pub fn tell(&self) -> bool {
        if self.settings.linger.is_zero() && self.metrics.requests_in_flight.load(Ordering::Relaxed) == 0 {
            return true;
        }
        self.accumulator.signal.ring();
        false
    }

    /// Does the sender's work on this thread: a few system calls that don't block. The caller holds no lock.
    ///
    /// In a forked child nothing happens: the connections are the parent's.
    pub fn work(&self) {
        if self.check_fork().is_err() {
            return;
        }
        match self.desk.get().and_then(Weak::upgrade) {
            Some(desk) => desk.see_to(),
            None => self.accumulator.signal.ring(),
        }
    }

    /// True the first time: whoever asks sees to it that completions are taken.
    pub fn first_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Completions are taken by this thread from now on.
    pub fn take_here(&self) {
        self.taker.get_or_init(|| current().id());
    }

    /// Calls `reached` once all that was pushed so far has been dealt with. False, without a call, if nobody takes
    /// completions, if that is this very thread, or once the producer is closed.
    pub fn mark(&self, reached: OnFlushed) -> bool {
        let taken = self.watched.load(Ordering::Acquire) && self.taker.get() != Some(&current().id());
        let marks = taken && !self.is_closing();
        if marks {
            self.completions.push(0, Completion::Mark(reached));
        }
        marks
    }

    /// True once what is left has been given up.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The rest before attempt `attempt` + 1: it doubles up to a limit, and is spread by a fifth to either side.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.settings.retry_backoff.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let spread = 0.8 + 0.4 * (self.dice.below(1_000) as f64 / 1_000.0);
        doubled.min(self.settings.retry_backoff_max).mul_f64(spread)
    }
}

/// What sending a record came to.
pub enum Sent {
    /// It is in a batch.
    Placed(Placed),
    /// There is no room for a new batch of so many bytes.
    NeedsRoom(usize),
    /// The topic has no partition of that number, as far as is known.
    NoSuchPartition,
}

/// A producer. Thread-safe.
pub struct Producer {
    shared: Arc<Shared>,
}

impl Producer {
    /// Starts a producer with a cluster of its own; connects when the first topic is asked for.
    ///
    /// # Errors
    /// [`ClientError::Setting`] by name; [`ClientError::System`] without a thread.
    pub fn open(texts: &BTreeMap<String, String>) -> Result<Self, ClientError> {
        let settings = ProducerSettings::parse(texts)?;
        let cluster = Cluster::open(ClientSettings::parse(texts)?)?;
        let pool = BufferPool::new(settings.buffer_memory, settings.batch_size);
        let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let completions = Completions::new()
            .map_err(|error| ClientError::System { detail: format!("no descriptor for completions: {error}") })?;
        let shared = Arc::new(Shared {
            accumulator: Accumulator::new(settings.batch_size, settings.max_request_size, settings.linger, pool),
            completions,
            metrics: Metrics::default(),
            topics: Topics::new(),
            dice: Dice::new(u64::from(seed) ^ u64::from(std::process::id()) << 32),
            watched: AtomicBool::new(false),
            taker: OnceLock::new(),
            closed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            desk: OnceLock::new(),
            cluster: Arc::clone(&cluster),
            settings,
        });
        let desk = Desk::new(&shared);
        shared.desk.get_or_init(|| Arc::downgrade(&desk));
        cluster.spawn(desk.run());
        Ok(Self { shared })
    }

    /// What the callers' threads and the sender share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Refuses use in a forked child, and after [`Producer::close`].
    ///
    /// # Errors
    /// [`ClientError::Forked`] or [`ClientError::Closed`].
    #[inline]
    pub fn check(&self) -> Result<(), ClientError> {
        self.shared.cluster.check_fork()?;
        if self.shared.closed.load(Ordering::Relaxed) { Err(ClientError::Closed) } else { Ok(()) }
    }

    /// A topic that has been found before.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.shared.topics.get(name)
    }

    /// Lets `look` borrow a topic that has been found before: cheaper than [`Producer::topic`] for a topic that the same
    /// thread borrows again and again.
    #[inline]
    pub fn with_topic<T>(&self, name: &str, look: impl FnOnce(&Topic) -> T) -> Option<T> {
        self.shared.topics.with(name, look)
    }

    /// Finds a topic's partitions, at least `partitions` of them, by `deadline`; makes the topic if brokers do that.
    /// `done` is called on the I/O thread; never, if the producer is closed meanwhile.
    pub fn find_topic(
        &self,
        name: &str,
        partitions: usize,
        deadline: Instant,
        done: impl FnOnce(Result<Arc<Topic>, ClientError>) + Send + 'static,
    ) {
        let (shared, name) = (Arc::clone(&self.shared), Arc::from(name));
        self.shared.cluster.spawn(async move {
            done(topics::find(&shared, name, partitions, deadline).await);
        });
    }

    /// Refuses a record that can't be sent whatever is waited for.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`]
    #[inline]
    pub fn check_size(&self, record: &NewRecord<'_>) -> Result<(), ClientError> {
        let size = record.size_bound() + HEADER_BYTES;
        let settings = &self.shared.settings;
        if size <= settings.max_request_size && size <= settings.buffer_memory {
            return Ok(());
        }
        let (name, limit) = if size > settings.max_request_size {
            ("max_request_size", settings.max_request_size)
        } else {
            ("buffer_memory", settings.buffer_memory)
        };
        let detail = format!("a record of {size} bytes with its overhead is over {name}, {limit}; it was not sent");
        Err(ClientError::TooLarge { detail })
    }

    /// The partition that `record` goes to if nobody says another; `None` = the sticky one.
    #[inline]
    #[must_use]
    pub fn choose(&self, topic: &Topic, record: &NewRecord<'_>) -> Option<usize> {
        match (self.shared.settings.spread, record.key) {
            (Spread::RoundRobin, _) => Some(topic.next_in_turn()),
            (Spread::HashOrSticky, Some(key)) => Some(partitioner::of_key(key, topic.queues().len())),
            (Spread::HashOrSticky, None) => None,
        }
    }

    /// Puts a record, which [`Producer::check_size`] has passed, into its batch. `spare`: a buffer that was waited for.
    ///
    /// # Errors
    /// [`ClientError::Batch`] for a record that no batch can hold.
    #[inline]
    pub fn send(
        &self,
        topic: &Topic,
        partition: Option<usize>,
        record: &NewRecord<'_>,
        spare: &mut Option<Buffer>,
    ) -> Result<Sent, ClientError> {
        let target = partition.or_else(|| self.choose(topic, record));
        let mut held = None;
        let put = self.put(topic, target, record, spare, &mut held, |state, index| (Arc::clone(state), index));
        if !matches!(put, Ok(Put::In { .. })) {
            // The caller is told of nothing: the sender has to be, here.
            self.let_go(&mut held);
        }
        Ok(match put? {
            Put::In { place: (state, index), .. } => {
                let tell = held.is_some_and(|(_, appender)| appender.release());
                Sent::Placed(Placed { state, index, tell })
            }
            Put::NeedsRoom(bytes) => Sent::NeedsRoom(bytes),
            Put::NoSuchPartition => Sent::NoSuchPartition,
        })
    }

    /// Everything sent before goes out at once; returns the mark that `shared().accumulator.outstanding` waits for.
    #[must_use]
    pub fn flush(&self) -> u64 {
        self.shared.accumulator.flush()
    }

    /// The partitions known of a topic and their leaders (-1 = none).
    #[must_use]
    pub fn leaders(&self, topic: &str) -> Vec<i32> {
        let view = self.shared.cluster.metadata();
        view.topics.get(topic).map_or_else(Vec::new, |topic| topic.partitions.iter().map(|p| p.leader).collect())
    }

    /// Takes no more records from now on. True the first time.
    pub fn stop_taking(&self) -> bool {
        !self.shared.closed.swap(true, Ordering::AcqRel)
    }

    /// Ends the sender, fails what is not delivered and stops the I/O thread. Idempotent; nothing happens in a forked child.
    pub fn close(&self) {
        self.stop_taking();
        if self.shared.cluster.check_fork().is_err() || self.shared.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.shared.accumulator.pool.close();
        self.shared.accumulator.signal.ring();
        self.shared.cluster.close(Duration::ZERO);
        self.fail_rest();
    }

    /// Fails what came in while the producer was being closed.
    pub fn fail_rest(&self) {
        if self.shared.closing.load(Ordering::Acquire) {
            for state in self.shared.accumulator.outstanding.all() {
                self.shared.fail(&state, &ClientError::Closed);
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod test_support {
    //! Batches of a few records, without a sender.

    use std::sync::{Arc, Weak};
    use std::time::Duration;

    use super::accumulator::{Accumulator, NewRecord, Pushed, Queue};
    use super::delivery::BatchState;
    use super::pool::BufferPool;

    /// Where a record was put, and what that came to.
    pub struct Placed {
        pub state: Arc<BatchState>,
        pub crossed: bool,
        pub tell: bool,
    }

    pub fn accumulator(batch_size: usize, memory: usize, linger: Duration) -> Accumulator {
        Accumulator::new(batch_size, 1 << 20, linger, BufferPool::new(memory, batch_size))
    }

    pub fn queue(accumulator: &Accumulator, topic: &str, index: i32) -> Arc<Queue> {
        accumulator.queue(&Arc::from(topic), index, Weak::new())
    }

    pub fn record(value: &[u8]) -> NewRecord<'_> {
        NewRecord { timestamp_ms: 1_700_000_000_000, key: None, value: Some(value), headers: &[] }
    }

    pub fn put(accumulator: &Accumulator, queue: &Arc<Queue>, value: &[u8]) -> Option<Placed> {
        put_record(accumulator, queue, &record(value))
    }

    pub fn put_record(accumulator: &Accumulator, queue: &Arc<Queue>, record: &NewRecord<'_>) -> Option<Placed> {
        let mut appender = accumulator.appender(queue);
        let (state, crossed) = match appender.push(record, &mut None, false).expect("a record") {
            Pushed::In { state, crossed, .. } => (Arc::clone(state), crossed),
            Pushed::NeedsRoom(_) | Pushed::NothingOpen => return None,
        };
        Some(Placed { state, crossed, tell: appender.release() })
    }
}

#[cfg(test)]
mod tests {
    use super::delivery::Delivered;
    use super::test_support::{accumulator, queue};
    use super::*;

    #[test]
    fn closing_fails_a_batch_and_the_parts_of_a_split_one_each_once() {
        let texts = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]);
        let producer = Producer::open(&texts).expect("opens");
        let (shared, batches) = (producer.shared(), accumulator(1_000, 10_000, Duration::ZERO));
        let queue = queue(&batches, "t", 0);
        let outstanding = &shared.accumulator.outstanding;
        let [whole, split] = [outstanding.open(&queue), outstanding.open(&queue)];
        whole.set_count(4);
        let parts = BatchState::parts(&split, &[3, 2]);
        assert!(shared.end(&parts[0], Outcome::Written { base_offset: 7, append_time_ms: None }));
        producer.close();
        producer.fail_rest();
        assert!(matches!(whole.record(0), Some(Err(ClientError::Closed))));
        assert!(matches!(split.record(2), Some(Ok(Delivered { offset: 9, .. }))));
        assert!(matches!(split.record(3), Some(Err(ClientError::Closed))));
        assert!(whole.is_done() && split.is_done() && outstanding.count() == 0);
        let counted = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((counted(&shared.metrics.records_sent), counted(&shared.metrics.records_failed)), (3, 6));
    }
}
