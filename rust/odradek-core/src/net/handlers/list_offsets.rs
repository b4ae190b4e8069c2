//! ListOffsets 1-10: offsets by time, and the ends of a log.
//!
//! Times below zero are names: -1 latest (high watermark, or last stable offset for `read_committed`), -2 earliest,
//! -3 the record with the greatest timestamp (v7+), -4 earliest on this disk (v8+, the same as -2 here), -5 latest
//! in tiered storage (v9+, none here). Left out: -6 (v11), tiered storage.

use std::collections::HashSet;

use bytes::Bytes;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::resolve::{TopicKey, check_epoch, hosted_topic, partition};
use super::{CloseReason, reply};
use crate::log::types::TimestampOffset;
use crate::net::state::NetState;
use crate::partition::Partition;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::decode;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Answers; `body` is the request after its header.
///
/// # Errors
/// When the request contradicts itself.
pub fn handle(state: &NetState, header: &RequestHeader, body: Bytes, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let version = header.api_version;
    let request: ListOffsetsRequest = decode(body, version)?;
    let read_committed = request.isolation_level == 1;
    let mut seen = HashSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let key = TopicKey::Name(&topic.name);
        let hosted = hosted_topic(state, key);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let index = wanted.partition_index;
            let found = if seen.insert((topic.name.clone(), index)) {
                partition(state, hosted.as_deref(), key, index).and_then(|partition| {
                    check_epoch(&partition, wanted.current_leader_epoch)?;
                    look_up(state, &partition, wanted.timestamp, read_committed, version)
                })
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
            answers.push(match found {
                Ok(found) => answer
                    .with_timestamp(found.timestamp_ms)
                    .with_offset(found.offset)
                    .with_leader_epoch(if version >= 4 { found.leader_epoch } else { -1 }),
                Err(error) => answer.with_error_code(error.code()),
            });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(answers));
    }
    reply(out, header.response_head(), version, &ListOffsetsResponse::default().with_topics(topics))
}

fn look_up(
    state: &NetState,
    partition: &Partition,
    timestamp: i64,
    read_committed: bool,
    version: i16,
) -> Result<TimestampOffset, ErrorCode> {
    let log = &partition.log;
    let end = if read_committed { log.last_stable_offset() } else { log.high_watermark() };
    let nothing = TimestampOffset { timestamp_ms: -1, offset: -1, leader_epoch: -1 };
    let since = match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        _ => 1,
    };
    if version < since {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let found = match timestamp {
        LATEST => {
            return Ok(TimestampOffset { offset: end, leader_epoch: partition.leader_epoch(), ..nothing });
        }
        EARLIEST | EARLIEST_LOCAL => {
            let offset = log.log_start_offset();
            return Ok(TimestampOffset { offset, leader_epoch: log.epoch_at(offset), ..nothing });
        }
        MAX_TIMESTAMP => log.offset_of_max_timestamp(),
        time if time >= 0 => log.offset_for_timestamp(time),
        _ => Ok(None),
    };
    match found {
        Ok(found) => Ok(found.filter(|found| found.offset < end).unwrap_or(nothing)),
        Err(error) => Err(state.error_code(&error)),
    }
}
