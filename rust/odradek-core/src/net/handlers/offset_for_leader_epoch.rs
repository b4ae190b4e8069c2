//! OffsetForLeaderEpoch 2-4: where a leader epoch ends, so that a client or follower can tell a truncated log.

use bytes::Bytes;
use kafka_protocol::messages::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::resolve::{TopicKey, check_epoch, hosted_topic, partition};
use super::{CloseReason, reply};
use crate::net::state::NetState;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::decode;

/// Answers; `body` is the request after its header.
///
/// # Errors
/// When the request contradicts itself.
pub fn handle(state: &NetState, header: &RequestHeader, body: Bytes, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let version = header.api_version;
    let request: OffsetForLeaderEpochRequest = decode(body, version)?;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let key = TopicKey::Name(&topic.topic);
        let hosted = hosted_topic(state, key);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let answer =
                EpochEndOffset::default().with_partition(wanted.partition).with_leader_epoch(-1).with_end_offset(-1);
            let checked = partition(state, hosted.as_deref(), key, wanted.partition)
                .and_then(|partition| check_epoch(&partition, wanted.current_leader_epoch).map(|()| partition));
            answers.push(match checked {
                Err(error) => answer.with_error_code(error.code()),
                Ok(partition) => match partition.log.end_offset_for_epoch(wanted.leader_epoch) {
                    Some((epoch, end_offset)) => answer.with_leader_epoch(epoch).with_end_offset(end_offset),
                    None => answer,
                },
            });
        }
        topics.push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(answers));
    }
    reply(out, header.response_head(), version, &OffsetForLeaderEpochResponse::default().with_topics(topics))
}
