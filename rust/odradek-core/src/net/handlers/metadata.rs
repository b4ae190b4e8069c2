//! Metadata 0-13: brokers, controller, topics and who leads what, from the snapshot that Python published.
//!
//! The answer about all topics, which may be large and is what clients that list everything ask again and again, is
//! encoded once for each version and shared until something is published. Left out: authorized operations are those of a broker without ACLs; the rebootstrap error of v13 is never sent.
//! A request that names topics which don't exist and may be created goes to Python first ([`Answer::AskPython`]).

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use super::{CloseReason, reply};
use crate::net::snapshot::{AboutAll, TopicInfo};
use crate::net::state::NetState;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::{ResponseHead, finish};
use crate::wire::requests::decode;

/// Every operation on a topic, as the bits of Kafka's `AclOperation`.
const ALL_TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// Every operation on a cluster.
const ALL_CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// Says that operations were not asked for.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
/// Longest topic name.
const MAX_NAME_BYTES: usize = 249;
/// A shorter answer is cheaper copied than sent on its own.
const MIN_SHARED_BYTES: usize = 8 << 10;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered.
    Written,
    /// The beginning of the answer is written, this is the rest: all topics, as others are told of them too.
    Shared(Bytes),
    /// Topics have to be made first.
    AskPython,
}

/// Answers, unless `may_ask` and a topic is to be created.
///
/// # Errors
/// When the request contradicts itself.
pub fn handle(
    state: &NetState,
    head: ResponseHead,
    version: i16,
    body: Bytes,
    may_ask: bool,
    out: &mut Vec<u8>,
) -> Result<Answer, CloseReason> {
    let request: MetadataRequest = decode(body, version)?;
    let cluster_operations = (8..=10).contains(&version) && request.include_cluster_authorized_operations;
    let topic_operations = request.include_topic_authorized_operations;
    let operations = if topic_operations { ALL_TOPIC_OPERATIONS } else { OPERATIONS_NOT_ASKED };
    let may_create = may_ask && state.config.auto_create_topics && (version < 4 || request.allow_auto_topic_creation);
    let topics = match request.topics {
        Some(list) if version > 0 || !list.is_empty() => {
            let mut topics = Vec::with_capacity(list.len());
            for wanted in list {
                let found = match &wanted.name {
                    Some(name) => state.snapshot.topic(name),
                    None => state.snapshot.topic_by_id(wanted.topic_id),
                };
                match found {
                    Some(topic) => topics.push(describe(&topic, operations)),
                    None if may_create && wanted.name.is_some() => return Ok(Answer::AskPython),
                    None => topics.push(unknown(wanted.name, wanted.topic_id, version)),
                }
            }
            topics
        }
        _ => {
            let wanted = AboutAll { version, topic_operations, cluster_operations };
            let all = state.snapshot.about_all(wanted, || {
                let topics = state.snapshot.all_topics();
                let topics = topics.iter().map(|topic| describe(topic, operations)).collect();
                encode(&response(state, topics, cluster_operations), version)
            })?;
            return Ok(share(out, head, all));
        }
    };
    reply(out, head, version, &response(state, topics, cluster_operations))?;
    Ok(Answer::Written)
}

fn encode(response: &MetadataResponse, version: i16) -> Result<Bytes, CloseReason> {
    let mut body = Vec::new();
    response.encode(&mut body, version).map_err(|_| CloseReason::Internal)?;
    body.shrink_to_fit();
    Ok(body.into())
}

/// Begins the frame and leaves the rest to be sent from where it is; a short rest is copied.
fn share(out: &mut Vec<u8>, head: ResponseHead, rest: Bytes) -> Answer {
    let start = head.begin(out);
    if rest.len() < MIN_SHARED_BYTES {
        out.extend_from_slice(&rest);
        finish(out, start, 0);
        return Answer::Written;
    }
    finish(out, start, rest.len());
    Answer::Shared(rest)
}

/// The answer about these topics.
pub fn response(state: &NetState, topics: Vec<MetadataResponseTopic>, cluster_operations: bool) -> MetadataResponse {
    let cluster = state.snapshot.cluster();
    let brokers = cluster.brokers.iter().map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.node_id))
            .with_host(StrBytes::from_string(broker.host.clone()))
            .with_port(broker.port)
            .with_rack(broker.rack.clone().map(StrBytes::from_string))
    });
    let mut response = MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(state.cluster_id.clone())))
        .with_controller_id(BrokerId(cluster.controller_id))
        .with_topics(topics);
    if cluster_operations {
        response = response.with_cluster_authorized_operations(ALL_CLUSTER_OPERATIONS);
    }
    response
}

fn name_of(topic: &Arc<str>) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_string()))
}

fn describe(topic: &TopicInfo, operations: i32) -> MetadataResponseTopic {
    let ids = |list: &[i32]| list.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let partitions = topic.partitions.iter().map(|partition| {
        let error = if partition.leader < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
        MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(partition.index)
            .with_leader_id(BrokerId(partition.leader))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(ids(&partition.replicas))
            .with_isr_nodes(ids(&partition.isr))
            .with_offline_replicas(ids(&partition.offline))
    });
    MetadataResponseTopic::default()
        .with_name(Some(name_of(&topic.name)))
        .with_topic_id(topic.id)
        .with_is_internal(topic.internal)
        .with_topic_authorized_operations(operations)
        .with_partitions(partitions.collect())
}

fn unknown(name: Option<TopicName>, id: Uuid, version: i16) -> MetadataResponseTopic {
    let (error, name) = match name {
        Some(name) if is_topic_name(&name) => (ErrorCode::UnknownTopicOrPartition, Some(name)),
        Some(name) => (ErrorCode::InvalidTopic, Some(name)),
        // Only from v12 on may the name be null in the answer.
        None if version < 12 => (ErrorCode::UnknownTopicId, Some(TopicName::default())),
        None => (ErrorCode::UnknownTopicId, None),
    };
    MetadataResponseTopic::default().with_error_code(error.code()).with_name(name).with_topic_id(id)
}

fn is_topic_name(name: &str) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name != "." && name != ".." && name.as_bytes().iter().all(allowed)
}
