//! DeleteRecords 0-2: moves the start of a log up.
//!
//! Offset -1 means the high watermark. A topic that is only compacted refuses (44), an internal one too (17). Left
//! out: waiting for followers (there is one replica).

use bytes::Bytes;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::resolve::{TopicKey, hosted_topic, partition};
use super::{CloseReason, reply};
use crate::net::state::NetState;
use crate::partition::Partition;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::decode;

/// Answers; `body` is the request after its header.
///
/// # Errors
/// When the request contradicts itself.
pub fn handle(state: &NetState, header: &RequestHeader, body: Bytes, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let version = header.api_version;
    let request: DeleteRecordsRequest = decode(body, version)?;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let key = TopicKey::Name(&topic.name);
        let hosted = hosted_topic(state, key);
        let internal = state.snapshot.topic(&topic.name).is_some_and(|known| known.internal);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let deleted = if internal {
                Err(ErrorCode::InvalidTopic)
            } else {
                partition(state, hosted.as_deref(), key, wanted.partition_index)
                    .and_then(|partition| delete_before(state, &partition, wanted.offset))
            };
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
            answers.push(match deleted {
                Ok(low_watermark) => answer.with_low_watermark(low_watermark),
                Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
            });
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(answers));
    }
    reply(out, header.response_head(), version, &DeleteRecordsResponse::default().with_topics(topics))
}

fn delete_before(state: &NetState, partition: &Partition, offset: i64) -> Result<i64, ErrorCode> {
    let policy = partition.log.config().cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    if offset < -1 || offset > partition.log.high_watermark() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    partition.delete_records_before(offset).map_err(|error| state.error_code(&error))
}
