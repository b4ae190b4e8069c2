//! Which partitions this broker hosts, found by topic name or topic id.
//!
//! Read-mostly: a request takes one read lock for a topic, then indexes by partition number.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use uuid::Uuid;

use super::Partition;

/// A topic with at least one partition here.
pub struct HostedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: Uuid,
    /// By partition number; `None` where another broker leads.
    partitions: ArcSwap<Vec<Option<Arc<Partition>>>>,
}

impl HostedTopic {
    /// True for the coordinators' own topics, which clients must not write.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(&*self.name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
    }

    /// The partition with that number, if it is hosted here.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions.load().get(index)?.clone()
    }

    /// All hosted partitions with their numbers.
    #[must_use]
    pub fn partitions(&self) -> Vec<(i32, Arc<Partition>)> {
        let list = self.partitions.load();
        (0..).zip(list.iter()).filter_map(|(index, slot)| Some((index, slot.clone()?))).collect()
    }
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<HostedTopic>>,
    by_id: HashMap<Uuid, Arc<HostedTopic>>,
}

/// All hosted partitions. Thread-safe.
#[derive(Default)]
pub struct PartitionTable {
    topics: RwLock<Topics>,
}

impl PartitionTable {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<HostedTopic>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// The topic of that id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<HostedTopic>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// One partition by name and number.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topics.read().by_name.get(topic)?.partition(index)
    }

    /// Every hosted topic.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<HostedTopic>> {
        self.topics.read().by_name.values().cloned().collect()
    }

    /// Adds partitions to a topic, which is made if need be. A topic id that changed replaces the topic.
    pub fn insert(&self, name: &str, id: Uuid, partitions: Vec<(i32, Arc<Partition>)>) {
        let mut topics = self.topics.write();
        let topic = match topics.by_name.get(name) {
            Some(topic) if topic.id == id => Arc::clone(topic),
            old => {
                let old_id = old.map(|topic| topic.id);
                let name: Arc<str> = Arc::from(name);
                let topic = Arc::new(HostedTopic { name: Arc::clone(&name), id, partitions: ArcSwap::default() });
                if let Some(old_id) = old_id {
                    topics.by_id.remove(&old_id);
                }
                topics.by_id.insert(id, Arc::clone(&topic));
                topics.by_name.insert(name, Arc::clone(&topic));
                topic
            }
        };
        let mut list = topic.partitions.load().as_ref().clone();
        for (index, partition) in partitions {
            let Ok(index) = usize::try_from(index) else { continue };
            if list.len() <= index {
                list.resize(index + 1, None);
            }
            list[index] = Some(partition);
        }
        topic.partitions.store(Arc::new(list));
    }

    /// Takes partitions out and returns those that were there; a topic without any is forgotten.
    pub fn remove(&self, name: &str, indexes: &[i32]) -> Vec<Arc<Partition>> {
        let mut topics = self.topics.write();
        let Some(topic) = topics.by_name.get(name).cloned() else { return Vec::new() };
        let mut list = topic.partitions.load().as_ref().clone();
        let removed = indexes.iter().filter_map(|index| list.get_mut(usize::try_from(*index).ok()?)?.take()).collect();
        if list.iter().all(Option::is_none) {
            topics.by_name.remove(name);
            topics.by_id.remove(&topic.id);
        }
        topic.partitions.store(Arc::new(list));
        removed
    }
}
