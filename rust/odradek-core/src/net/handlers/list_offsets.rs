//! ListOffsets 1-10: offsets by time, and the ends of a log.
//!
//! Times below zero are names: -1 latest (high watermark, or last stable offset for `read_committed`), -2 earliest,
//! -3 the record with the greatest timestamp (v7+), -4 earliest on this disk (v8+, the same as -2 here), -5 latest
//! in tiered storage (v9+, none here). Left out: -6 (v11), tiered storage.
//!
//! A time is looked up in indexes and batches that may be on the disk only. As a Fetch, a request becomes a plan that does
//! not wait for them: [`OffsetsPlan::attempt`] says what is cold, and is called again when that was read.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::resolve::{TopicKey, check_epoch, hosted_topic, partition};
use super::{CloseReason, reply};
use crate::fs::{Cold, Reach};
use crate::log::types::TimestampOffset;
use crate::net::cold_reads::{Attempts, Warmed};
use crate::net::state::NetState;
use crate::partition::Partition;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::{RequestHeader, ResponseHead};
use crate::wire::requests::decode;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

const NOTHING: TimestampOffset = TimestampOffset { timestamp_ms: -1, offset: -1, leader_epoch: -1 };
/// Attempts of one request that found something cold, before the next one waits for the disk itself. More than a Fetch
/// has: the end of each segment's time index may take one.
const MAX_COLD_ATTEMPTS: u32 = 1_000;

type Found = Result<TimestampOffset, ErrorCode>;

struct Target {
    index: i32,
    timestamp: i64,
    leader_epoch: i32,
    partition: Result<Arc<Partition>, ErrorCode>,
    found: Option<Found>,
}

/// A ListOffsets request, ready to be tried any number of times.
pub struct OffsetsPlan {
    head: ResponseHead,
    version: i16,
    read_committed: bool,
    topics: Vec<(TopicName, Vec<Target>)>,
    attempts: Attempts,
}

/// Reads a request; `body` is what follows its header.
///
/// # Errors
/// When the request contradicts itself.
pub fn plan(state: &NetState, header: &RequestHeader, body: Bytes) -> Result<OffsetsPlan, CloseReason> {
    let version = header.api_version;
    let request: ListOffsetsRequest = decode(body, version)?;
    let mut seen = HashSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let key = TopicKey::Name(&topic.name);
        let hosted = hosted_topic(state, key);
        let mut targets = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let index = wanted.partition_index;
            let partition = if seen.insert((topic.name.clone(), index)) {
                partition(state, hosted.as_deref(), key, index)
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            let (timestamp, leader_epoch) = (wanted.timestamp, wanted.current_leader_epoch);
            targets.push(Target { index, timestamp, leader_epoch, partition, found: None });
        }
        topics.push((topic.name, targets));
    }
    let read_committed = request.isolation_level == 1;
    let attempts = Attempts::at_most(MAX_COLD_ATTEMPTS);
    Ok(OffsetsPlan { head: header.response_head(), version, read_committed, topics, attempts })
}

impl OffsetsPlan {
    /// Looks for what has not been found yet; returns what of it is cold, nothing when it can be answered.
    pub fn attempt(&mut self, state: &NetState) -> Vec<Cold> {
        let mut cold = Vec::new();
        let (version, reach) = (self.version, self.attempts.reach());
        let waiting = self.topics.iter_mut().flat_map(|(_, targets)| targets).filter(|target| target.found.is_none());
        for target in waiting {
            match target.look_up(state, self.read_committed, version, reach) {
                Ok(found) => target.found = Some(found),
                Err(missing) => cold.push(missing),
            }
        }
        cold
    }

    /// Takes note of what became of the cold ranges that an attempt found.
    pub fn note_warmed(&mut self, warmed: Warmed) {
        self.attempts.note(warmed);
    }

    /// Keeps nothing of the buffer that the request was read into: it is going to wait.
    pub fn detach(&mut self) {
        for (name, _) in &mut self.topics {
            *name = TopicName(StrBytes::from_string(name.to_string()));
        }
    }

    /// Writes the response.
    ///
    /// # Errors
    /// When it can't be encoded.
    pub fn write(self, out: &mut Vec<u8>) -> Result<(), CloseReason> {
        let version = self.version;
        let topics = self.topics.into_iter().map(|(name, targets)| {
            let answers = targets.into_iter().map(|target| {
                let answer = ListOffsetsPartitionResponse::default().with_partition_index(target.index);
                match target.found.unwrap_or(Err(ErrorCode::UnknownServerError)) {
                    Ok(found) => answer
                        .with_timestamp(found.timestamp_ms)
                        .with_offset(found.offset)
                        .with_leader_epoch(if version >= 4 { found.leader_epoch } else { -1 }),
                    Err(error) => answer.with_error_code(error.code()),
                }
            });
            ListOffsetsTopicResponse::default().with_name(name).with_partitions(answers.collect())
        });
        let response = ListOffsetsResponse::default().with_topics(topics.collect());
        reply(out, self.head, version, &response)
    }
}

impl Target {
    fn look_up(&self, state: &NetState, read_committed: bool, version: i16, reach: Reach) -> Result<Found, Cold> {
        let partition = match &self.partition {
            Ok(partition) if partition.is_retired() => return Ok(Err(ErrorCode::NotLeaderOrFollower)),
            Ok(partition) => partition,
            Err(error) => return Ok(Err(*error)),
        };
        if let Err(error) = check_epoch(partition, self.leader_epoch) {
            return Ok(Err(error));
        }
        let log = &partition.log;
        let end = if read_committed { log.last_stable_offset() } else { log.high_watermark() };
        let since = match self.timestamp {
            MAX_TIMESTAMP => 7,
            EARLIEST_LOCAL => 8,
            LATEST_TIERED => 9,
            _ => 1,
        };
        if version < since {
            return Ok(Err(ErrorCode::UnsupportedVersion));
        }
        let found = match self.timestamp {
            LATEST => {
                return Ok(Ok(TimestampOffset { offset: end, leader_epoch: partition.leader_epoch(), ..NOTHING }));
            }
            EARLIEST | EARLIEST_LOCAL => {
                let offset = log.log_start_offset();
                return Ok(Ok(TimestampOffset { offset, leader_epoch: log.epoch_at(offset), ..NOTHING }));
            }
            MAX_TIMESTAMP => log.offset_of_max_timestamp(reach),
            time if time >= 0 => log.offset_for_timestamp(time, reach),
            _ => Ok(None),
        };
        match found {
            Ok(found) => Ok(Ok(found.filter(|found| found.offset < end).unwrap_or(NOTHING))),
            Err(error) => match error.cold() {
                Some(cold) => Err(cold.clone()),
                None => Ok(Err(state.error_code(&error))),
            },
        }
    }
}
