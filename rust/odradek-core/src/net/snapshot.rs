//! What Metadata and ApiVersions tell, as Python published it last.
//!
//! Not the truth (that is the metadata store, in Python) and not what is hosted here (`partition::table`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

/// A broker of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Node id.
    pub node_id: i32,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: i32,
    /// Rack, if it has one.
    pub rack: Option<String>,
}

/// The brokers and which of them is the controller (-1 = none).
#[derive(Debug, Clone, Default)]
pub struct ClusterInfo {
    /// Live brokers.
    pub brokers: Vec<BrokerInfo>,
    /// Controller's node id.
    pub controller_id: i32,
}

/// One partition's place in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Number.
    pub index: i32,
    /// Leader's node id, -1 = none.
    pub leader: i32,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// Replicas' node ids, preferred leader first.
    pub replicas: Vec<i32>,
    /// In-sync replicas' node ids.
    pub isr: Vec<i32>,
    /// Node ids of replicas that are down.
    pub offline: Vec<i32>,
}

/// A topic as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name.
    pub name: Arc<str>,
    /// Id.
    pub id: Uuid,
    /// `__consumer_offsets` and its like.
    pub internal: bool,
    /// Partitions in order.
    pub partitions: Vec<PartitionInfo>,
}

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<TopicInfo>>,
    by_id: HashMap<Uuid, Arc<TopicInfo>>,
}

/// What an answer about all topics depends on besides the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AboutAll {
    /// API version of Metadata.
    pub version: i16,
    /// Operations on topics are told.
    pub topic_operations: bool,
    /// Operations on the cluster are told.
    pub cluster_operations: bool,
}

/// Encoded answers about all topics, as long as they are true.
#[derive(Default)]
struct Answers {
    /// Counts what was published.
    edition: u64,
    kept: VecDeque<(AboutAll, Bytes)>,
}

/// Encoded answers kept: clients of one cluster speak few versions.
const KEPT_ANSWERS: usize = 4;

/// The published state. Thread-safe; adding one topic costs one topic.
#[derive(Default)]
pub struct Snapshot {
    cluster: ArcSwap<ClusterInfo>,
    topics: RwLock<Topics>,
    answers: Mutex<Answers>,
    python_apis: ArcSwap<BTreeMap<i16, (i16, i16)>>,
}

impl Snapshot {
    /// Replaces the brokers.
    pub fn publish_cluster(&self, cluster: ClusterInfo) {
        self.cluster.store(Arc::new(cluster));
        self.forget_answers();
    }

    /// Adds or replaces topics.
    pub fn publish_topics(&self, list: Vec<TopicInfo>) {
        let mut topics = self.topics.write();
        for topic in list {
            let topic = Arc::new(topic);
            let old = topics.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
            if let Some(old) = old.filter(|old| old.id != topic.id) {
                topics.by_id.remove(&old.id);
            }
            topics.by_id.insert(topic.id, topic);
        }
        drop(topics);
        self.forget_answers();
    }

    /// Takes topics out.
    pub fn withdraw_topics(&self, names: &[String]) {
        let mut topics = self.topics.write();
        for name in names {
            if let Some(old) = topics.by_name.remove(name.as_str()) {
                topics.by_id.remove(&old.id);
            }
        }
        drop(topics);
        self.forget_answers();
    }

    fn forget_answers(&self) {
        let mut answers = self.answers.lock();
        answers.edition += 1;
        answers.kept.clear();
    }

    /// The answer about all topics that was encoded before, or what `encode` makes of the snapshot, for the next one.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn about_all<E>(&self, wanted: AboutAll, encode: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        let answers = self.answers.lock();
        if let Some((_, answer)) = answers.kept.iter().find(|(kept, _)| *kept == wanted) {
            return Ok(answer.clone());
        }
        let edition = answers.edition;
        drop(answers);
        let answer = encode()?;
        let mut answers = self.answers.lock();
        // What was published meanwhile may be missing in it.
        if answers.edition == edition {
            answers.kept.truncate(KEPT_ANSWERS - 1);
            answers.kept.push_front((wanted, answer.clone()));
        }
        Ok(answer)
    }

    /// Replaces (api key, lowest, highest version) of what Python serves.
    pub fn publish_apis(&self, apis: &[(i16, i16, i16)]) {
        self.python_apis.store(Arc::new(apis.iter().map(|&(key, min, max)| (key, (min, max))).collect()));
    }

    /// The brokers now.
    #[must_use]
    pub fn cluster(&self) -> Arc<ClusterInfo> {
        self.cluster.load_full()
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<TopicInfo>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// Every topic, by name.
    #[must_use]
    pub fn all_topics(&self) -> Vec<Arc<TopicInfo>> {
        self.topics.read().by_name.values().cloned().collect()
    }

    /// API key to (lowest, highest version) of what Python serves.
    #[must_use]
    pub fn python_apis(&self) -> Arc<BTreeMap<i16, (i16, i16)>> {
        self.python_apis.load_full()
    }
}
