//! What becomes of a batch, seen from those who sent its records: one shared state a batch, an index a record.
//!
//! A future is a pointer to [`BatchState`] and an index; nothing is allocated a record. Who wants to be told hangs something
//! of their own on the state ([`BatchState::watch`]); it comes back through [`Completions`] once the batch is done.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::accumulator::Queue;
use crate::client::completion::Completions;
use crate::client::error::ClientError;

/// What somebody has hung on a batch.
pub type Watcher = Box<dyn Any + Send>;

/// How a batch ended.
pub enum Outcome {
    /// Its first record has this offset (-1: nobody said), and the broker stamped the records if it says when.
    Written {
        /// Offset of the first record.
        base_offset: i64,
        /// The broker's time, ms, with LogAppendTime.
        append_time_ms: Option<i64>,
    },
    /// None of its records counts as written.
    Failed(ClientError),
    /// It was too large and went on as several: each with the index of its first record.
    Split(Vec<(u32, Arc<BatchState>)>),
}

/// Where one record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Offset, -1 if nobody said.
    pub offset: i64,
    /// The broker's time, ms, where it stamped the record.
    pub append_time_ms: Option<i64>,
}

/// The fate of one batch, shared by the futures of its records.
pub struct BatchState {
    /// The partition.
    pub queue: Arc<Queue>,
    /// Number in the order in which the producer's batches were opened.
    pub serial: u64,
    count: AtomicU32,
    outcome: OnceLock<Outcome>,
    watch: Mutex<Watch>,
    done: Condvar,
    /// The batch that this one is a part of, and how many of its parts are not done.
    parent: Option<(Arc<BatchState>, Arc<AtomicU32>)>,
}

#[derive(Default)]
struct Watch {
    finished: bool,
    waiting: u32,
    watcher: Option<Watcher>,
}

impl BatchState {
    /// The state of a new batch.
    pub(super) fn new(queue: Arc<Queue>, serial: u64) -> Arc<Self> {
        Arc::new(Self {
            queue,
            serial,
            count: AtomicU32::new(0),
            outcome: OnceLock::new(),
            watch: Mutex::default(),
            done: Condvar::new(),
            parent: None,
        })
    }

    /// The states of the parts of `whole`, which ends when they all have. If it has failed meanwhile, so have they.
    pub(super) fn parts(whole: &Arc<Self>, counts: &[u32]) -> Vec<Arc<Self>> {
        let left = Arc::new(AtomicU32::new(counts.len() as u32));
        let part = |&count: &u32| {
            Arc::new(Self {
                queue: Arc::clone(&whole.queue),
                serial: whole.serial,
                count: AtomicU32::new(count),
                outcome: OnceLock::new(),
                watch: Mutex::default(),
                done: Condvar::new(),
                parent: Some((Arc::clone(whole), Arc::clone(&left))),
            })
        };
        let parts: Vec<_> = counts.iter().map(part).collect();
        let mut first = 0;
        let listed = parts.iter().zip(counts).map(|(part, count)| {
            let at = first;
            first += count;
            (at, Arc::clone(part))
        });
        // Told only once the parts are done: `finished` says when.
        if whole.outcome.set(Outcome::Split(listed.collect())).is_err()
            && let Some(Outcome::Failed(error)) = whole.outcome.get()
        {
            // Whoever failed it has counted and announced all of its records.
            for part in &parts {
                let _ = part.outcome.set(Outcome::Failed(error.clone()));
            }
        }
        parts
    }

    /// Counts a record.
    pub(super) fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Number of records so far.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Decides the fate of its records; false if that is done already, or if the batch went on as several.
    ///
    /// [`BatchState::announce`] must follow a true.
    pub(super) fn decide(&self, outcome: Outcome) -> bool {
        self.outcome.set(outcome).is_ok()
    }

    /// The parts that it went on as; none if it did not.
    pub(super) fn split_into(&self) -> &[(u32, Arc<Self>)] {
        match self.outcome.get() {
            Some(Outcome::Split(parts)) => parts,
            _ => &[],
        }
    }

    /// Wakes those who wait for a batch that is done. False while other parts of the batch that it came from are under way.
    pub(super) fn announce(self: &Arc<Self>, completions: &Completions<Completion>) -> bool {
        self.finish(completions);
        match &self.parent {
            None => true,
            Some((parent, left)) => left.fetch_sub(1, Ordering::AcqRel) == 1 && parent.announce(completions),
        }
    }

    fn finish(self: &Arc<Self>, completions: &Completions<Completion>) {
        let mut watch = self.watch.lock();
        watch.finished = true;
        let watcher = watch.watcher.take();
        let waiting = watch.waiting > 0;
        drop(watch);
        if waiting {
            self.done.notify_all();
        }
        if let Some(watcher) = watcher {
            completions.push(0, Completion::Batch(Arc::clone(self), watcher));
        }
    }

    /// True once the fate of every record is known.
    pub fn is_done(&self) -> bool {
        self.outcome.get().is_some_and(|outcome| !matches!(outcome, Outcome::Split(_))) || self.watch.lock().finished
    }

    /// The fate of the record at `index`; `None` while it isn't known.
    pub fn record(&self, index: u32) -> Option<Result<Delivered, &ClientError>> {
        match self.outcome.get()? {
            Outcome::Written { base_offset, append_time_ms } => {
                let offset = if *base_offset < 0 { -1 } else { base_offset + i64::from(index) };
                Some(Ok(Delivered { offset, append_time_ms: *append_time_ms }))
            }
            Outcome::Failed(error) => Some(Err(error)),
            Outcome::Split(parts) => {
                let at = parts.partition_point(|(first, _)| *first <= index).checked_sub(1)?;
                let (first, part) = &parts[at];
                part.record(index - first)
            }
        }
    }

    /// Waits until `until` at most; true once the batch is done.
    pub fn wait_until(&self, until: Instant) -> bool {
        let mut watch = self.watch.lock();
        watch.waiting += 1;
        while !watch.finished {
            if self.done.wait_until(&mut watch, until).timed_out() {
                break;
            }
        }
        watch.waiting -= 1;
        watch.finished
    }

    /// Lets `hang` put something on the batch, or change what is there; false if the batch is done already.
    pub fn watch(&self, hang: impl FnOnce(&mut Option<Watcher>)) -> bool {
        let mut watch = self.watch.lock();
        if !watch.finished {
            hang(&mut watch.watcher);
        }
        !watch.finished
    }
}

/// Something that those who watch are told.
pub enum Completion {
    /// A batch that was watched is done.
    Batch(Arc<BatchState>, Watcher),
    /// Something else that was waited for: room, a topic's metadata, a flush.
    Other(Watcher, Result<(), ClientError>),
    /// Called in its turn, after what was pushed before it has been dealt with.
    Mark(OnFlushed),
    /// The producer is closed: nothing comes any more.
    End,
}

/// Called once when everything that was sent before is done.
pub type OnFlushed = Box<dyn FnOnce() + Send>;

/// Batches that are opened and not done, in their order.
#[derive(Default)]
pub struct Outstanding {
    inner: Mutex<OutstandingInner>,
    changed: Condvar,
}

#[derive(Default)]
struct OutstandingInner {
    next: u64,
    batches: BTreeMap<u64, Arc<BatchState>>,
    waiting: Vec<(u64, OnFlushed)>,
}

impl OutstandingInner {
    fn is_flushed(&self, mark: u64) -> bool {
        self.batches.first_key_value().is_none_or(|(&oldest, _)| oldest >= mark)
    }
}

impl Outstanding {
    /// Opens the next batch of `queue`.
    pub(super) fn open(&self, queue: &Arc<Queue>) -> Arc<BatchState> {
        let mut inner = self.inner.lock();
        let serial = inner.next;
        inner.next += 1;
        let state = BatchState::new(Arc::clone(queue), serial);
        inner.batches.insert(serial, Arc::clone(&state));
        state
    }

    /// Takes a batch that is done out.
    pub(super) fn close(&self, serial: u64) {
        let mut inner = self.inner.lock();
        inner.batches.remove(&serial);
        let (flushed, left) =
            std::mem::take(&mut inner.waiting).into_iter().partition(|(mark, _)| inner.is_flushed(*mark));
        inner.waiting = left;
        drop(inner);
        self.changed.notify_all();
        let flushed: Vec<(u64, OnFlushed)> = flushed;
        for (_, on_flushed) in flushed {
            on_flushed();
        }
    }

    /// A mark behind every batch opened so far.
    pub fn mark(&self) -> u64 {
        self.inner.lock().next
    }

    /// Every batch that is not done.
    pub(super) fn all(&self) -> Vec<Arc<BatchState>> {
        self.inner.lock().batches.values().cloned().collect()
    }

    /// Number of records of batches before `mark` that are not done.
    pub fn records_before(&self, mark: u64) -> u64 {
        self.inner.lock().batches.range(..mark).map(|(_, state)| u64::from(state.count())).sum()
    }

    /// Batches that are not done.
    pub fn count(&self) -> usize {
        self.inner.lock().batches.len()
    }

    /// Waits until `until` at most; true once every batch before `mark` is done.
    pub fn wait_until(&self, mark: u64, until: Instant) -> bool {
        let mut inner = self.inner.lock();
        while !inner.is_flushed(mark) {
            if self.changed.wait_until(&mut inner, until).timed_out() {
                return inner.is_flushed(mark);
            }
        }
        true
    }

    /// Calls `on_flushed` once every batch before `mark` is done, possibly at once.
    pub fn when_flushed(&self, mark: u64, on_flushed: OnFlushed) {
        let mut inner = self.inner.lock();
        if inner.is_flushed(mark) {
            drop(inner);
            on_flushed();
        } else {
            inner.waiting.push((mark, on_flushed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::test_support::{accumulator, put, queue};
    use super::*;

    fn written(base_offset: i64) -> Outcome {
        Outcome::Written { base_offset, append_time_ms: None }
    }

    #[test]
    fn a_split_batch_is_done_when_its_parts_are_and_each_record_finds_its_own() {
        let batches = accumulator(1_000, 10_000, Duration::ZERO);
        let queue = queue(&batches, "t", 0);
        let state = put(&batches, &queue, b"x").expect("room").state;
        let completions = Completions::new().expect("a descriptor");
        assert!(state.watch(|watcher| *watcher = Some(Box::new("me"))));
        let parts = BatchState::parts(&state, &[3, 2]);
        let inner = BatchState::parts(&parts[1], &[1, 1]);
        let end = |part: &Arc<BatchState>, outcome| part.decide(outcome) && part.announce(&completions);
        assert!(!end(&parts[0], written(100)));
        assert!(!end(&inner[0], written(200)));
        assert!(!state.is_done() && completions.take().is_empty());
        assert!(end(&inner[1], Outcome::Failed(ClientError::Closed)));
        assert!(!inner[1].decide(written(300)) && !state.decide(written(300)), "their fate is known");
        assert!(state.is_done());
        assert_eq!(completions.take().len(), 1);
        let offset = |index| state.record(index).expect("known").expect("written").offset;
        assert_eq!([0, 1, 2, 3].map(offset), [100, 101, 102, 200]);
        assert!(matches!(state.record(4), Some(Err(ClientError::Closed))));
        assert!(!state.watch(|_| panic!("it is done")));
    }

    #[test]
    fn parts_of_a_batch_that_has_failed_have_failed_and_end_nothing_once_more() {
        let batches = accumulator(1_000, 10_000, Duration::ZERO);
        let queue = queue(&batches, "t", 0);
        let whole = put(&batches, &queue, b"x").expect("room").state;
        assert!(whole.decide(Outcome::Failed(ClientError::Closed)));
        for part in BatchState::parts(&whole, &[3, 2]) {
            assert!(!part.decide(written(7)), "who failed the whole has told all");
            assert!(matches!(part.record(0), Some(Err(ClientError::Closed))));
        }
    }

    #[test]
    fn flushing_waits_for_what_was_opened_before_and_for_nothing_else() {
        let batches = accumulator(1_000, 100_000, Duration::ZERO);
        let [first, second] = [0, 1].map(|index| queue(&batches, "t", index));
        let old = put(&batches, &first, b"x").expect("room").state;
        let mark = batches.flush();
        let new = put(&batches, &second, b"x").expect("room").state;
        let told = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&told);
        let on_flushed = move || count.store(1, Ordering::Relaxed);
        batches.outstanding.when_flushed(mark, Box::new(on_flushed));
        let soon = Instant::now();
        assert!(!batches.outstanding.wait_until(mark, soon));
        assert_eq!((batches.outstanding.records_before(mark), told.load(Ordering::Relaxed)), (1, 0));
        batches.outstanding.close(old.serial);
        assert!(batches.outstanding.wait_until(mark, soon));
        assert_eq!((batches.outstanding.count(), told.load(Ordering::Relaxed)), (1, 1));
        batches.outstanding.close(new.serial);
    }
}
