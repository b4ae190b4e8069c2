//! The topics that a producer sends to: finding one, its partitions, and following their growth.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::RwLock;

use super::Shared;
use super::accumulator::Queue;
use super::partitioner::Dice;
use crate::client::error::ClientError;
use crate::client::metadata::{MetadataView, TopicView};
use crate::wire::error_code;

/// A topic: its partitions, and where the next record without a key goes. When it grows, another takes its place.
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    queues: Vec<Arc<Queue>>,
    sticky: AtomicUsize,
    turn: AtomicUsize,
}

impl Topic {
    fn new(name: Arc<str>, queues: Vec<Arc<Queue>>, sticky: usize) -> Self {
        Self { name, queues, sticky: AtomicUsize::new(sticky), turn: AtomicUsize::new(sticky) }
    }

    /// Its partitions by their numbers.
    #[inline]
    pub fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// The partition for keyless records now.
    #[inline]
    pub fn sticky(&self) -> usize {
        self.sticky.load(Ordering::Relaxed)
    }

    /// Chooses another partition for keyless records, if it is still `from`: at random among those with a leader.
    pub fn unstick(&self, from: usize, dice: &Dice) -> usize {
        let count = self.queues.len();
        if count <= 1 {
            return 0;
        }
        let start = dice.below(count);
        let usable = |at: &usize| *at != from && self.queues[*at].available.load(Ordering::Relaxed);
        let next = (0..count).map(|step| (start + step) % count).find(usable).unwrap_or(from.min(count - 1));
        match self.sticky.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(now) => now.min(count - 1),
        }
    }

    /// The next partition in turn that has a leader.
    pub fn next_in_turn(&self) -> usize {
        let count = self.queues.len().max(1);
        for _ in 0..count {
            let at = self.turn.fetch_add(1, Ordering::Relaxed) % count;
            if self.queues.get(at).is_some_and(|queue| queue.available.load(Ordering::Relaxed)) {
                return at;
            }
        }
        self.turn.fetch_add(1, Ordering::Relaxed) % count
    }
}

/// A topic, and the [`Topics`] that it is of with their version.
type Last = (Arc<Topic>, (u64, u64));

thread_local! {
    /// What this thread has borrowed last: found again without a lock or a counter that threads share. It may outlive its
    /// producer until the thread asks another one; of what was sent it holds nothing by then.
    static LAST: Cell<Option<Last>> = const { Cell::new(None) };
}

/// Counts the [`Topics`] of this process.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The topics that have been found.
pub(super) struct Topics {
    all: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// Which they are, of all that this process has had.
    id: u64,
    /// Counts the changes of `all`; changed only while that is locked.
    version: AtomicU64,
}

impl Topics {
    pub(super) fn new() -> Self {
        let id = MADE.fetch_add(1, Ordering::Relaxed);
        Self { all: RwLock::default(), id, version: AtomicU64::new(0) }
    }

    /// The topic, to keep.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.all.read().get(name).cloned()
    }

    /// Lets `look` borrow the topic; `None` if it has not been found. Costs no lock where the thread borrowed it last.
    #[inline]
    pub(super) fn with<T>(&self, name: &str, look: impl FnOnce(&Topic) -> T) -> Option<T> {
        let of = (self.id, self.version.load(Ordering::Acquire));
        // Taken out meanwhile: what `look` calls may borrow another one.
        let topic = match LAST.take() {
            Some((topic, was_of)) if was_of == of && *topic.name == *name => topic,
            _ => self.get(name)?,
        };
        let seen = look(&topic);
        LAST.set(Some((topic, of)));
        Some(seen)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.all.read().keys().cloned().collect()
    }
}

/// Waits until the topic is known with at least `partitions` partitions.
///
/// # Errors
/// [`ClientError::Broker`] where waiting is of no use (a bad name, no permission); [`ClientError::NoBrokers`] or
/// [`ClientError::TimedOut`] at the deadline, saying what was seen last.
pub(super) async fn find(
    shared: &Arc<Shared>,
    name: Arc<str>,
    partitions: usize,
    deadline: Instant,
) -> Result<Arc<Topic>, ClientError> {
    shared.cluster.watch_topic(&name);
    let began = Instant::now();
    let mut view = shared.cluster.metadata();
    let mut attempt = 0;
    loop {
        let seen = view.topics.get(&name);
        match seen {
            Some(topic) if topic.error == 0 && topic.partitions.len() >= partitions.max(1) => {
                return Ok(shared.take_in(topic));
            }
            Some(topic) if topic.error != 0 && !error_code::is_retriable(topic.error) => {
                let what = format!("topic {name:?} can't be used");
                shared.cluster.unwatch_topic(&name);
                return Err(ClientError::Broker { code: topic.error, what });
            }
            _ => {}
        }
        let found = seen.map(|topic| (topic.error, topic.partitions.len()));
        let now = Instant::now();
        if now >= deadline {
            return Err(late(shared, &name, partitions, found, now - began));
        }
        if attempt > 0 {
            tokio::time::sleep_until((now + shared.backoff(attempt)).min(deadline).into()).await;
        }
        attempt += 1;
        view = match shared.cluster.refreshed(deadline.into()).await {
            Ok(view) => view,
            Err(ClientError::TimedOut { .. }) => return Err(late(shared, &name, partitions, found, began.elapsed())),
            Err(error) => return Err(error),
        };
    }
}

fn late(
    shared: &Shared,
    name: &str,
    partitions: usize,
    found: Option<(i16, usize)>,
    after: std::time::Duration,
) -> ClientError {
    let seen = match found {
        Some((0, count)) if partitions > count && count > 0 => {
            format!("it has {count} partitions and {} was asked for", partitions - 1)
        }
        Some((3, _)) => {
            "there is no such topic, and the brokers don't make it by themselves; create it first".to_owned()
        }
        Some((5, _)) => "its partitions have no leader".to_owned(),
        Some((code, _)) => format!("the brokers say {}", error_code::Named(code)),
        None => match shared.cluster.silent() {
            silent if silent.is_empty() => "no broker has said anything of it".to_owned(),
            silent => format!("no broker has said anything of it, asked: {}", silent.join(", ")),
        },
    };
    let what = format!("finding topic {name:?} ({seen}; max_block_ms)");
    ClientError::TimedOut { what, after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
}

impl Shared {
    /// The topic with the partitions that the metadata tells of.
    fn take_in(self: &Arc<Self>, view: &TopicView) -> Arc<Topic> {
        let mut all = self.topics.all.write();
        let known = all.get(&view.name);
        let have = known.map_or(&[][..], |known| known.queues());
        let topic = match known {
            Some(known) if view.partitions.len() <= have.len() => Arc::clone(known),
            _ => {
                let made = (have.len()..view.partitions.len())
                    .map(|index| self.accumulator.queue(&view.name, index as i32, Arc::downgrade(self)));
                let queues: Vec<_> = have.iter().cloned().chain(made).collect();
                let sticky = known.map_or_else(|| self.dice.below(queues.len()), |known| known.sticky());
                let topic = Arc::new(Topic::new(Arc::clone(&view.name), queues, sticky));
                all.insert(Arc::clone(&view.name), Arc::clone(&topic));
                self.topics.version.fetch_add(1, Ordering::Release);
                topic
            }
        };
        drop(all);
        for (queue, partition) in topic.queues().iter().zip(&view.partitions) {
            queue.available.store(partition.leader >= 0, Ordering::Relaxed);
        }
        topic
    }

    /// Takes new partitions and lost leaders of the known topics over.
    pub(super) fn topics_changed(self: &Arc<Self>, view: &MetadataView) {
        for name in self.topics.names() {
            if let Some(seen) = view.topics.get(&name).filter(|seen| seen.error == 0) {
                self.take_in(seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::test_support::{accumulator, queue};
    use super::*;

    #[test]
    fn keyless_records_go_to_another_partition_with_a_leader() {
        let batches = accumulator(1_000, 100_000, Duration::from_secs(600));
        let queues: Vec<_> = (0..3).map(|index| queue(&batches, "t", index)).collect();
        queues[1].available.store(false, Ordering::Relaxed);
        let topic = Topic::new(Arc::from("t"), queues, 0);
        let dice = Dice::new(1);
        for _ in 0..50 {
            let from = topic.sticky();
            let to = topic.unstick(from, &dice);
            assert_ne!((to, to), (from, 1));
        }
        assert_eq!((0..4).map(|_| topic.next_in_turn()).collect::<Vec<_>>(), [0, 2, 0, 2]);
    }
}
