//! What stays of one batch when its log is compacted. No I/O: `cleaner` reads and writes.
//!
//! - A record stays when no later record has its key. Without a value (a tombstone) it also goes once the batch's delete
//!   horizon has passed, which the first cleaning sets (KIP-534).
//! - Records of aborted transactions go. A marker stays until a cleaning found nothing left of its transaction, and then
//!   until its horizon.
//! - Base and last offset, sequence, codec and epochs of a batch never change. The last batch of a producer stays, if
//!   need be without records, as producers are known again from it after a crash.
//!
//! Source: Kafka `Cleaner`, `CleanedTransactionMetadata`, `MemoryRecords.filterTo`.

use std::collections::{HashMap, HashSet};

use super::error::LogError;
use super::marker;
use super::offset_map::OffsetMap;
use super::record_rules::MAX_PAYLOAD_BYTES;
use super::txn_index::AbortedTxn;
use crate::record::batch::{BatchHeader, check_crc};
use crate::record::builder::{BatchBuilder, BatchOptions, without_records};
use crate::record::control::MarkerType;
use crate::record::reader::{RecordView, Records, payload};

/// The aborted transactions of a log.
#[derive(Debug, Default)]
pub(super) struct AbortedTxns {
    by_producer: HashMap<i64, Vec<AbortedTxn>>,
}

impl AbortedTxns {
    /// From the entries of all its transaction indexes.
    pub fn new(mut entries: Vec<AbortedTxn>) -> Self {
        entries.sort_by_key(|txn| txn.first_offset);
        let mut by_producer: HashMap<i64, Vec<AbortedTxn>> = HashMap::new();
        for txn in entries {
            by_producer.entry(txn.producer_id).or_default().push(txn);
        }
        Self { by_producer }
    }

    /// The aborted transaction that a data batch is in or a marker ends.
    fn find(&self, header: &BatchHeader) -> Option<AbortedTxn> {
        let txns = self.by_producer.get(&header.producer_id)?;
        let at = txns.partition_point(|txn| txn.first_offset <= header.base_offset);
        txns[..at].last().filter(|txn| header.base_offset <= txn.last_offset).copied()
    }

    /// True for a data batch whose transaction was aborted.
    pub fn contain(&self, header: &BatchHeader) -> bool {
        header.is_transactional() && !header.is_control() && self.find(header).is_some()
    }
}

/// Where a producer's last data is (`None` when it only has a marker), and its epoch.
pub(super) type LastOfProducers = HashMap<i64, (Option<i64>, i16)>;

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of it stays.
    Gone,
    /// It stays byte for byte.
    Same,
    /// This takes its place.
    Rebuilt(Vec<u8>),
}

/// Decides batch by batch, in offset order from the log's start.
pub(super) struct BatchFilter<'a> {
    /// Last offsets by key.
    pub map: &'a OffsetMap,
    /// First offset that the map says nothing of.
    pub map_end: i64,
    /// What was aborted.
    pub aborted: &'a AbortedTxns,
    /// What must stay for the sake of producers.
    pub last_of_producers: &'a LastOfProducers,
    /// The time, ms.
    pub now_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// Codec number and level of the topic's own codec.
    pub level: (Option<u8>, Option<i32>),
    state: State,
}

#[derive(Default)]
struct State {
    /// Producers that have data since their last marker.
    observed: HashSet<i64>,
    /// Which records of the batch stay.
    stays: Vec<bool>,
    scratch: Vec<u8>,
}

impl<'a> BatchFilter<'a> {
    /// Has seen no batch yet.
    pub fn new(
        map: (&'a OffsetMap, i64),
        aborted: &'a AbortedTxns,
        last_of_producers: &'a LastOfProducers,
        now_ms: i64,
        delete_retention_ms: i64,
        level: (Option<u8>, Option<i32>),
    ) -> Self {
        let (map, map_end) = map;
        Self { map, map_end, aborted, last_of_producers, now_ms, delete_retention_ms, level, state: State::default() }
    }

    /// Judges the next batch; the second value is an entry for the transaction index when the batch is an abort marker
    /// that readers still need.
    ///
    /// # Errors
    /// [`LogError::Batch`] when the batch is damaged: nothing may be concluded from it.
    pub fn judge(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(Verdict, Option<AbortedTxn>), LogError> {
        check_crc(header, batch)?;
        let (of_no_use, entry) = self.transaction(header, batch);
        let horizon_passed = header.delete_horizon_ms().is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let drops_all = of_no_use && (!header.is_control() || horizon_passed);
        let mut state = std::mem::take(&mut self.state);
        let verdict = self.records(&mut state, header, batch, drops_all, of_no_use && header.is_control());
        self.state = state;
        Ok((verdict?, entry))
    }

    /// Whether the batch is of no use to its transaction any more, and the index entry of an abort marker that is.
    fn transaction(&mut self, header: &BatchHeader, batch: &[u8]) -> (bool, Option<AbortedTxn>) {
        let observed = &mut self.state.observed;
        if !header.is_control() {
            if header.is_transactional() {
                observed.insert(header.producer_id);
            }
            return (self.aborted.contain(header), None);
        }
        let Some(marker) = marker::find(header, batch) else { return (header.record_count == 0, None) };
        let has_data = observed.remove(&header.producer_id);
        let aborted = marker.marker_type == MarkerType::Abort && has_data;
        (!has_data, if aborted { self.aborted.find(header) } else { None })
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_of_producers.get(&header.producer_id).filter(|_| header.producer_id >= 0);
        last.is_some_and(|(data, epoch)| match data {
            Some(offset) => *offset == header.last_offset(),
            None => header.is_control() && header.producer_epoch == *epoch,
        })
    }

    fn records(
        &self,
        state: &mut State,
        header: &BatchHeader,
        batch: &[u8],
        drops_all: bool,
        is_marker_of_nothing: bool,
    ) -> Result<Verdict, LogError> {
        let emptied = |kept: bool| match kept {
            true if header.record_count == 0 => Ok(Verdict::Same),
            true => Ok(Verdict::Rebuilt(without_records(header)?)),
            false => Ok(Verdict::Gone),
        };
        if drops_all {
            return emptied(self.is_last_of_producer(header));
        }
        let stored = payload(header, batch, MAX_PAYLOAD_BYTES, &mut state.scratch)?;
        state.stays.clear();
        let mut has_tombstone = is_marker_of_nothing;
        for record in Records::new(stored, header.record_count)? {
            let record = record?;
            let stays = self.stays(header, &record)?;
            has_tombstone |= stays && record.value.is_none() && !header.is_control();
            state.stays.push(stays);
        }
        if !state.stays.contains(&true) {
            return emptied(self.is_last_of_producer(header));
        }
        let new_horizon = has_tombstone && header.delete_horizon_ms().is_none();
        if !new_horizon && !state.stays.contains(&false) {
            return Ok(Verdict::Same);
        }
        let horizon_ms = match header.delete_horizon_ms() {
            None if new_horizon => Some(self.now_ms.saturating_add(self.delete_retention_ms)),
            known => known,
        };
        self.rebuild(header, stored, &state.stays, horizon_ms).map(Verdict::Rebuilt)
    }

    fn stays(&self, header: &BatchHeader, record: &RecordView<'_>) -> Result<bool, LogError> {
        let offset = header.offset_of(record)?;
        if header.is_control() || offset >= self.map_end {
            return Ok(true);
        }
        let Some(key) = record.key else { return Ok(false) };
        let is_last = self.map.get(key).is_none_or(|last| offset >= last);
        let expired = header.delete_horizon_ms().is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        Ok(is_last && (record.value.is_some() || !expired))
    }

    fn rebuild(
        &self,
        header: &BatchHeader,
        stored: &[u8],
        stays: &[bool],
        delete_horizon_ms: Option<i64>,
    ) -> Result<Vec<u8>, LogError> {
        let (topic_codec, topic_level) = self.level;
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: header.base_offset,
            partition_leader_epoch: header.partition_leader_epoch,
            compression: header.compression()?,
            level: topic_level.filter(|_| topic_codec == Some(header.codec())),
            log_append_time: header.is_log_append_time(),
            transactional: header.is_transactional(),
            control: header.is_control(),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            last_offset_delta: Some(header.last_offset_delta),
            max_timestamp: header.is_log_append_time().then_some(header.max_timestamp),
            delete_horizon_ms,
        });
        for (record, stays) in Records::new(stored, header.record_count)?.zip(stays) {
            let record = record?;
            if *stays {
                let timestamp_ms = header.base_timestamp.saturating_add(record.timestamp_delta);
                builder.push_at(record.offset_delta, timestamp_ms, record.key, record.value, record.headers)?;
            }
        }
        Ok(builder.finish()?)
    }
}
