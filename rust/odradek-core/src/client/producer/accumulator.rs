//! Records into batches, on the caller's thread: one lock a record, its partition's, and no allocation but the batch's.
//!
//! A partition has one open batch. From `batch.size` on it is ready to go, but it takes more records until the sender comes for
//! it, up to [`GROWTH`] times that size: the slower the broker, the larger the batches. What is full waits closed behind it.
//! One that filled so fast that a few times `batch.size` will be there in a fraction of `linger.ms` gathers that first: a
//! request costs both sides more than the records in it.
//! The sender ([`super::sender`]) is woken when a batch gets ready, or is opened while it sleeps for long: not for a record.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::Shared;
use super::batches::Batch;
use super::delivery::{BatchState, Outstanding};
use super::pool::{Buffer, BufferPool};
use super::signal::Signal;
use crate::client::error::ClientError;
use crate::record::batch::HEADER_BYTES;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::reader::Header;

/// How many times `batch.size` a batch may reach while the sender is busy.
const GROWTH: usize = 16;
/// How many times `batch.size` a batch gathers that fills fast.
const GATHERED: usize = 4;
/// What part of `linger.ms` gathering may take.
const GATHERING: u32 = 5;
/// Fewer records in a batch say nothing of how fast they come.
const TELLING: i32 = 8;
/// Most that a record's own fields take beside key, value and headers: five varints, a varlong and a byte.
const RECORD_OVERHEAD: usize = 5 * 5 + 10 + 1;
/// Most that a header's two lengths take.
const HEADER_OVERHEAD: usize = 10;

/// A record that is being sent.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Its time, ms since 1970.
    pub timestamp_ms: i64,
    /// Key, if not null.
    pub key: Option<&'a [u8]>,
    /// Value, if not null.
    pub value: Option<&'a [u8]>,
    /// Headers in their order.
    pub headers: &'a [Header<'a>],
}

impl NewRecord<'_> {
    /// The most bytes that it takes in a batch.
    #[must_use]
    pub fn size_bound(&self) -> usize {
        let headers =
            self.headers.iter().map(|header| HEADER_OVERHEAD + header.key.len() + header.value.map_or(0, <[u8]>::len));
        RECORD_OVERHEAD + self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers.sum::<usize>()
    }
}

/// One partition's records that are not on their way yet.
pub struct Queue {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub index: i32,
    /// Where the sender keeps what it knows of the partition.
    pub(super) lane: OnceLock<usize>,
    /// True while the partition has a leader, as far as is known.
    pub(super) available: AtomicBool,
    producer: Weak<Shared>,
    inner: Mutex<QueueInner>,
}

impl Queue {
    /// What the partition's producer shares; `None` once that is gone, and every batch has ended with it.
    #[must_use]
    pub fn producer(&self) -> Option<Arc<Shared>> {
        self.producer.upgrade()
    }
}

struct QueueInner {
    open: Option<OpenBatch>,
    full: VecDeque<Batch>,
    /// It is on the sender's list, and the sender hasn't looked yet.
    scheduled: bool,
    /// Somebody waits for the open batch: it lingers no longer.
    hurried: bool,
    /// The largest that a batch may grow to.
    limit: usize,
}

struct OpenBatch {
    builder: BatchBuilder,
    /// Holds the room; the bytes are the builder's meanwhile.
    buffer: Buffer,
    state: Arc<BatchState>,
    opened: Instant,
    /// It fills fast and goes later than others, and larger.
    gathers: bool,
}

impl OpenBatch {
    /// Takes room for so many bytes in all at once, if there is some.
    fn make_room(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.buffer.room());
        if self.buffer.try_grow(more) {
            self.builder.make_room(bytes);
        }
    }

    fn close(self) -> Batch {
        Batch::close(self.state, self.opened, self.builder.into_records(), self.buffer)
    }
}

/// Where a record was put.
pub struct Placed {
    /// Its batch.
    pub state: Arc<BatchState>,
    /// Its place in the batch.
    pub index: u32,
    /// The caller has to tell the sender ([`Shared::tell`]).
    pub tell: bool,
}

/// What pushing a record came to.
pub(super) enum Pushed<'a> {
    /// It is in this batch, at this place. `crossed`: the batch has reached (another) `batch.size` with it, so that keyless
    /// records go elsewhere now.
    In { state: &'a Arc<BatchState>, index: u32, crossed: bool },
    /// There is no room for a new batch of so many bytes.
    NeedsRoom(usize),
    /// There is no open batch, and the caller wanted to know before one is opened.
    NothingOpen,
}

/// What the sender finds when it looks at a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is there.
    Empty,
    /// A batch may go.
    Ready,
    /// The open batch may go at that time.
    Lingers(Instant),
}

/// The batches of all partitions of one producer.
pub struct Accumulator {
    batch_size: usize,
    growth_limit: usize,
    linger: Duration,
    /// `buffer.memory`
    pub pool: Arc<BufferPool>,
    /// Batches that are not done.
    pub outstanding: Outstanding,
    /// The sender's doorbell.
    pub signal: Signal,
    /// Batches whose serial is below this linger no longer.
    flush_mark: AtomicU64,
}

impl Accumulator {
    /// An empty one.
    #[must_use]
    pub fn new(batch_size: usize, max_request_size: usize, linger: Duration, pool: Arc<BufferPool>) -> Self {
        let growth_limit = (batch_size.saturating_mul(GROWTH)).min(max_request_size / 2).max(batch_size);
        Self {
            batch_size,
            growth_limit,
            linger,
            pool,
            outstanding: Outstanding::default(),
            signal: Signal::default(),
            flush_mark: AtomicU64::new(0),
        }
    }

    /// The queue of a partition.
    pub(super) fn queue(&self, topic: &Arc<str>, index: i32, producer: Weak<Shared>) -> Arc<Queue> {
        Arc::new(Queue {
            topic: Arc::clone(topic),
            index,
            lane: OnceLock::new(),
            available: AtomicBool::new(true),
            producer,
            inner: Mutex::new(QueueInner {
                open: None,
                full: VecDeque::new(),
                scheduled: false,
                hurried: false,
                limit: self.growth_limit,
            }),
        })
    }

    /// Holds a partition's lock to append records.
    pub(super) fn appender<'a>(&'a self, queue: &'a Arc<Queue>) -> Appender<'a> {
        Appender { accumulator: self, queue, inner: queue.inner.lock(), ready: false, lingers: None }
    }

    /// Everything sent before is to go at once. Returns the mark to wait for.
    pub fn flush(&self) -> u64 {
        let mark = self.outstanding.mark();
        self.flush_mark.fetch_max(mark, Ordering::AcqRel);
        self.signal.recheck();
        mark
    }

    /// A batch is waited for: it need not linger. True if it did; then the sender is to be told.
    pub(super) fn hurry(&self, state: &Arc<BatchState>) -> bool {
        if self.linger.is_zero() {
            return false;
        }
        let queue = &state.queue;
        let mut inner = queue.inner.lock();
        let is_open = inner.open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.state, state));
        if !is_open || inner.hurried {
            return false;
        }
        inner.hurried = true;
        let list = !std::mem::replace(&mut inner.scheduled, true);
        drop(inner);
        if list {
            self.signal.list(queue);
        }
        true
    }

    /// What there is to send at `now`. `everything`: nothing lingers.
    pub(super) fn look(&self, queue: &Queue, now: Instant, everything: bool) -> Look {
        let mut inner = queue.inner.lock();
        inner.scheduled = false;
        self.look_inside(&inner, now, everything)
    }

    fn look_inside(&self, inner: &QueueInner, now: Instant, everything: bool) -> Look {
        if !inner.full.is_empty() {
            return Look::Ready;
        }
        let Some(open) = &inner.open else { return Look::Empty };
        let until = self.goes_by(open);
        let ready = everything
            || inner.hurried
            || until <= now
            || open.builder.uncompressed_bytes() >= self.goes_at(open)
            || open.state.serial < self.flush_mark.load(Ordering::Acquire);
        if ready { Look::Ready } else { Look::Lingers(until) }
    }

    /// When a batch goes at the latest.
    fn goes_by(&self, open: &OpenBatch) -> Instant {
        open.opened + if open.gathers { self.linger / GATHERING } else { self.linger }
    }

    /// With how many bytes a batch goes.
    fn goes_at(&self, open: &OpenBatch) -> usize {
        if open.gathers { self.batch_size * GATHERED } else { self.batch_size }
    }

    /// True if a batch that has reached `batch.size` may grow to `limit`, and will be [`GATHERED`] times that large in time.
    fn fills_fast(&self, open: &OpenBatch, limit: usize) -> bool {
        open.builder.count() >= TELLING
            && self.batch_size * GATHERED <= limit
            && open.opened.elapsed() * GATHERED as u32 <= self.linger / GATHERING
    }

    /// Takes the oldest batch that may go, and says what is left.
    pub(super) fn take(&self, queue: &Queue, now: Instant, everything: bool) -> (Option<Batch>, Look) {
        let mut inner = queue.inner.lock();
        let batch = match self.look_inside(&inner, now, everything) {
            Look::Ready => inner.full.pop_front().or_else(|| {
                inner.hurried = false;
                inner.open.take().map(OpenBatch::close)
            }),
            Look::Empty | Look::Lingers(_) => None,
        };
        (batch, self.look_inside(&inner, now, everything))
    }

    /// Takes the oldest batch if it was opened before `opened_before`.
    pub(super) fn take_expired(&self, queue: &Queue, opened_before: Instant) -> Option<Batch> {
        let mut inner = queue.inner.lock();
        match inner.full.front() {
            Some(batch) if batch.opened < opened_before => inner.full.pop_front(),
            Some(_) => None,
            None if inner.open.as_ref().is_some_and(|open| open.opened < opened_before) => {
                inner.open.take().map(OpenBatch::close)
            }
            None => None,
        }
    }

    /// Batches of the partition grow no more: the broker found one too large.
    pub(super) fn stop_growth(&self, queue: &Queue) {
        queue.inner.lock().limit = self.batch_size;
    }
}

/// A partition's lock, held to append.
pub struct Appender<'a> {
    accumulator: &'a Accumulator,
    queue: &'a Arc<Queue>,
    inner: MutexGuard<'a, QueueInner>,
    /// A batch is ready to go.
    ready: bool,
    /// A batch was opened that may go at that time.
    lingers: Option<Instant>,
}

impl Appender<'_> {
    /// Puts a record at the end. `spare`: a buffer for a new batch, if one was waited for.
    ///
    /// # Errors
    /// [`ClientError::Batch`] for a record that no batch can hold.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: &NewRecord<'_>,
        spare: &mut Option<Buffer>,
        only_if_open: bool,
    ) -> Result<Pushed<'_>, ClientError> {
        let size = record.size_bound();
        let inner = &mut *self.inner;
        let full = inner.open.as_mut().is_some_and(|open| !has_room(open, size, inner.limit));
        if full && let Some(open) = inner.open.take() {
            inner.full.push_back(open.close());
            inner.hurried = false;
            self.ready = true;
        }
        let batch_size = self.accumulator.batch_size;
        let open = match &mut inner.open {
            Some(open) => open,
            none => {
                if only_if_open {
                    return Ok(Pushed::NothingOpen);
                }
                let bytes = batch_size.max(size + HEADER_BYTES);
                let buffer = match spare.take().or_else(|| self.accumulator.pool.try_take(bytes)) {
                    Some(buffer) => buffer,
                    None => return Ok(Pushed::NeedsRoom(bytes)),
                };
                let open = none.insert(self.accumulator.open(self.queue, buffer));
                self.lingers = Some(open.opened + self.accumulator.linger);
                self.ready |= self.accumulator.linger.is_zero();
                open
            }
        };
        let before = open.builder.uncompressed_bytes();
        let index = open.builder.count();
        open.builder
            .push(record.timestamp_ms, record.key, record.value, record.headers.iter().copied())
            .map_err(|error| ClientError::Batch { what: format!("record for topic {}", self.queue.topic), error })?;
        open.state.set_count(index as u32 + 1);
        let after = open.builder.uncompressed_bytes();
        if before < batch_size && after >= batch_size && self.accumulator.fills_fast(open, inner.limit) {
            open.gathers = true;
            open.make_room(self.accumulator.goes_at(open) + batch_size / 4);
            self.lingers = Some(self.accumulator.goes_by(open));
        }
        let goes_at = self.accumulator.goes_at(open);
        let ready = after >= goes_at;
        self.ready |= ready && before < goes_at;
        let crossed = ready && (goes_at == 0 || after / goes_at != before / goes_at);
        Ok(Pushed::In { state: &open.state, index: index as u32, crossed })
    }

    /// Lets the lock go; true if the sender is to be told: not of a batch that lingers longer than the sender sleeps.
    #[must_use]
    pub(super) fn release(mut self) -> bool {
        if !self.ready && self.lingers.is_none() {
            return false;
        }
        let list = !std::mem::replace(&mut self.inner.scheduled, true);
        drop(self.inner);
        let signal = &self.accumulator.signal;
        if list {
            signal.list(self.queue);
        }
        self.ready || self.lingers.is_some_and(|until| signal.sleeps_past(until))
    }
}

impl Accumulator {
    fn open(&self, queue: &Arc<Queue>, mut buffer: Buffer) -> OpenBatch {
        let builder = BatchBuilder::with_buffer(BatchOptions::default(), std::mem::take(&mut buffer.bytes));
        OpenBatch { builder, buffer, state: self.outstanding.open(queue), opened: Instant::now(), gathers: false }
    }
}

/// True if a record of `size` bytes at most may join the batch; takes more room for it if it must.
fn has_room(open: &mut OpenBatch, size: usize, limit: usize) -> bool {
    let after = open.builder.uncompressed_bytes() + size;
    after <= limit && (after <= open.buffer.room() || open.buffer.try_grow(open.buffer.room().max(size)))
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{accumulator, put, put_record, queue, record};
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_batch_lingers_until_it_is_full_or_hurried_or_flushed() {
        let batches = accumulator(1_000, 100_000, LONG);
        let [full, hurried, flushed] = [0, 1, 2].map(|index| queue(&batches, "t", index));
        let now = Instant::now();
        for queue in [&full, &hurried, &flushed] {
            let placed = put(&batches, queue, b"x").expect("room");
            assert!(matches!(batches.look(queue, now, false), Look::Lingers(until) if until > now));
            assert!(!placed.crossed);
        }
        let crossed = put(&batches, &full, &[0; 950]).expect("room");
        assert!(crossed.crossed);
        assert_eq!(batches.look(&full, now, false), Look::Ready);
        assert!(matches!(batches.look(&hurried, now, false), Look::Lingers(_)));
        let state = Arc::clone(&put(&batches, &hurried, b"y").expect("room").state);
        batches.hurry(&state);
        assert_eq!(batches.look(&hurried, now, false), Look::Ready);
        assert!(matches!(batches.look(&flushed, now, false), Look::Lingers(_)));
        assert_eq!(batches.flush(), 3);
        assert_eq!(batches.look(&flushed, now, false), Look::Ready);
        assert_eq!(batches.look(&flushed, now + LONG, false), Look::Ready);
    }

    /// Puts records of 100 bytes until the batch has `bytes` or more; returns whether any of them crossed, and was to be told.
    fn fill(batches: &Accumulator, queue: &Arc<Queue>, bytes: usize) -> (bool, bool) {
        let (mut crossed, mut tell) = (false, false);
        while queue.inner.lock().open.as_ref().is_none_or(|open| open.builder.uncompressed_bytes() < bytes) {
            let placed = put(batches, queue, &[0; 100]).expect("room");
            crossed |= placed.crossed;
            tell |= placed.tell;
        }
        (crossed, tell)
    }

    #[test]
    fn a_batch_that_fills_fast_gathers_four_times_the_size_for_a_fifth_of_the_linger_at_most() {
        let batches = accumulator(2_000, 100_000, LONG);
        let queue = queue(&batches, "t", 0);
        let now = Instant::now();
        assert!(!fill(&batches, &queue, 2_000).0, "keyless records stay");
        assert!(matches!(batches.look(&queue, now, false), Look::Lingers(until) if until <= Instant::now() + LONG / 5));
        assert_eq!(batches.look(&queue, now + LONG / 5 + Duration::from_secs(60), false), Look::Ready);
        assert_eq!(batches.look(&queue, now, true), Look::Ready, "in haste nothing waits");
        assert_eq!(fill(&batches, &queue, 8_000), (true, true));
        assert_eq!(batches.look(&queue, now, false), Look::Ready);
        let (batch, _) = batches.take(&queue, now, false);
        assert!(batch.is_some_and(|batch| batch.size() >= 8_000));
    }

    #[test]
    fn a_batch_goes_at_its_size_when_it_fills_slowly_or_with_few_records_or_may_not_grow_or_lingers_not_at_all() {
        let now = Instant::now();
        let batches = accumulator(2_000, 100_000, LONG);
        let [slow, few, small] = [0, 1, 2].map(|index| queue(&batches, "t", index));
        put(&batches, &slow, b"x").expect("room");
        slow.inner.lock().open.as_mut().expect("open").opened -= LONG / 20 + Duration::from_secs(1);
        assert_eq!(fill(&batches, &slow, 2_000), (true, true));
        for _ in 0..3 {
            put(&batches, &few, &[0; 700]).expect("room");
        }
        batches.stop_growth(&small);
        fill(&batches, &small, 1_900);
        put(&batches, &small, &[0; 100]).expect("room");
        let at_once = accumulator(2_000, 100_000, Duration::ZERO);
        let hasty = super::super::test_support::queue(&at_once, "t", 0);
        assert_eq!(fill(&at_once, &hasty, 2_000), (true, true));
        for (batches, queue) in [(&batches, &slow), (&batches, &few), (&batches, &small), (&at_once, &hasty)] {
            assert_eq!(batches.look(queue, now, false), Look::Ready, "partition {}", queue.index);
        }
    }

    #[test]
    fn a_batch_that_nobody_fetches_grows_and_then_waits_closed_before_the_next() {
        let batches = accumulator(1_000, 1_000_000, LONG);
        let queue = queue(&batches, "t", 0);
        for _ in 0..400 {
            put(&batches, &queue, &[7; 90]).expect("room");
        }
        let mut sizes = Vec::new();
        while let (Some(batch), _) = batches.take(&queue, Instant::now(), true) {
            sizes.push((batch.size(), batch.count()));
        }
        assert_eq!(sizes.iter().map(|(_, count)| count).sum::<i32>(), 400);
        assert_eq!(sizes.len(), 3, "{sizes:?}");
        assert!(sizes[0].0 > 15_000 && sizes[0].0 <= 1_000 * GROWTH, "{sizes:?}");
        assert_eq!(batches.pool.available(), 1_000_000, "nothing is held once the batches are gone");
    }

    #[test]
    fn growth_stops_where_the_broker_found_a_batch_too_large() {
        let batches = accumulator(1_000, 1_000_000, LONG);
        let queue = queue(&batches, "t", 0);
        batches.stop_growth(&queue);
        for _ in 0..40 {
            put(&batches, &queue, &[7; 90]).expect("room");
        }
        let (batch, _) = batches.take(&queue, Instant::now(), false);
        assert!(batch.expect("a batch").size() <= 1_000);
    }

    #[test]
    fn without_room_nothing_is_taken_and_nothing_is_lost() {
        let batches = accumulator(1_000, 1_500, LONG);
        let [first, second] = [0, 1].map(|index| queue(&batches, "t", index));
        put(&batches, &first, b"in").expect("room");
        assert!(put(&batches, &second, b"out").is_none());
        assert_eq!(batches.look(&second, Instant::now(), true), Look::Empty);
        drop(batches.take(&first, Instant::now(), true));
        put(&batches, &second, b"in").expect("room again");
    }

    #[test]
    fn the_sender_is_told_once_for_an_opened_batch_and_once_for_a_full_one() {
        let batches = accumulator(1_000, 100_000, LONG);
        let queue = queue(&batches, "t", 0);
        let told = || batches.signal.take().0.len();
        put(&batches, &queue, b"x");
        put(&batches, &queue, b"x");
        assert_eq!(told(), 1);
        batches.look(&queue, Instant::now(), false);
        put(&batches, &queue, b"x");
        assert_eq!(told(), 0);
        put(&batches, &queue, &[0; 950]);
        put(&batches, &queue, b"x");
        assert_eq!(told(), 1);
    }

    #[test]
    fn an_opened_batch_rings_for_the_sender_only_if_that_sleeps_past_its_linger() {
        let batches = accumulator(1_000, 100_000, LONG);
        let [first, second, third] = [0, 1, 2].map(|index| queue(&batches, "t", index));
        let told = |queue, value: &[u8]| put(&batches, queue, value).expect("room").tell;
        assert!(told(&first, b"x"), "nobody has said how long the sender sleeps");
        let now = Instant::now();
        assert!(!batches.signal.sleep_until(now + LONG), "it must look at the list first");
        batches.signal.take();
        assert!(batches.signal.sleep_until(now + LONG));
        assert!(!told(&second, b"x"), "it wakes before that batch has lingered");
        assert!(!batches.signal.sleep_until(now + 2 * LONG));
        assert!(told(&third, b"x"), "it would be late");
        assert!(told(&second, &[0; 950]), "a full batch goes at once");
    }

    #[test]
    fn the_bound_of_a_record_is_never_below_what_it_takes() {
        let batches = accumulator(10, 10_000_000, LONG);
        let queue = queue(&batches, "t", 0);
        for length in [0, 1, 63, 64, 8_191, 8_192, 100_000] {
            let value = vec![1; length];
            let header = [Header { key: b"name", value: Some(&value) }];
            let record = NewRecord { key: Some(&value), headers: &header, ..record(&value) };
            put_record(&batches, &queue, &record).expect("room");
            let (batch, _) = batches.take(&queue, Instant::now(), true);
            assert!(batch.expect("a batch").size() <= HEADER_BYTES + record.size_bound());
        }
    }
}
