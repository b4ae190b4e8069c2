//! Takes one partition's part of a Fetch answer in: errors to what they mean, records to the queue.

use std::sync::Arc;
use std::time::Instant;

use super::ahead;
use super::budget::Lease;
use super::chunk::{Chunk, Failure};
use super::decode::{BadBatch, DecodeRules, decode};
use super::error::FetchError;
use super::fetcher::{Shared, State};
use super::positions::{Partition, Stage};
use super::response::PartitionAnswer;
use super::session::Wanted;
use super::settings::ResetPolicy;
use crate::record::batch::BatchError;
use crate::wire::error_code::Named;

const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Errors that new metadata or time mends: the server's unexpected one, unknown topic or partition, no leader, not the
/// leader, no replica, storage, old or new leader epoch, no high watermark yet, unknown or other topic id.
pub(super) const TRANSIENT: [i16; 13] = [-1, 3, 5, 6, 7, 9, 13, 56, 74, 75, 78, 100, 103];

/// A partition's part of an answer that is still to be decoded.
pub(super) struct Undecoded<'a> {
    wanted: &'a Wanted,
    answer: PartitionAnswer,
    /// Where its headers let the next fetch begin. `None`: none may be sent before it is decoded.
    next_offset: Option<i64>,
    /// Stands for what the chunk will take besides its records.
    reserve: Lease,
}

impl Undecoded<'_> {
    /// Bytes that its batches take besides those of the answer.
    pub fn batches_bytes(&self) -> usize {
        self.reserve.bytes() - Chunk::overhead_bytes(0)
    }
}

/// Takes in what broker `node` answered to `wanted`, up to its records: those are for [`finish`], and the partition may be
/// fetched on before that. An answer to what isn't the partition's next offset any more is dropped. `nothing`: the whole
/// answer has no records.
pub(super) fn begin<'a>(
    shared: &Shared,
    node: i32,
    wanted: &'a Wanted,
    answer: PartitionAnswer,
    nothing: bool,
) -> Option<Undecoded<'a>> {
    // Without the lock.
    let ahead = ahead::look(&answer.records, wanted.offset);
    let mut state = shared.lock();
    let partition = state.positions.current(&wanted.partition, wanted.generation)?;
    // A partition that is answered twice is taken once.
    if partition.asked || partition.stage != Stage::Fetch || partition.fetch_offset != wanted.offset {
        return None;
    }
    if answer.error != 0 {
        drop(state);
        failed(shared, node, wanted, answer.error);
        return None;
    }
    if answer.high_watermark >= 0 {
        partition.high_watermark = answer.high_watermark;
        partition.last_stable_offset = answer.last_stable_offset;
        partition.log_start_offset = answer.log_start_offset;
    }
    let preferred = answer.preferred_read_replica;
    if preferred >= 0 && preferred != node {
        partition.nearby.named(preferred, Instant::now() + shared.cluster.settings().metadata_max_age);
        if !shared.cluster.metadata().brokers.contains_key(&preferred) {
            replica_failed(shared, partition, preferred);
        }
        if answer.records.is_empty() {
            // It says where the records are, not that there are none.
            return None;
        }
    }
    if let Some(ahead) = &ahead {
        partition.decoding = answer.records.len();
        (partition.fetch_offset, partition.fetch_epoch) =
            (ahead.next_offset, if ahead.leader_epoch >= 0 { ahead.leader_epoch } else { partition.fetch_epoch });
    }
    partition.fetched(Instant::now(), nothing, shared.settings.committed_only);
    partition.nearby.served(node);
    if answer.records.is_empty() {
        partition.succeeded();
        return None;
    }
    let batches = ahead.as_ref().map_or(0, |ahead| ahead.batches);
    // Without sound headers only decoding tells what is next.
    partition.asked = ahead.is_none();
    state.positions.served(&wanted.partition);
    let next_offset = ahead.map(|ahead| ahead.next_offset);
    let reserve = shared.budget.lease(Chunk::overhead_bytes(batches));
    Some(Undecoded { wanted, answer, next_offset, reserve })
}

/// Decodes and queues what [`begin`] left. Where that ends before what the headers promised, the partition goes back there.
pub(super) fn finish(shared: &Shared, undecoded: Undecoded<'_>, frame: &Arc<Lease>) {
    let Undecoded { wanted, answer, next_offset, reserve } = undecoded;
    let rules = DecodeRules {
        check_crcs: shared.settings.check_crcs,
        committed_only: shared.settings.committed_only,
        max_batch_bytes: shared.settings.max_batch_bytes,
        // A poll that has nothing else to do decompresses itself, while this thread reads on; one that is behind finds it done.
        unpack: !shared.lock().queue.is_empty(),
    };
    let bytes = answer.records.len();
    // Without the lock: it takes as long as the records are many.
    let decoded = decode(&answer.records, wanted.offset, answer.aborted, rules, frame, &shared.budget);
    let mut state = shared.lock();
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return };
    partition.decoding = 0;
    if next_offset.is_none() {
        partition.asked = false;
    }
    let mut bad = decoded.bad;
    if let Some(size) = decoded.oversize {
        bad = Some(BadBatch {
            offset: wanted.offset,
            next_offset: wanted.offset.saturating_add(1),
            reason: BatchError::Truncated { available: bytes, needed: size },
        });
    }
    if next_offset != Some(decoded.next_offset) {
        // What was asked for ahead is not the next offset now, and is dropped when it comes.
        partition.fetch_offset = decoded.next_offset;
        if decoded.leader_epoch >= 0 {
            partition.fetch_epoch = decoded.leader_epoch;
        }
    }
    if bad.is_some() {
        partition.stop();
    } else {
        partition.succeeded();
        if decoded.next_offset == wanted.offset {
            return;
        }
    }
    let end = (decoded.next_offset, decoded.leader_epoch);
    let name = wanted.partition.clone();
    let failure = bad.map(Failure::Bad);
    drop(reserve);
    let mut chunk = Chunk::new(name, wanted.generation, wanted.offset, decoded.batches, end, failure, &shared.budget);
    chunk.bytes = bytes;
    state.push(chunk);
    shared.announce(&mut state);
}

fn failed(shared: &Shared, node: i32, wanted: &Wanted, code: i16) {
    let client = shared.cluster.settings();
    let mut guard = shared.lock();
    let state = &mut *guard;
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return };
    let now = Instant::now();
    if replica_failed(shared, partition, node) {
        // A replica's word on offsets and leadership is not the last one: the leader is asked next.
        return;
    }
    if TRANSIENT.contains(&code) {
        partition.failed(now, client.retry_backoff, client.retry_backoff_max);
        partition.troubled(now, why_refused(node, code));
        partition.awaits_metadata = Some(shared.cluster.metadata().version);
        drop(guard);
        shared.cluster.request_refresh();
        return;
    }
    if code == OFFSET_OUT_OF_RANGE {
        out_of_range(shared, state, wanted);
        return;
    }
    let error = FetchError::Broker { partition: wanted.partition.clone(), offset: wanted.offset, code };
    state.fail(&wanted.partition, error);
    shared.announce(state);
}

/// Why nothing comes from a broker that answered with an error code, for a message.
pub(super) fn why_refused(node: i32, code: i16) -> String {
    format!("broker {node} answered {} to a fetch", Named(code))
}

/// Notes that broker `node` could not serve a partition: true if it is the replica that was read in place of the leader,
/// which is read for a while then.
pub(super) fn replica_failed(shared: &Shared, partition: &mut Partition, node: i32) -> bool {
    let client = shared.cluster.settings();
    let failed = partition.nearby.failed(node, Instant::now(), client.retry_backoff_max, client.metadata_max_age);
    if failed {
        // It may have gone, or lost the partition.
        shared.cluster.request_refresh();
    }
    failed
}

fn out_of_range(shared: &Shared, state: &mut State, wanted: &Wanted) {
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return };
    partition.stage = match shared.settings.reset {
        ResetPolicy::Earliest => Stage::Reset { earliest: true },
        ResetPolicy::Latest => Stage::Reset { earliest: false },
        ResetPolicy::None => Stage::Explain,
    };
}
