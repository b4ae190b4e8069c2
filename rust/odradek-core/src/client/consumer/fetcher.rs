//! The fetcher as its owner holds it: assign, seek, pause, poll. All state sits behind one lock, held for moments only; the
//! work on the network is [`super::driver`]'s, on the client's I/O thread.
//!
//! A poll takes a chunk out of the queue, walks it without any lock and gives it back. One chunk is finished before the next
//! is begun; chunks come in the order in which brokers answered, which rotate over their partitions: fair between them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;

use super::budget::Budget;
use super::chunk::{Chunk, Failure, Sink};
use super::column_pool::ColumnPool;
use super::columns::Columns;
use super::driver;
use super::error::FetchError;
use super::metrics::{Levels, Stats};
use super::positions::{Partition, Positions};
use super::settings::FetchSettings;
use crate::client::cluster::Cluster;
use crate::client::error::ClientError;
use crate::doorbell::Doorbell;
use crate::log::types::TopicPartition;

/// Longest rest between two tellings of an error that stays.
const TOLD_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What the threads share.
pub(super) struct Shared {
    pub cluster: Arc<Cluster>,
    pub settings: FetchSettings,
    pub budget: Arc<Budget>,
    /// Wakes the driver.
    pub wake: Arc<Notify>,
    state: Mutex<State>,
    available: Condvar,
    bell: Doorbell,
}

/// Everything behind the lock.
pub(super) struct State {
    pub positions: Positions,
    pub queue: VecDeque<Chunk>,
    /// An error of no partition.
    pub failure: Option<ClientError>,
    pub stats: Stats,
    /// (partition, position, leader epoch) before each chunk of the last poll that gave records; see [`Fetcher::take_back`].
    handed_out: Vec<(TopicPartition, i64, i32)>,
    /// The driver left something undone for lack of room in a partition's share.
    pub held_back: bool,
    pub closed: bool,
    /// Somebody has polled. Before that nothing is fetched: a seek that follows `assign` would have to wait for the answer.
    pub polled: bool,
    woken: bool,
    ringing: bool,
}

impl State {
    fn may_poll(&self, chunk: &Chunk) -> bool {
        let state = self.positions.get(&chunk.partition);
        state.is_some_and(|state| state.generation == chunk.generation && !state.paused && !state.taken)
    }

    fn take_chunk(&mut self) -> Option<Chunk> {
        let place = (0..self.queue.len()).find(|&place| self.may_poll(&self.queue[place]))?;
        let chunk = self.queue.remove(place)?;
        if let Some(state) = self.positions.get_mut(&chunk.partition) {
            state.taken = true;
        }
        Some(chunk)
    }

    /// Drops chunks that no partition stands behind any more.
    pub fn drop_stale(&mut self) {
        let Self { queue, positions, .. } = self;
        queue.retain(|chunk| positions.get(&chunk.partition).is_some_and(|state| state.generation == chunk.generation));
    }

    /// Queues a chunk of a partition that is still of the chunk's generation.
    pub fn push(&mut self, chunk: Chunk) {
        if let Some(state) = self.positions.current(&chunk.partition, chunk.generation) {
            state.chunks += 1;
            state.held_bytes += chunk.bytes;
            self.queue.push_back(chunk);
        }
    }

    /// Queues an error of a partition and stops it until the error was told.
    pub fn fail(&mut self, partition: &TopicPartition, error: FetchError) {
        if let Some(state) = self.positions.get_mut(partition) {
            state.stop();
            let chunk = Chunk::failed(partition.clone(), state.generation, state.fetch_offset, error);
            self.push(chunk);
        }
    }
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Tells pollers and event loops what there is; call with the lock held after any change to the queue.
    pub fn announce(&self, state: &mut State) {
        let ready = state.failure.is_some() || state.closed || state.queue.iter().any(|chunk| state.may_poll(chunk));
        if ready {
            self.available.notify_one();
        }
        if ready != state.ringing {
            state.ringing = ready;
            if ready { self.bell.ring() } else { self.bell.silence() }
        }
    }
}

/// What a wait for records came to.
#[allow(clippy::large_enum_variant)] // made once a poll and taken apart at once
pub enum Next {
    /// Records or an error.
    Chunk(Chunk),
    /// The time ran out.
    Nothing,
    /// [`Fetcher::wakeup`] was called.
    Woken,
}

/// Reads assigned partitions ahead of its owner's polls. Thread-safe.
pub struct Fetcher {
    shared: Arc<Shared>,
    columns: Arc<ColumnPool>,
}

impl Fetcher {
    /// A fetcher on a client's connections; nothing is assigned.
    ///
    /// # Errors
    /// [`ClientError::System`] when the process is out of descriptors, [`ClientError::Forked`].
    pub fn new(cluster: Arc<Cluster>, settings: FetchSettings) -> Result<Self, ClientError> {
        cluster.check_fork()?;
        let bell = Doorbell::new()
            .map_err(|error| ClientError::System { detail: format!("can't open an eventfd: {error}") })?;
        let wake = Arc::new(Notify::new());
        let state = State {
            positions: Positions::new(settings.reset),
            queue: VecDeque::new(),
            failure: None,
            stats: Stats::default(),
            handed_out: Vec::new(),
            held_back: false,
            closed: false,
            polled: false,
            woken: false,
            ringing: false,
        };
        let shared = Arc::new(Shared {
            budget: Budget::new(settings.buffer_max_bytes, Arc::clone(&wake)),
            state: Mutex::new(state),
            available: Condvar::new(),
            cluster,
            settings,
            wake,
            bell,
        });
        shared.cluster.spawn(driver::run(Arc::clone(&shared)));
        Ok(Self { shared, columns: Arc::default() })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, ClientError> {
        self.shared.cluster.check_fork()?;
        let state = self.shared.lock();
        if state.closed { Err(ClientError::Closed) } else { Ok(state) }
    }

    /// Makes these the assigned partitions, each with the offset to begin at (see [`super::positions`]). Partitions that
    /// stay keep position, buffer and pause; what is buffered of the others is dropped.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn assign(&self, wanted: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        let mut state = self.state()?;
        let (came, left) = state.positions.assign(wanted);
        self.shared.budget.set_standing(state.positions.bytes());
        state.drop_stale();
        self.shared.announce(&mut state);
        drop(state);
        for topic in came {
            self.shared.cluster.watch_topic(&topic);
        }
        for topic in left {
            self.shared.cluster.unwatch_topic(&topic);
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Moves a partition (see [`Positions::set`]); what is buffered or under way of it is dropped. False if it isn't assigned.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn set_position(&self, partition: &TopicPartition, offset: i64, epoch: i32) -> Result<bool, ClientError> {
        let mut state = self.state()?;
        let assigned = state.positions.set(partition, offset, epoch);
        state.drop_stale();
        self.shared.announce(&mut state);
        drop(state);
        self.shared.wake.notify_one();
        Ok(assigned)
    }

    /// Pauses (true) or resumes partitions; returns the first that isn't assigned, having changed none.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn set_paused(
        &self,
        partitions: &[TopicPartition],
        paused: bool,
    ) -> Result<Option<TopicPartition>, ClientError> {
        let mut state = self.state()?;
        if let Some(unknown) = partitions.iter().find(|partition| state.positions.get(partition).is_none()) {
            return Ok(Some(unknown.clone()));
        }
        for partition in partitions {
            if let Some(partition) = state.positions.get_mut(partition) {
                partition.paused = paused;
            }
        }
        self.shared.announce(&mut state);
        drop(state);
        self.shared.wake.notify_one();
        Ok(None)
    }

    /// Calls `look` with every assigned partition.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn each(&self, mut look: impl FnMut(&TopicPartition, &Partition)) -> Result<(), ClientError> {
        let state = self.state()?;
        state.positions.iter().for_each(|(partition, state)| look(partition, state));
        Ok(())
    }

    /// (next offset of a poll or -1, leader epoch before it or -1); `None` if the partition isn't assigned.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<(i64, i32)>, ClientError> {
        let state = self.state()?;
        Ok(state.positions.get(partition).map(|state| (state.position, state.epoch)))
    }

    /// Lag of each partition of which it is known: how far its readable end is ahead of the position.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`].
    pub fn lag(&self) -> Result<HashMap<TopicPartition, i64>, ClientError> {
        let committed_only = self.shared.settings.committed_only;
        let state = self.state()?;
        let lags = state.positions.iter();
        Ok(lags.filter_map(|(name, partition)| Some((name.clone(), partition.lag(committed_only)?))).collect())
    }

    /// Every metric by name.
    #[must_use]
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let committed_only = self.shared.settings.committed_only;
        let state = self.shared.lock();
        let partitions = || state.positions.iter().map(|(_, partition)| partition);
        let levels = Levels {
            lag_max: partitions().filter_map(|partition| partition.lag(committed_only)).max().unwrap_or(0),
            buffered_bytes: self.shared.budget.used(),
            buffered_chunks: state.queue.len(),
            partitions: partitions().count(),
            failing: partitions().filter(|partition| partition.failures > 0).count(),
        };
        state.stats.named(&levels)
    }

    /// Makes a poll that waits, or else the next one that would, return without records.
    pub fn wakeup(&self) {
        self.shared.lock().woken = true;
        self.shared.available.notify_one();
    }

    /// Empty columns for at most so many records of a poll. Memory of earlier ones is used again.
    #[must_use]
    pub fn columns(&self, most: usize) -> Columns {
        Columns::new(most, Arc::clone(&self.columns))
    }

    /// A descriptor that is readable while records or errors wait; owned by the fetcher.
    #[must_use]
    pub fn ready_fd(&self) -> i32 {
        self.shared.bell.raw_fd()
    }

    /// Waits for something to poll.
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`], or an error of the whole cluster, told once.
    pub fn next(&self, deadline: Instant) -> Result<Next, ClientError> {
        let mut state = self.state()?;
        if !std::mem::replace(&mut state.polled, true) {
            self.shared.wake.notify_one();
        }
        loop {
            if state.closed {
                return Err(ClientError::Closed);
            }
            if let Some(chunk) = state.take_chunk() {
                return Ok(Next::Chunk(chunk));
            }
            if let Some(error) = state.failure.take() {
                self.shared.announce(&mut state);
                return Err(error);
            }
            if std::mem::take(&mut state.woken) {
                return Ok(Next::Woken);
            }
            if self.shared.available.wait_until(&mut state, deadline).timed_out() {
                let chunk = state.take_chunk();
                return Ok(chunk.map_or(Next::Nothing, Next::Chunk));
            }
        }
    }

    /// Hands at most `most` records to `sink`, from `chunk` on and as long as there are more; returns how many.
    ///
    /// `release` runs what takes long and needs no interpreter.
    ///
    /// # Errors
    /// The partition's error, when no record comes before it; told once, then tried again after a rest.
    pub fn collect<S: Sink>(
        &self,
        mut chunk: Chunk,
        most: usize,
        sink: &mut S,
        release: impl Fn(&mut (dyn FnMut() + Send)),
    ) -> Result<usize, FetchError> {
        let mut count = 0;
        sink.expect(|| chunk.bytes + self.shared.lock().queue.iter().map(|queued| queued.bytes).sum::<usize>());
        loop {
            let before = count;
            while count < most && sink.has_room() && !chunk.is_empty() {
                if chunk.needs_preparing() {
                    release(&mut || chunk.prepare(&self.shared.budget, self.shared.settings.max_batch_bytes));
                }
                count += chunk.walk(most - count, sink);
            }
            if chunk.is_empty() {
                chunk.walk(0, sink);
            }
            let failure = if count == 0 { chunk.take_failure() } else { None };
            let ends = failure.is_some() || chunk.has_failure() || !chunk.is_empty();
            let error = failure.map(|failure| tell(&chunk.partition, failure));
            self.give_back(chunk, error.as_ref(), count - before);
            if let Some(error) = error {
                return Err(error);
            }
            if ends || count >= most {
                return Ok(count);
            }
            let Some(next) = self.shared.lock().take_chunk() else { return Ok(count) };
            chunk = next;
        }
    }

    /// The records that polls have handed out so far are with their reader: [`Fetcher::take_back`] does not bring them again.
    pub fn confirm(&self) {
        if let Ok(mut state) = self.state() {
            state.handed_out.clear();
        }
    }

    /// The records handed out since [`Fetcher::confirm`] did not reach their reader: positions go back before them.
    pub fn take_back(&self) {
        let Ok(mut guard) = self.state() else { return };
        let state = &mut *guard;
        // Backwards, so that a partition ends at its first one. A seek in between may have gone further back.
        while let Some((partition, position, epoch)) = state.handed_out.pop() {
            if state.positions.get(&partition).is_some_and(|now| now.position > position) {
                state.positions.set(&partition, position, epoch);
            }
        }
        state.drop_stale();
        self.shared.announce(state);
        drop(guard);
        self.shared.wake.notify_one();
    }

    fn give_back(&self, mut chunk: Chunk, told: Option<&FetchError>, count: usize) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.stats.records += count as u64;
        let Some(partition) = state.positions.current(&chunk.partition, chunk.generation) else {
            return;
        };
        partition.taken = false;
        let (position, epoch) = chunk.position();
        if count > 0 {
            state.handed_out.push((chunk.partition.clone(), partition.position, partition.epoch));
        }
        if position >= 0 {
            partition.position = position;
            partition.epoch = if epoch >= 0 { epoch } else { partition.epoch };
        }
        let failing = chunk.is_empty() && (told.is_some() || chunk.has_failure());
        if failing {
            // What was fetched behind the failure must not overtake it.
            chunk.generation = state.positions.break_off(&chunk.partition);
            state.drop_stale();
            let Some(partition) = state.positions.get_mut(&chunk.partition) else { return };
            partition.stop();
            (partition.chunks, partition.held_bytes) = (1, chunk.bytes);
        }
        let done = chunk.is_empty() && !chunk.has_failure();
        if !done {
            state.queue.push_front(chunk);
        } else if let Some(partition) = state.positions.get_mut(&chunk.partition) {
            partition.chunks -= 1;
            partition.held_bytes -= chunk.bytes;
            if let Some(error) = told {
                let bad = match error {
                    FetchError::Corrupt { offset, next_offset, .. } => Some((*offset, *next_offset)),
                    _ => None,
                };
                partition.told(bad);
                let base = self.shared.cluster.settings().retry_backoff_max;
                partition.failed(Instant::now(), base, TOLD_BACKOFF_MAX);
            }
        }
        let wake = told.is_some() || (done && std::mem::take(&mut state.held_back));
        self.shared.announce(state);
        drop(guard);
        if wake {
            self.shared.wake.notify_one();
        }
    }

    /// Ends fetching and every waiting poll. Idempotent.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        let (_, left) = state.positions.assign(&[]);
        state.closed = true;
        state.queue.clear();
        self.shared.announce(&mut state);
        self.shared.available.notify_all();
        drop(state);
        for topic in left {
            self.shared.cluster.unwatch_topic(&topic);
        }
        self.shared.wake.notify_one();
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        // In a forked child the lock's state is whatever it was; the child has no threads to tell.
        if self.shared.cluster.check_fork().is_ok() {
            self.close();
        }
    }
}

fn tell(partition: &TopicPartition, failure: Failure) -> FetchError {
    match failure {
        Failure::Fetch(error) => error,
        Failure::Bad(bad) => FetchError::Corrupt {
            partition: partition.clone(),
            offset: bad.offset,
            next_offset: bad.next_offset,
            reason: bad.reason,
        },
    }
}
