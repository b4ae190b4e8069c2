//! One partition's part of one answer on its way through `poll`, and the walk over its records.
//!
//! A chunk belongs to one thread at a time: the I/O thread makes it, the queue holds it, a poll takes it out, walks some of
//! it without any lock and puts it back. Records go to a [`Sink`] as views of the batch: no allocation a record here.

use std::collections::VecDeque;
use std::sync::Arc;

use super::budget::{Budget, Lease};
use super::decode::{BadBatch, Batch};
use super::error::FetchError;
use crate::log::types::TopicPartition;
use crate::record::batch::BatchError;
use crate::record::reader::{Headers, Records};

/// A record as a poll hands it out; its bytes belong to the chunk.
#[derive(Debug, Clone)]
pub struct FetchedRecord<'a> {
    /// Offset.
    pub offset: i64,
    /// Timestamp, ms.
    pub timestamp_ms: i64,
    /// Key, if not null.
    pub key: Option<&'a [u8]>,
    /// Value, if not null.
    pub value: Option<&'a [u8]>,
    /// Headers in their order.
    pub headers: Headers<'a>,
}

/// What the records of one run have in common.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Topic and partition.
    pub partition: &'a TopicPartition,
    /// Epoch of the leader that appended them.
    pub leader_epoch: i32,
    /// The broker's clock stamped them.
    pub log_append_time: bool,
    /// Bytes of the batch's records that have not been walked: an upper bound of what comes.
    pub bytes: usize,
    /// Records that come at most.
    pub records: usize,
    /// Records in those bytes, as the batch says; more than come where a poll ends inside it.
    pub left: usize,
}

/// Takes records.
pub trait Sink {
    /// A poll begins to walk; `bytes` counts what is there, as it came. More may come meanwhile.
    fn expect(&mut self, _bytes: impl FnOnce() -> usize) {}
    /// Records of one batch follow.
    fn begin(&mut self, run: &Run<'_>);
    /// The next record of the run.
    fn record(&mut self, record: &FetchedRecord<'_>);
    /// False ends the walk before the next record, for a sink that is full before its count is.
    fn has_room(&self) -> bool {
        true
    }
}

/// Why a chunk ends in an error.
#[derive(Debug)]
pub enum Failure {
    /// A batch that can't be read.
    Bad(BadBatch),
    /// Anything else.
    Fetch(FetchError),
}

/// What is left of one partition's part of an answer.
#[derive(Debug)]
pub struct Chunk {
    /// Topic and partition.
    pub partition: TopicPartition,
    /// The partition's generation when it was asked for; an older one than the partition's is dropped.
    pub generation: u64,
    /// Bytes counted towards the partition's share of the buffer.
    pub bytes: usize,
    position: i64,
    leader_epoch: i32,
    batches: VecDeque<Batch>,
    /// Where the walk stands in the first batch: byte, and records left from there. `None` = before its start.
    place: Option<(usize, u32)>,
    end: (i64, i32),
    failure: Option<Failure>,
    /// Only held.
    #[allow(dead_code)]
    overhead: Option<Lease>,
}

impl Chunk {
    /// A chunk to be read from `position` on, that ends before offset `end.0` at leader epoch `end.1`.
    #[must_use]
    pub fn new(
        partition: TopicPartition,
        generation: u64,
        position: i64,
        mut batches: VecDeque<Batch>,
        end: (i64, i32),
        failure: Option<Failure>,
        budget: &Arc<Budget>,
    ) -> Self {
        batches.shrink_to_fit();
        let overhead = budget.lease(Self::overhead_bytes(batches.capacity()));
        Self {
            partition,
            generation,
            bytes: 0,
            position,
            leader_epoch: -1,
            batches,
            place: None,
            end,
            failure,
            overhead: Some(overhead),
        }
    }

    /// Bytes that a chunk of so many batches takes besides those of its records.
    #[must_use]
    pub fn overhead_bytes(batches: usize) -> usize {
        // The queue that holds it may be half empty.
        2 * size_of::<Self>() + batches * size_of::<Batch>()
    }

    /// A chunk that is nothing but an error.
    #[must_use]
    pub fn failed(partition: TopicPartition, generation: u64, position: i64, error: FetchError) -> Self {
        Self {
            partition,
            generation,
            bytes: 0,
            position,
            leader_epoch: -1,
            batches: VecDeque::new(),
            place: None,
            end: (position, -1),
            failure: Some(Failure::Fetch(error)),
            overhead: None,
        }
    }

    /// True when no records are left; a failure may be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// (next offset to be delivered, leader epoch of the last one delivered or -1).
    #[must_use]
    pub fn position(&self) -> (i64, i32) {
        (self.position, self.leader_epoch)
    }

    /// The failure that is left when all before it has been delivered.
    pub fn take_failure(&mut self) -> Option<Failure> {
        if self.is_empty() { self.failure.take() } else { None }
    }

    /// True while a failure is still to be told.
    #[must_use]
    pub fn has_failure(&self) -> bool {
        self.failure.is_some()
    }

    /// True if the next batch must be decompressed before it can be walked: worth letting go of an interpreter lock.
    #[must_use]
    pub fn needs_preparing(&self) -> bool {
        self.batches.front().is_some_and(|batch| !batch.is_prepared())
    }

    /// Decompresses the next batch if it isn't yet.
    pub fn prepare(&mut self, budget: &Arc<Budget>, limit: usize) {
        if let Some(batch) = self.batches.front_mut()
            && let Err(reason) = batch.prepare(budget, limit)
        {
            self.fail(reason);
        }
    }

    /// Hands at most `most` records of prepared batches to `sink`; returns how many. Fewer than `most` come when the chunk
    /// is empty, the next batch needs preparing, or the sink is full.
    pub fn walk(&mut self, most: usize, sink: &mut impl Sink) -> usize {
        let mut count = 0;
        while count < most && sink.has_room() {
            let Some(batch) = self.batches.front() else { break };
            if !batch.is_prepared() {
                break;
            }
            match walk_batch(batch, &self.partition, self.place, self.position, most - count, sink) {
                Step { walked, position, end: Ok(None) } => {
                    count += walked;
                    self.position = self.position.max(position);
                    self.position = self.position.max(batch.header.last_offset().saturating_add(1));
                    self.leader_epoch = batch.header.partition_leader_epoch;
                    self.batches.pop_front();
                    self.place = None;
                }
                Step { walked, position, end: Ok(Some(place)) } => {
                    count += walked;
                    self.position = self.position.max(position);
                    self.leader_epoch = batch.header.partition_leader_epoch;
                    self.place = Some(place);
                }
                Step { walked, position, end: Err(reason) } => {
                    count += walked;
                    self.position = self.position.max(position);
                    self.fail(reason);
                }
            }
        }
        if self.batches.is_empty() && !matches!(self.failure, Some(Failure::Bad(_))) && self.end.0 > self.position {
            self.position = self.end.0;
            self.leader_epoch = self.leader_epoch.max(self.end.1);
        }
        count
    }

    /// The first batch can't be read on: what is behind it is fetched again once the caller has stepped over it.
    fn fail(&mut self, reason: BatchError) {
        let next = self.batches.front().map_or(self.position, |batch| batch.header.last_offset()).saturating_add(1);
        let next_offset = next.max(self.position.saturating_add(1));
        self.failure = Some(Failure::Bad(BadBatch { offset: self.position, next_offset, reason }));
        self.batches.clear();
        self.place = None;
    }
}

/// How far a walk over one batch came.
struct Step {
    walked: usize,
    /// Behind the last record delivered; -1 if none was.
    position: i64,
    /// `None`: the batch is done; a place: there is more.
    end: Result<Option<(usize, u32)>, BatchError>,
}

fn walk_batch(
    batch: &Batch,
    partition: &TopicPartition,
    place: Option<(usize, u32)>,
    from: i64,
    most: usize,
    sink: &mut impl Sink,
) -> Step {
    let header = &batch.header;
    let all = batch.records();
    let failed = |walked, position, reason| Step { walked, position, end: Err(reason) };
    let (at, left) = match place {
        Some(place) => place,
        None => match u32::try_from(header.record_count) {
            Ok(count) => (0, count),
            Err(_) => return failed(0, -1, BatchError::Malformed("its record count is negative")),
        },
    };
    let rest = all.get(at..).unwrap_or_default();
    // A record takes 7 bytes at least, so a lying count makes no sink reserve much.
    let records = (left as usize).min(rest.len() / 7 + 1).min(most);
    sink.begin(&Run {
        partition,
        leader_epoch: header.partition_leader_epoch,
        log_append_time: header.is_log_append_time(),
        bytes: rest.len(),
        records,
        left: left as usize,
    });
    let mut reader = Records::resume(rest, left);
    let (mut walked, mut position) = (0, from);
    while walked < most && sink.has_room() {
        let record = match reader.next() {
            None => return Step { walked, position, end: Ok(None) },
            Some(Ok(record)) => record,
            Some(Err(reason)) => return failed(walked, position, reason),
        };
        let (offset, timestamp_ms) = match (header.offset_of(&record), header.timestamp_of(&record)) {
            (Ok(offset), Ok(timestamp)) => (offset, timestamp),
            (Err(reason), _) | (_, Err(reason)) => return failed(walked, position, reason),
        };
        if offset < position {
            if offset < from && walked == 0 {
                continue;
            }
            return failed(walked, position, BatchError::InvalidRecord("its offset goes backwards"));
        }
        sink.record(&FetchedRecord {
            offset,
            timestamp_ms,
            key: record.key,
            value: record.value,
            headers: record.headers,
        });
        walked += 1;
        position = offset.saturating_add(1);
    }
    let (bytes_left, left) = reader.remaining();
    // Without records left the next call finds the end, or the bytes that follow it.
    Step {
        walked,
        position,
        end: if left == 0 && bytes_left == 0 { Ok(None) } else { Ok(Some((all.len() - bytes_left, left))) },
    }
}
