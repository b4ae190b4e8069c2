//! The client's picture of the cluster: brokers, controller, topics, leaders. Immutable; each refresh makes a new one.
//!
//! A refresh may come from a broker that lags behind. Where it shows an older leader epoch of the same topic than the
//! picture before, the newer one stays (KIP-320).

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use uuid::Uuid;

use crate::wire::error_code::Named;

/// Most partitions believed of one topic; the index of a partition is a place in a list.
const MAX_PARTITIONS: usize = 1_000_000;

/// One picture.
#[derive(Debug, Clone, Default)]
pub struct MetadataView {
    /// Counts pictures from 1; 0 = nothing is known yet.
    pub version: u64,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Node id of the controller (of any broker that passes requests on to it); -1 = not known.
    pub controller: i32,
    /// Brokers by node id.
    pub brokers: HashMap<i32, BrokerView>,
    /// The topics asked for, by name, also those that don't exist (see [`TopicView::error`]).
    pub topics: HashMap<Arc<str>, Arc<TopicView>>,
    /// Names of topics with an id.
    pub topic_ids: HashMap<Uuid, Arc<str>>,
}

/// Where a broker says that it can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerView {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its rack.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Debug, Clone)]
pub struct TopicView {
    /// Name.
    pub name: Arc<str>,
    /// Id; nil when the broker doesn't say.
    pub id: Uuid,
    /// Error code; 0 = none, 3 = there is no such topic.
    pub error: i16,
    /// One of the cluster's own.
    pub internal: bool,
    /// By partition number; gapless.
    pub partitions: Vec<PartitionView>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Node id; -1 = none.
    pub leader: i32,
    /// -1 = not known.
    pub leader_epoch: i32,
    /// Node ids.
    pub replicas: Vec<i32>,
    /// Node ids of those in sync.
    pub isr: Vec<i32>,
    /// Error code; 0 = none.
    pub error: i16,
}

impl Default for PartitionView {
    fn default() -> Self {
        // What a gap in the answer stands for: a partition without a leader (5).
        Self { leader: -1, leader_epoch: -1, replicas: Vec::new(), isr: Vec::new(), error: 5 }
    }
}

impl MetadataView {
    /// A picture before the first refresh.
    #[must_use]
    pub fn unknown() -> Self {
        Self { controller: -1, ..Self::default() }
    }

    /// The leader of a partition and its epoch; `None` when the topic or partition is not known or has none.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let partitions = &self.topics.get(topic)?.partitions;
        let partition = partitions.get(usize::try_from(partition).ok()?)?;
        (partition.leader >= 0).then_some((partition.leader, partition.leader_epoch))
    }

    /// Why [`MetadataView::leader`] has no answer, for a message.
    #[must_use]
    pub fn why_leaderless(&self, topic: &str, partition: i32) -> String {
        match self.topics.get(topic) {
            None => "nothing is known of the topic".to_owned(),
            Some(topic) if topic.error != 0 => {
                format!("the topic is gone or can't be used ({})", Named(topic.error))
            }
            Some(topic) if usize::try_from(partition).is_ok_and(|at| at >= topic.partitions.len()) => {
                format!("there is no such partition; the topic has {}", topic.partitions.len())
            }
            Some(_) => "the partition has no leader".to_owned(),
        }
    }

    /// The picture after this one, out of a Metadata answer about all topics that are still of interest.
    #[must_use]
    pub fn next(&self, answer: &MetadataResponse) -> Self {
        let mut next = Self {
            version: self.version + 1,
            cluster_id: answer.cluster_id.as_ref().map(ToString::to_string),
            controller: answer.controller_id.0,
            ..Self::default()
        };
        for broker in &answer.brokers {
            let Ok(port) = u16::try_from(broker.port) else { continue };
            let rack = broker.rack.as_ref().map(ToString::to_string);
            next.brokers.insert(broker.node_id.0, BrokerView { host: broker.host.to_string(), port, rack });
        }
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            let before = self.topics.get(name.as_str());
            let name = before.map_or_else(|| Arc::from(name.as_str()), |before| Arc::clone(&before.name));
            if !topic.topic_id.is_nil() {
                next.topic_ids.insert(topic.topic_id, Arc::clone(&name));
            }
            let view = topic_view(Arc::clone(&name), topic, before.map(Arc::as_ref));
            next.topics.insert(name, Arc::new(view));
        }
        next
    }
}

fn topic_view(name: Arc<str>, answer: &MetadataResponseTopic, before: Option<&TopicView>) -> TopicView {
    let before = before.filter(|before| before.id == answer.topic_id);
    let highest = answer.partitions.iter().map(|partition| partition.partition_index).max();
    let count = highest.map_or(0, |highest| usize::try_from(highest).map_or(0, |highest| highest + 1));
    // A broker names all partitions of a topic; numbers far apart are a mistake that must not cost memory.
    let count = count.min(MAX_PARTITIONS).min(answer.partitions.len().saturating_mul(2));
    let mut partitions = vec![PartitionView::default(); count];
    for partition in &answer.partitions {
        let Ok(index) = usize::try_from(partition.partition_index) else { continue };
        let Some(place) = partitions.get_mut(index) else { continue };
        let known = before.and_then(|before| before.partitions.get(index));
        *place = partition_view(partition, known);
    }
    TopicView { name, id: answer.topic_id, error: answer.error_code, internal: answer.is_internal, partitions }
}

fn partition_view(answer: &MetadataResponsePartition, before: Option<&PartitionView>) -> PartitionView {
    if let Some(before) = before
        && answer.leader_epoch >= 0
        && before.leader_epoch > answer.leader_epoch
    {
        return before.clone();
    }
    PartitionView {
        leader: answer.leader_id.0,
        leader_epoch: answer.leader_epoch,
        replicas: answer.replica_nodes.iter().map(|node| node.0).collect(),
        isr: answer.isr_nodes.iter().map(|node| node.0).collect(),
        error: answer.error_code,
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn answer(id: u128, partitions: &[(i32, i32, i32)]) -> MetadataResponse {
        let partitions = partitions.iter().map(|&(index, leader, epoch)| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(leader))
                .with_leader_epoch(epoch)
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_topic_id(Uuid::from_u128(id))
            .with_partitions(partitions.collect());
        MetadataResponse::default().with_topics(vec![topic])
    }

    #[test]
    fn a_broker_that_lags_behind_does_not_bring_an_old_leader_back() {
        let first = MetadataView::unknown().next(&answer(7, &[(0, 1, 5), (1, 1, 5)]));
        let second = first.next(&answer(7, &[(0, 2, 4), (1, 2, 6)]));
        assert_eq!((second.leader("t", 0), second.leader("t", 1)), (Some((1, 5)), Some((2, 6))));
        assert_eq!((first.version, second.version), (1, 2));
    }

    #[test]
    fn a_topic_made_anew_starts_with_its_own_epochs() {
        let first = MetadataView::unknown().next(&answer(7, &[(0, 1, 5)]));
        let second = first.next(&answer(8, &[(0, 2, 0)]));
        assert_eq!(second.leader("t", 0), Some((2, 0)));
        assert_eq!(second.topic_ids.len(), 1);
    }

    #[test]
    fn partitions_come_in_any_order_and_a_gap_has_no_leader() {
        let view = MetadataView::unknown().next(&answer(7, &[(2, 1, 0), (0, 1, 0)]));
        assert_eq!(view.topics["t"].partitions.len(), 3);
        assert_eq!((view.leader("t", 2), view.leader("t", 1), view.leader("t", 3)), (Some((1, 0)), None, None));
    }

    #[test]
    fn a_partition_number_of_billions_costs_no_memory() {
        let view = MetadataView::unknown().next(&answer(7, &[(i32::MAX, 1, 0), (-5, 1, 0)]));
        assert!(view.topics["t"].partitions.len() <= 4);
    }

    #[test]
    fn a_broker_with_an_impossible_port_is_left_out() {
        let broker = |id, port| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_static_str("host"))
                .with_port(port)
        };
        let answer = MetadataResponse::default().with_brokers(vec![broker(1, 9092), broker(2, -1), broker(3, 70_000)]);
        let view = MetadataView::unknown().next(&answer);
        assert_eq!(view.brokers.keys().collect::<Vec<_>>(), [&1]);
    }
}
