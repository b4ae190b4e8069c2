//! Offsets that members of settled groups commit: written to `__consumer_offsets` here, so that they cost Python nothing.
//!
//! Python has the table of committed offsets and every rule of it: what expires, what goes with a topic. What is
//! committed here is in the log before it is answered, and kept until Python takes it, which it does before it looks at
//! or changes a group's offsets. While it changes them it holds the group: commits go to Python then. So for one key the
//! log's order is the order that Python hears of.
//!
//! Not here: who may commit (`pulse`), the request (`wire::offset_commit`). The records are those of Python's
//! `coordinator/group/records.py`, byte for byte: key version 1, value version 4.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

use super::snapshot::TopicInfo;
use super::state::NetState;
use crate::log::types::AppendOrigin;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::wire::offset_commit::{CommitPartition, CommitRequest, TopicRef};
use crate::wire::primitives::put_unsigned_varint;

const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// What a batch's header and a record's fields, but its names and metadata, take at most.
const RECORD_BYTES: usize = 96;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset.
    pub offset: i64,
    /// Leader epoch, -1 = not given.
    pub leader_epoch: i32,
    /// Metadata.
    pub metadata: Box<str>,
    /// When, ms.
    pub timestamp_ms: i64,
    /// The topic's id.
    pub topic_id: Uuid,
}

/// Offsets by topic and partition.
pub type CommittedOffsets = HashMap<Arc<str>, HashMap<i32, CommittedOffset>>;

#[derive(Default)]
struct Inner {
    /// Commits are Python's.
    is_held: bool,
    /// What Python has not taken yet: at most one offset for each partition that there is.
    untaken: CommittedOffsets,
}

/// The commits of one settled group. Thread-safe.
pub struct GroupCommits {
    /// The partition of `__consumer_offsets` that the group belongs to.
    partition: i32,
    inner: Mutex<Inner>,
}

impl GroupCommits {
    /// Of a group that belongs to that partition of `__consumer_offsets`.
    #[must_use]
    pub fn new(partition: i32) -> Self {
        Self { partition, inner: Mutex::default() }
    }

    /// Hands over what was committed since the last time; with `hold`, commits are Python's from now on.
    #[must_use]
    pub fn take(&self, hold: bool) -> CommittedOffsets {
        let mut inner = self.inner.lock();
        inner.is_held |= hold;
        mem::take(&mut inner.untaken)
    }

    /// Ends a hold.
    pub fn release(&self) {
        self.inner.lock().is_held = false;
    }

    /// Stores all offsets of a member's request, whose answer is then without an error; returns the bytes written.
    /// `None` = nothing was stored, and the request is Python's: the group is held, a topic or partition is not there,
    /// metadata is long, the batch too large, or the log fails.
    #[must_use]
    pub fn commit(&self, state: &NetState, request: &CommitRequest<'_>) -> Option<usize> {
        let mut inner = self.inner.lock();
        if inner.is_held {
            return None;
        }
        // Under the lock: a topic that Python has withdrawn before it takes the commits gets no more of them.
        let topics = resolve(state, request)?;
        let timestamp_ms = state.clock.now_ms();
        let batch = batch(state, request, &topics, timestamp_ms)?;
        let bytes = batch.len();
        let partition = state.partitions.partition(OFFSETS_TOPIC, self.partition)?;
        if let Err(error) = partition.append(&Bytes::from(batch), AppendOrigin::Coordinator) {
            state.error_code(&error);
            return None;
        }
        for (asked, topic) in request.topics.iter().zip(topics) {
            let offsets = inner.untaken.entry(Arc::clone(&topic.name)).or_default();
            offsets
                .extend(asked.partitions.iter().map(|commit| (commit.index, committed(commit, &topic, timestamp_ms))));
        }
        Some(bytes)
    }
}

fn committed(commit: &CommitPartition<'_>, topic: &TopicInfo, timestamp_ms: i64) -> CommittedOffset {
    CommittedOffset {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata.into(),
        timestamp_ms,
        topic_id: topic.id,
    }
}

/// The request's topics, in its order, if they are there with all partitions that it names and its metadata is short.
fn resolve(state: &NetState, request: &CommitRequest<'_>) -> Option<Vec<Arc<TopicInfo>>> {
    let max_metadata_bytes = state.config.offset_metadata_max_bytes;
    let one = |topic: TopicRef<'_>| match topic {
        TopicRef::Name(name) => state.snapshot.topic(name),
        TopicRef::Id(id) => state.snapshot.topic_by_id(id),
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = one(asked.topic)?;
        let count = topic.partitions.len();
        let fits = |commit: &CommitPartition<'_>| {
            usize::try_from(commit.index).is_ok_and(|index| index < count)
                && commit.metadata.len() <= max_metadata_bytes
        };
        if !asked.partitions.iter().all(fits) {
            return None;
        }
        topics.push(topic);
    }
    Some(topics)
}

/// The batch of a request's records, if it has any and is no larger than `message.max.bytes`.
fn batch(state: &NetState, request: &CommitRequest<'_>, topics: &[Arc<TopicInfo>], now_ms: i64) -> Option<Vec<u8>> {
    let max_bytes = state.config.message_max_bytes;
    let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let expected = count.saturating_mul(RECORD_BYTES + request.group.len());
    let mut builder = BatchBuilder::with_buffer(BatchOptions::default(), Vec::with_capacity(expected.min(max_bytes)));
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for (asked, topic) in request.topics.iter().zip(topics) {
        key.clear();
        key.extend_from_slice(&1_i16.to_be_bytes());
        put_string(&mut key, request.group)?;
        put_string(&mut key, &topic.name)?;
        let names_end = key.len();
        for commit in &asked.partitions {
            key.truncate(names_end);
            key.extend_from_slice(&commit.index.to_be_bytes());
            put_value(&mut value, commit, topic.id, now_ms);
            builder.push(now_ms, Some(&key), Some(&value), [].into_iter()).ok()?;
            if builder.uncompressed_bytes() > max_bytes {
                return None;
            }
        }
    }
    builder.finish().ok()
}

fn put_string(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend_from_slice(&i16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn put_value(out: &mut Vec<u8>, commit: &CommitPartition<'_>, topic_id: Uuid, now_ms: i64) {
    out.clear();
    out.extend_from_slice(&4_i16.to_be_bytes());
    out.extend_from_slice(&commit.offset.to_be_bytes());
    out.extend_from_slice(&commit.leader_epoch.to_be_bytes());
    put_unsigned_varint(out, commit.metadata.len() + 1);
    out.extend_from_slice(commit.metadata.as_bytes());
    out.extend_from_slice(&now_ms.to_be_bytes());
    out.extend_from_slice(&[1, 0, 16]); // one tagged field, its number, its length
    out.extend_from_slice(topic_id.as_bytes());
}
