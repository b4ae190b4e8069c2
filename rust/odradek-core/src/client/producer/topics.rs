//! Finding a topic's partitions, and following their growth.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Shared;
use super::accumulator::Topic;
use crate::client::error::ClientError;
use crate::client::metadata::{MetadataView, TopicView};
use crate::wire::error_code;

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
            return Err(late(&name, partitions, found, now - began));
        }
        if attempt > 0 {
            tokio::time::sleep_until((now + shared.backoff(attempt)).min(deadline).into()).await;
        }
        attempt += 1;
        view = match shared.cluster.refreshed(deadline.into()).await {
            Ok(view) => view,
            Err(ClientError::TimedOut { .. }) => return Err(late(&name, partitions, found, began.elapsed())),
            Err(error) => return Err(error),
        };
    }
}

fn late(name: &str, partitions: usize, found: Option<(i16, usize)>, after: std::time::Duration) -> ClientError {
    let seen = match found {
        Some((0, count)) if partitions > count && count > 0 => {
            format!("it has {count} partitions and {} was asked for", partitions - 1)
        }
        Some((3, _)) => {
            "there is no such topic, and the brokers don't make it by themselves; create it first".to_owned()
        }
        Some((5, _)) => "its partitions have no leader".to_owned(),
        Some((code, _)) => format!("the brokers say error code {code}"),
        None => "no broker has said anything of it".to_owned(),
    };
    let what = format!("finding topic {name:?} ({seen}; max_block_ms)");
    ClientError::TimedOut { what, after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
}

impl Shared {
    /// The topic with the partitions that the metadata tells of.
    fn take_in(&self, view: &TopicView) -> Arc<Topic> {
        let mut topics = self.topics.write();
        if let Some(known) = topics.get(&view.name) {
            let known = Arc::clone(known);
            drop(topics);
            self.grow(&known, view);
            return known;
        }
        let queues: Vec<_> =
            (0..view.partitions.len()).map(|index| self.accumulator.queue(&view.name, index as i32)).collect();
        let sticky = self.dice.below(queues.len());
        let topic = Arc::new(Topic::new(Arc::clone(&view.name), queues, sticky));
        topics.insert(Arc::clone(&view.name), Arc::clone(&topic));
        drop(topics);
        self.grow(&topic, view);
        topic
    }

    fn grow(&self, topic: &Topic, view: &TopicView) {
        if view.error != 0 {
            return;
        }
        let queues = topic.queues();
        if view.partitions.len() > queues.len() {
            let more =
                (queues.len()..view.partitions.len()).map(|index| self.accumulator.queue(&topic.name, index as i32));
            topic.grow(queues.iter().cloned().chain(more).collect());
        }
        for (queue, partition) in topic.queues().iter().zip(&view.partitions) {
            queue.available.store(partition.leader >= 0, Ordering::Relaxed);
        }
    }

    /// Takes new partitions and lost leaders of the known topics over.
    pub(super) fn topics_changed(&self, view: &MetadataView) {
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        for topic in topics {
            if let Some(seen) = view.topics.get(&topic.name) {
                self.grow(&topic, seen);
            }
        }
    }
}
