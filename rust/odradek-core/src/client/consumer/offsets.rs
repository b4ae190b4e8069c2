//! Questions about offsets to a partition's leader: where the log starts and ends (resets), where an epoch ends (truncation).
//!
//! Source: KIP-79 (ListOffsets), KIP-320 (OffsetForLeaderEpoch).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::answer::TRANSIENT;
use super::error::FetchError;
use super::fetcher::{Shared, State};
use super::positions::{Partition, Stage};
use super::settings::{FetchSettings, ResetPolicy};
use crate::client::cluster::{Channel, Cluster, Node};
use crate::client::error::ClientError;
use crate::log::types::TopicPartition;
use crate::wire::error_code::Named;

const EARLIEST_TIMESTAMP: i64 = -2;
const LATEST_TIMESTAMP: i64 = -1;
const LIST_OFFSETS_VERSIONS: std::ops::RangeInclusive<i16> = 1..=9;
/// Before version 2 only brokers may ask.
const EPOCH_VERSIONS: std::ops::RangeInclusive<i16> = 2..=4;

/// What is asked about one partition.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub partition: TopicPartition,
    generation: u64,
    stage: Stage,
    leader_epoch: i32,
    fetch_epoch: i32,
}

impl Question {
    /// The question of a partition's stage, to its leader of that epoch.
    pub fn new(partition: TopicPartition, state: &Partition, leader_epoch: i32) -> Self {
        let Partition { generation, stage, fetch_epoch, .. } = *state;
        Self { partition, generation, stage, leader_epoch, fetch_epoch }
    }
}

/// The leader's reply.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Offset and leader epoch to go on from.
    Start(i64, i32),
    /// First offset, and the offset behind the last.
    Range(i64, i64),
    /// Where the log of the epoch asked about ends, -1 = the leader doesn't know; the leader's epoch.
    EpochEnd(i64, i32),
    /// Kafka's error code.
    Code(i16),
    /// No reply.
    Failed(ClientError),
}

type Answers = HashMap<TopicPartition, Result<(i64, i32), i16>>;

/// Asks one broker everything.
pub(super) async fn ask(
    cluster: &Cluster,
    settings: &FetchSettings,
    node: i32,
    questions: Vec<Question>,
) -> Vec<(TopicPartition, u64, Reply)> {
    let select =
        |wanted: fn(Stage) -> bool| questions.iter().filter(|question| wanted(question.stage)).collect::<Vec<_>>();
    let starts = select(|stage| matches!(stage, Stage::Reset { earliest: true } | Stage::Explain));
    let ends = select(|stage| matches!(stage, Stage::Reset { earliest: false } | Stage::Explain));
    let epochs = select(|stage| stage == Stage::Validate);
    let starts = list(cluster, settings, node, &starts, EARLIEST_TIMESTAMP).await;
    let ends = list(cluster, settings, node, &ends, LATEST_TIMESTAMP).await;
    let epochs = epoch_ends(cluster, node, &epochs).await;
    let one = |answers: &Result<Answers, ClientError>, partition: &TopicPartition| match answers {
        Err(error) => Err(Reply::Failed(error.clone())),
        Ok(answers) => match answers.get(partition) {
            Some(Ok(found)) => Ok(*found),
            Some(Err(code)) => Err(Reply::Code(*code)),
            // An answer that leaves out what was asked: try again.
            None => Err(Reply::Code(-1)),
        },
    };
    let replies = questions.iter().map(|question| {
        let name = &question.partition;
        let reply = match question.stage {
            Stage::Explain => one(&starts, name).and_then(|start| Ok(Reply::Range(start.0, one(&ends, name)?.0))),
            Stage::Validate => one(&epochs, name).map(|(offset, epoch)| Reply::EpochEnd(offset, epoch)),
            Stage::Reset { earliest: true } => one(&starts, name).map(|(offset, epoch)| Reply::Start(offset, epoch)),
            _ => one(&ends, name).map(|(offset, epoch)| Reply::Start(offset, epoch)),
        };
        (name.clone(), question.generation, reply.unwrap_or_else(|failed| failed))
    });
    replies.collect()
}

fn by_topic<'a>(questions: &[&'a Question]) -> HashMap<&'a str, Vec<&'a Question>> {
    let mut topics: HashMap<&str, Vec<&Question>> = HashMap::new();
    for question in questions {
        topics.entry(&question.partition.topic).or_default().push(question);
    }
    topics
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

async fn list(
    cluster: &Cluster,
    settings: &FetchSettings,
    node: i32,
    questions: &[&Question],
    timestamp: i64,
) -> Result<Answers, ClientError> {
    if questions.is_empty() {
        return Ok(Answers::new());
    }
    let build = |version: i16| {
        let topics = by_topic(questions).into_iter().map(|(topic, questions)| {
            let partitions = questions.into_iter().map(|question| {
                ListOffsetsPartition::default()
                    .with_partition_index(question.partition.partition)
                    .with_current_leader_epoch(if version >= 4 { question.leader_epoch } else { -1 })
                    .with_timestamp(timestamp)
            });
            ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions.collect())
        });
        ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(settings.committed_only && version >= 2))
            .with_topics(topics.collect())
    };
    let timeout = cluster.settings().request_timeout;
    let (answer, _) = cluster.call(Node::Id(node), Channel::Control, LIST_OFFSETS_VERSIONS, timeout, build).await?;
    let mut answers = Answers::new();
    for topic in answer.topics {
        let name: Arc<str> = Arc::from(topic.name.0.as_str());
        for found in topic.partitions {
            let key = TopicPartition { topic: Arc::clone(&name), partition: found.partition_index };
            let result =
                if found.error_code == 0 { Ok((found.offset, found.leader_epoch)) } else { Err(found.error_code) };
            answers.insert(key, result);
        }
    }
    Ok(answers)
}

async fn epoch_ends(cluster: &Cluster, node: i32, questions: &[&Question]) -> Result<Answers, ClientError> {
    if questions.is_empty() {
        return Ok(Answers::new());
    }
    let build = |version: i16| {
        let topics = by_topic(questions).into_iter().map(|(topic, questions)| {
            let partitions = questions.into_iter().map(|question| {
                OffsetForLeaderPartition::default()
                    .with_partition(question.partition.partition)
                    .with_current_leader_epoch(question.leader_epoch)
                    .with_leader_epoch(question.fetch_epoch)
            });
            OffsetForLeaderTopic::default().with_topic(topic_name(topic)).with_partitions(partitions.collect())
        });
        let request = OffsetForLeaderEpochRequest::default().with_topics(topics.collect());
        if version >= 3 { request.with_replica_id(BrokerId(-1)) } else { request }
    };
    let timeout = cluster.settings().request_timeout;
    let (answer, _) = cluster.call(Node::Id(node), Channel::Control, EPOCH_VERSIONS, timeout, build).await?;
    let mut answers = Answers::new();
    for topic in answer.topics {
        let name: Arc<str> = Arc::from(topic.topic.0.as_str());
        for found in topic.partitions {
            let key = TopicPartition { topic: Arc::clone(&name), partition: found.partition };
            let result =
                if found.error_code == 0 { Ok((found.end_offset, found.leader_epoch)) } else { Err(found.error_code) };
            answers.insert(key, result);
        }
    }
    Ok(answers)
}

/// Does what a reply means; true if the metadata should be refreshed.
pub(super) fn apply(shared: &Shared, state: &mut State, name: &TopicPartition, generation: u64, reply: Reply) -> bool {
    let client = shared.cluster.settings();
    let Some(partition) = state.positions.current(name, generation) else { return false };
    partition.asked = false;
    match reply {
        Reply::Start(offset, epoch) => partition.reset_to(offset, epoch),
        Reply::Range(first, end) => {
            let (partition, offset) = (name.clone(), partition.fetch_offset);
            if let Some(state) = state.positions.get_mut(name) {
                state.stage = Stage::Fetch;
            }
            state.fail(name, FetchError::OutOfRange { partition, offset, first, end });
        }
        Reply::EpochEnd(end, epoch) => truncated(shared, state, name, end, epoch),
        Reply::Code(code) if TRANSIENT.contains(&code) => {
            let now = Instant::now();
            partition.failed(now, client.retry_backoff, client.retry_backoff_max);
            partition.troubled(now, format!("its leader answered {} when asked for offsets", Named(code)));
            partition.awaits_metadata = Some(shared.cluster.metadata().version);
            return true;
        }
        Reply::Code(code) => {
            let (partition, offset) = (name.clone(), partition.fetch_offset);
            state.fail(name, FetchError::Broker { partition, offset, code });
        }
        // A broker too old to know epochs can't tell; its answers to fetches will.
        Reply::Failed(ClientError::Unsupported { .. }) if partition.stage == Stage::Validate => {
            (partition.stage, partition.validated_epoch) = (Stage::Fetch, i32::MAX);
        }
        Reply::Failed(error) => {
            let now = Instant::now();
            partition.failed(now, client.retry_backoff, client.retry_backoff_max);
            partition.troubled(now, error.to_string());
            partition.awaits_metadata = Some(shared.cluster.metadata().version);
            if !error.retriable() && !matches!(error, ClientError::Closed) {
                state.failure = Some(error);
            }
            return true;
        }
    }
    false
}

/// Compares the position with where its epoch ends on the new leader: what is behind that was lost with the old one.
fn truncated(shared: &Shared, state: &mut State, name: &TopicPartition, end: i64, epoch: i32) {
    let view = shared.cluster.metadata();
    let Some(partition) = state.positions.get_mut(name) else { return };
    partition.stage = Stage::Fetch;
    partition.validated_epoch = view.leader(&name.topic, name.partition).map_or(i32::MAX, |(_, epoch)| epoch);
    partition.succeeded();
    if end >= partition.fetch_offset {
        return;
    }
    let offset = partition.fetch_offset;
    if end < 0 {
        // The leader knows nothing of that epoch.
        partition.stage = match shared.settings.reset {
            ResetPolicy::Earliest => Stage::Reset { earliest: true },
            ResetPolicy::Latest => Stage::Reset { earliest: false },
            ResetPolicy::None => Stage::Explain,
        };
    } else if shared.settings.reset == ResetPolicy::None {
        let first = partition.log_start_offset;
        // Once told it is asked again: only a seek settles it, else what the new leader has in its place would be passed over.
        partition.stage = Stage::Validate;
        state.fail(name, FetchError::OutOfRange { partition: name.clone(), offset, first, end });
    } else {
        state.positions.break_off(name);
        if let Some(partition) = state.positions.get_mut(name) {
            partition.position = partition.position.min(end);
            (partition.fetch_offset, partition.fetch_epoch) = (partition.position, epoch);
            partition.epoch = epoch;
        }
        state.drop_stale();
    }
}
