//! What Metadata and ApiVersions tell, as Python published it last.
//!
//! Not the truth (that is the metadata store, in Python) and not what is hosted here (`partition::table`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
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

/// The published state. Thread-safe; adding one topic costs one topic.
#[derive(Default)]
pub struct Snapshot {
    cluster: ArcSwap<ClusterInfo>,
    topics: RwLock<Topics>,
    python_apis: ArcSwap<BTreeMap<i16, (i16, i16)>>,
}

impl Snapshot {
    /// Replaces the brokers.
    pub fn publish_cluster(&self, cluster: ClusterInfo) {
        self.cluster.store(Arc::new(cluster));
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
    }

    /// Takes topics out.
    pub fn withdraw_topics(&self, names: &[String]) {
        let mut topics = self.topics.write();
        for name in names {
            if let Some(old) = topics.by_name.remove(name.as_str()) {
                topics.by_id.remove(&old.id);
            }
        }
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
