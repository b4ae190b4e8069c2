//! What a partition remembers of idempotent and transactional producers (KIP-98): the last five batches of each, its
//! epoch, and its open transaction. Decides what is a duplicate, what is out of order, and where the last stable offset is.
//!
//! No I/O: snapshots are `producer_snapshot`. Changes are staged while an append is checked and applied after its write,
//! so a failed append changes nothing. Source: Kafka `ProducerStateManager`, `ProducerAppendInfo`.

use std::collections::{BTreeMap, HashMap};

use super::error::LogError;
use super::txn_index::AbortedTxn;
use super::types::AppendOrigin;
use crate::record::batch::BatchHeader;
use crate::record::control::{Marker, MarkerType};

/// Batches remembered of each producer; the greatest number in flight that idempotence allows.
const REMEMBERED_BATCHES: usize = 5;

/// A batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchMetadata {
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Last offset less the first.
    pub offset_delta: i32,
    /// When it was appended, ms.
    pub timestamp_ms: i64,
}

impl BatchMetadata {
    /// Sequence number of its first record (sequences wrap to 0 after 2^31 - 1).
    #[must_use]
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        (if first < 0 { first + (1 << 31) } else { first }) as i32
    }

    /// Offset of its first record.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// The sequence that is `steps` after `sequence`.
fn sequence_after(sequence: i32, steps: i32) -> i32 {
    ((i64::from(sequence) + i64::from(steps)) & i64::from(i32::MAX)) as i32
}

/// One producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its epoch, -1 = none yet.
    pub epoch: i16,
    batches: [BatchMetadata; REMEMBERED_BATCHES],
    batch_count: usize,
    /// Epoch of the coordinator that wrote its last marker, -1 = none.
    pub coordinator_epoch: i32,
    /// Last time it appended, ms.
    pub last_timestamp_ms: i64,
    /// First offset of its open transaction.
    pub txn_first_offset: Option<i64>,
}

impl Default for ProducerEntry {
    fn default() -> Self {
        Self {
            epoch: -1,
            batches: [BatchMetadata::default(); REMEMBERED_BATCHES],
            batch_count: 0,
            coordinator_epoch: -1,
            last_timestamp_ms: -1,
            txn_first_offset: None,
        }
    }
}

impl ProducerEntry {
    /// The youngest batch.
    #[must_use]
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches[..self.batch_count].last()
    }

    /// Adds a batch, forgetting the oldest of five.
    pub fn add_batch(&mut self, batch: BatchMetadata) {
        if self.batch_count == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[self.batch_count] = batch;
        self.batch_count += 1;
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }
}

/// A transaction that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EndedTxn {
    producer_id: i64,
    first_offset: i64,
    marker_offset: i64,
    commit: bool,
}

/// The effects of one append on producers, held until the write has succeeded.
#[derive(Debug, Default)]
pub struct StagedProducers {
    entries: Vec<(i64, ProducerEntry)>,
    ended: Vec<EndedTxn>,
}

/// What [`ProducerStates::stage`] needs to know of a batch beyond its header.
#[derive(Debug, Clone, Copy)]
pub struct StagedBatch {
    /// Offset it gets.
    pub base_offset: i64,
    /// The time to remember it by, ms.
    pub timestamp_ms: i64,
    /// For a control batch, the marker in it.
    pub marker: Option<Marker>,
    /// Who appends.
    pub origin: AppendOrigin,
}

/// All producers of one partition. Guarded by the partition's append lock.
#[derive(Debug, Default)]
pub struct ProducerStates {
    producers: HashMap<i64, ProducerEntry>,
    /// Open transactions: first offset to producer.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions whose marker the high watermark has not passed: first offset to marker offset.
    unreplicated: BTreeMap<i64, i64>,
}

impl ProducerStates {
    /// The producers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    /// Puts back an entry of a snapshot.
    pub fn restore(&mut self, producer_id: i64, entry: ProducerEntry) {
        if let Some(first_offset) = entry.txn_first_offset {
            self.ongoing.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, entry);
    }

    /// The batch that this one repeats.
    #[must_use]
    pub fn find_duplicate(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        let entry = self.producers.get(&header.producer_id).filter(|entry| entry.epoch == header.producer_epoch)?;
        let last_sequence = sequence_after(header.base_sequence, header.last_offset_delta);
        let batches = &entry.batches[..entry.batch_count];
        batches
            .iter()
            .find(|batch| batch.first_sequence() == header.base_sequence && batch.last_sequence == last_sequence)
            .copied()
    }

    /// Checks one batch of a producer (after those already staged) and stages its effect.
    ///
    /// # Errors
    /// The epoch, sequence and transaction errors of [`LogError`]; a follower and recovery accept what the leader took.
    pub fn stage(
        &self,
        staged: &mut StagedProducers,
        header: &BatchHeader,
        batch: StagedBatch,
    ) -> Result<(), LogError> {
        let producer_id = header.producer_id;
        if producer_id < 0 {
            return Ok(());
        }
        let at = match staged.entries.iter().position(|(id, _)| *id == producer_id) {
            Some(at) => at,
            None => {
                staged.entries.push((producer_id, self.producers.get(&producer_id).copied().unwrap_or_default()));
                staged.entries.len() - 1
            }
        };
        let entry = &mut staged.entries[at].1;
        let trusted = batch.origin == AppendOrigin::Replication;
        if header.producer_epoch < entry.epoch && !trusted {
            let (current, found) = (entry.epoch, header.producer_epoch);
            return Err(LogError::InvalidProducerEpoch { producer_id, current, found });
        }
        if header.is_control() {
            if let Some(marker) = batch.marker {
                entry.set_epoch(header.producer_epoch);
                entry.coordinator_epoch = marker.coordinator_epoch;
                entry.last_timestamp_ms = batch.timestamp_ms;
                if let Some(first_offset) = entry.txn_first_offset.take() {
                    let (marker_offset, commit) = (batch.base_offset, marker.marker_type == MarkerType::Commit);
                    staged.ended.push(EndedTxn { producer_id, first_offset, marker_offset, commit });
                }
            }
            return Ok(());
        }
        if batch.origin == AppendOrigin::Client {
            check_sequence(entry, header)?;
        }
        if entry.txn_first_offset.is_some() && !header.is_transactional() && !trusted {
            return Err(LogError::InvalidTxnState { producer_id });
        }
        entry.set_epoch(header.producer_epoch);
        entry.last_timestamp_ms = batch.timestamp_ms;
        entry.add_batch(BatchMetadata {
            last_sequence: sequence_after(header.base_sequence.max(0), header.last_offset_delta),
            last_offset: batch.base_offset + i64::from(header.last_offset_delta),
            offset_delta: header.last_offset_delta,
            timestamp_ms: batch.timestamp_ms,
        });
        if header.is_transactional() && entry.txn_first_offset.is_none() {
            entry.txn_first_offset = Some(batch.base_offset);
        }
        Ok(())
    }

    /// Takes over what was staged; returns the transactions that were aborted.
    pub fn apply(&mut self, staged: StagedProducers) -> Vec<AbortedTxn> {
        for (producer_id, entry) in staged.entries {
            if let Some(first_offset) = entry.txn_first_offset {
                self.ongoing.insert(first_offset, producer_id);
            }
            self.producers.insert(producer_id, entry);
        }
        let mut aborted = Vec::new();
        for txn in staged.ended {
            self.ongoing.remove(&txn.first_offset);
            self.unreplicated.insert(txn.first_offset, txn.marker_offset);
            if !txn.commit {
                aborted.push(AbortedTxn {
                    producer_id: txn.producer_id,
                    first_offset: txn.first_offset,
                    last_offset: txn.marker_offset,
                    last_stable_offset: self.first_ongoing().unwrap_or(txn.marker_offset + 1),
                });
            }
        }
        aborted
    }

    fn first_ongoing(&self) -> Option<i64> {
        self.ongoing.first_key_value().map(|(offset, _)| *offset)
    }

    /// First offset that is not decided and replicated, given how far the high watermark is.
    pub fn first_unstable_offset(&mut self, high_watermark: i64) -> Option<i64> {
        self.unreplicated.retain(|_, marker_offset| *marker_offset >= high_watermark);
        let unreplicated = self.unreplicated.first_key_value().map(|(offset, _)| *offset);
        [self.first_ongoing(), unreplicated].into_iter().flatten().min()
    }

    /// Forgets producers that have no open transaction and have not appended for `expiration_ms`.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| {
            entry.txn_first_offset.is_some() || now_ms.saturating_sub(entry.last_timestamp_ms) < expiration_ms
        });
    }
}

fn check_sequence(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), LogError> {
    let last = entry.last_batch();
    let expected = match last {
        _ if entry.epoch == -1 => return Ok(()),
        Some(last) if entry.epoch == header.producer_epoch => sequence_after(last.last_sequence, 1),
        _ => 0,
    };
    if header.base_sequence == expected {
        return Ok(());
    }
    Err(LogError::OutOfOrderSequence {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        expected,
        found: header.base_sequence,
    })
}
