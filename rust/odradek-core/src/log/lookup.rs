//! Records by time: the time index narrows it to a batch, the batch's records give the exact one.

use std::sync::atomic::Ordering;

use super::batch_scan::{BatchScanner, Located};
use super::error::LogError;
use super::partition_log::PartitionLog;
use super::record_rules;
use super::segment::Segment;
use super::types::TimestampOffset;
use crate::fs::{LogFile, Reach};

impl PartitionLog {
    /// First record, in offset order, whose timestamp is at least `timestamp_ms` (ListOffsets by time), exact.
    ///
    /// # Errors
    /// I/O errors; [`LogError::Batch`] when the batch found can't be decompressed; with [`Reach::Cache`] one whose
    /// [`LogError::cold`] tells what is not in the page cache.
    pub fn offset_for_timestamp(&self, timestamp_ms: i64, reach: Reach) -> Result<Option<TimestampOffset>, LogError> {
        let segments = self.open_segments()?;
        let interval = self.config.load().index_interval_bytes;
        let log_start = self.log_start.load(Ordering::Acquire);
        for segment in segments.iter() {
            if segment.greatest_timestamp(interval, reach)?.timestamp_ms < timestamp_ms {
                continue;
            }
            let before = segment.times.lookup_before(&segment.files, timestamp_ms, reach);
            let before = before.map_err(|source| segment.error("read the time index of", source))?;
            let from = before.map_or(segment.base_offset(), |entry| entry.offset + 1).max(log_start);
            let found = first_record(segment, from, (interval, reach), |located, batch| {
                if located.header.max_timestamp < timestamp_ms {
                    return Ok(None);
                }
                record_rules::first_at_or_after(&located.header, batch()?.as_slice(), timestamp_ms, log_start)
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record with the greatest timestamp (ListOffsets -3); the first of several.
    ///
    /// # Errors
    /// As [`Self::offset_for_timestamp`].
    pub fn offset_of_max_timestamp(&self, reach: Reach) -> Result<Option<TimestampOffset>, LogError> {
        let segments = self.open_segments()?;
        let interval = self.config.load().index_interval_bytes;
        let mut greatest = -1;
        for segment in segments.iter() {
            greatest = greatest.max(segment.greatest_timestamp(interval, reach)?.timestamp_ms);
        }
        if greatest < 0 { Ok(None) } else { self.offset_for_timestamp(greatest, reach) }
    }
}

/// Scans batches from `offset` on until `pick` finds something; `pick` gets the header and a way to read the batch.
fn first_record(
    segment: &Segment,
    offset: i64,
    (interval, reach): (u64, Reach),
    pick: impl Fn(&Located, &dyn Fn() -> Result<Vec<u8>, LogError>) -> Result<Option<TimestampOffset>, LogError>,
) -> Result<Option<TimestampOffset>, LogError> {
    let len = segment.len();
    let Some(first) = segment.find(offset, len, interval, reach)? else { return Ok(None) };
    let file = segment.file()?;
    let file = reach.of(&file);
    let mut scanner = BatchScanner::new(&file, first.position, len);
    while let Some(located) = scanner.next_batch().map_err(|source| segment.error("read", source))? {
        let read_batch = || {
            let mut batch = vec![0; located.header.size()];
            file.read_exact_at(&mut batch, located.position).map_err(|source| segment.error("read", source))?;
            Ok(batch)
        };
        if let Some(found) = pick(&located, &read_batch)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
