//! From a topic and partition in a request to the hosted partition, or the error code that says why not.

use std::sync::Arc;

use uuid::Uuid;

use crate::net::state::NetState;
use crate::partition::table::HostedTopic;
use crate::partition::{EpochCheck, Partition};
use crate::wire::error_code::ErrorCode;

/// How a request names a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicKey<'a> {
    /// By name.
    Name(&'a str),
    /// By id.
    Id(Uuid),
}

/// The hosted topic, if any of its partitions is here.
#[must_use]
pub fn hosted_topic(state: &NetState, key: TopicKey<'_>) -> Option<Arc<HostedTopic>> {
    match key {
        TopicKey::Name(name) => state.partitions.topic(name),
        TopicKey::Id(id) => state.partitions.topic_by_id(id),
    }
}

/// The hosted partition; `hosted` is what [`hosted_topic`] gave for the same key.
///
/// # Errors
/// 3 or 100 when there is no such topic, 3 for no such partition, 6 when another broker leads it.
pub fn partition(
    state: &NetState,
    hosted: Option<&HostedTopic>,
    key: TopicKey<'_>,
    index: i32,
) -> Result<Arc<Partition>, ErrorCode> {
    if let Some(partition) = hosted.and_then(|topic| topic.partition(index)) {
        return if partition.is_retired() { Err(ErrorCode::NotLeaderOrFollower) } else { Ok(partition) };
    }
    let (known, unknown) = match key {
        TopicKey::Name(name) => (state.snapshot.topic(name), ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => (state.snapshot.topic_by_id(id), ErrorCode::UnknownTopicId),
    };
    match known {
        Some(topic) if topic.partitions.iter().any(|partition| partition.index == index) => {
            Err(ErrorCode::NotLeaderOrFollower)
        }
        Some(_) => Err(ErrorCode::UnknownTopicOrPartition),
        None if hosted.is_some() => Err(ErrorCode::UnknownTopicOrPartition),
        None => Err(unknown),
    }
}

/// Checks the leader epoch that a request carries (-1 = none).
///
/// # Errors
/// 74 when the client is behind, 75 when it is ahead.
pub fn check_epoch(partition: &Partition, requested: i32) -> Result<(), ErrorCode> {
    match partition.check_epoch(requested) {
        EpochCheck::Current => Ok(()),
        EpochCheck::Fenced => Err(ErrorCode::FencedLeaderEpoch),
        EpochCheck::Unknown => Err(ErrorCode::UnknownLeaderEpoch),
    }
}
