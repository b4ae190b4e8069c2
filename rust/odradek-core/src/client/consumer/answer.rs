//! Takes one partition's part of a Fetch answer in: errors to what they mean, records to the queue.

use std::sync::Arc;
use std::time::Instant;

use super::budget::Lease;
use super::chunk::{Chunk, Failure};
use super::decode::{DecodeRules, decode};
use super::error::FetchError;
use super::fetcher::{Shared, State};
use super::positions::Stage;
use super::response::PartitionAnswer;
use super::session::Wanted;
use super::settings::ResetPolicy;
use crate::record::batch::BatchError;

const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Errors that new metadata or time mends: the server's unexpected one, unknown topic or partition, no leader, not the
/// leader, no replica, storage, old or new leader epoch, no high watermark yet, unknown or other topic id.
const TRANSIENT: [i16; 13] = [-1, 3, 5, 6, 7, 9, 13, 56, 74, 75, 78, 100, 103];

/// Takes in what broker `node` answered to `wanted`; returns the bytes that this takes besides those of the answer.
pub(super) fn take(shared: &Shared, node: i32, wanted: &Wanted, answer: PartitionAnswer, frame: &Arc<Lease>) -> usize {
    if answer.error != 0 {
        failed(shared, node, wanted, answer.error);
        return 0;
    }
    let rules = DecodeRules {
        check_crcs: shared.settings.check_crcs,
        committed_only: shared.settings.committed_only,
        max_batch_bytes: shared.settings.max_batch_bytes,
    };
    let bytes = answer.records.len();
    // Without the lock: it takes as long as the records are many.
    let decoded = decode(&answer.records, wanted.offset, answer.aborted, rules, frame, &shared.budget);
    let mut state = shared.lock();
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return 0 };
    if answer.high_watermark >= 0 {
        partition.high_watermark = answer.high_watermark;
        partition.last_stable_offset = answer.last_stable_offset;
        partition.log_start_offset = answer.log_start_offset;
    }
    if answer.preferred_read_replica >= 0 && answer.preferred_read_replica != node {
        let until = Instant::now() + shared.cluster.settings().metadata_max_age;
        partition.replica = Some((answer.preferred_read_replica, until));
    }
    let mut bad = decoded.bad;
    if let Some(size) = decoded.oversize {
        bad = Some(super::decode::BadBatch {
            offset: wanted.offset,
            next_offset: wanted.offset.saturating_add(1),
            reason: BatchError::Truncated { available: bytes, needed: size },
        });
    }
    if decoded.next_offset == wanted.offset && bad.is_none() {
        if partition.failures > 0 {
            partition.succeeded();
        }
        return 0;
    }
    if bad.is_none() {
        partition.succeeded();
    }
    partition.fetch_offset = decoded.next_offset;
    if decoded.leader_epoch >= 0 {
        partition.fetch_epoch = decoded.leader_epoch;
    }
    let stops = bad.is_some();
    if stops {
        partition.stop();
    }
    let end = (decoded.next_offset, decoded.leader_epoch);
    let name = wanted.partition.clone();
    let failure = bad.map(Failure::Bad);
    let mut chunk = Chunk::new(name, wanted.generation, wanted.offset, decoded.batches, end, failure, &shared.budget);
    chunk.bytes = bytes;
    let overhead = chunk.overhead_bytes();
    state.push(chunk);
    state.positions.served(&wanted.partition);
    shared.announce(&mut state);
    overhead
}

fn failed(shared: &Shared, node: i32, wanted: &Wanted, code: i16) {
    let client = shared.cluster.settings();
    let mut guard = shared.lock();
    let state = &mut *guard;
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return };
    let now = Instant::now();
    if let Some((replica, _)) = partition.replica.take()
        && replica == node
    {
        // A replica's word on offsets and leadership is not the last one: ask the leader.
        return;
    }
    if TRANSIENT.contains(&code) {
        partition.failed(now, client.retry_backoff, client.retry_backoff_max);
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

fn out_of_range(shared: &Shared, state: &mut State, wanted: &Wanted) {
    let Some(partition) = state.positions.current(&wanted.partition, wanted.generation) else { return };
    partition.stage = match shared.settings.reset {
        ResetPolicy::Earliest => Stage::Reset { earliest: true },
        ResetPolicy::Latest => Stage::Reset { earliest: false },
        ResetPolicy::None => Stage::Explain,
    };
}
