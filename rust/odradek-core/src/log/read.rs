//! Reading: from an offset to whole batches in a file, without touching their bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch_scan::Located;
use super::error::LogError;
use super::partition_log::{PartitionLog, Segments};
use super::segment::Segment;
use super::txn_index::AbortedTxn;
use super::types::{AbortedTransaction, FileSlice, ReadBound, ReadResult};

/// Whole batches of one segment, and the offset just after them.
struct Span {
    slice: FileSlice,
    end_offset: i64,
}

impl PartitionLog {
    /// Whole batches from the one that contains `offset`, at most `max_bytes` of one segment, but with `at_least_one`
    /// always the first batch whatever its size. An offset equal to the bound gives `slice: None`.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] below the log start or above the log end; I/O errors.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        bound: ReadBound,
    ) -> Result<ReadResult, LogError> {
        self.log_dir.check_online()?;
        let segments = self.open_segments()?;
        let end_offset = self.log_end_offset();
        let log_start_offset = self.log_start.load(Ordering::Acquire);
        if offset < log_start_offset || offset > end_offset {
            return Err(LogError::OffsetOutOfRange { offset, log_start_offset, end_offset });
        }
        let high_watermark = self.high_watermark();
        let last_stable_offset = self.last_stable_offset();
        let bound_offset = match bound {
            ReadBound::LastStableOffset => last_stable_offset,
            ReadBound::HighWatermark => high_watermark,
            ReadBound::LogEnd => end_offset,
        };
        let span = self.span(&segments, offset, max_bytes, at_least_one, bound_offset)?;
        let aborted = match (&span, bound) {
            (Some(span), ReadBound::LastStableOffset) => Some(collect_aborted(&segments, offset, span.end_offset)?),
            (None, ReadBound::LastStableOffset) => Some(Vec::new()),
            _ => None,
        };
        let slice = span.map(|span| span.slice);
        Ok(ReadResult { slice, high_watermark, last_stable_offset, log_start_offset, aborted })
    }

    fn span(
        &self,
        segments: &Segments,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        bound_offset: i64,
    ) -> Result<Option<Span>, LogError> {
        if offset >= bound_offset {
            return Ok(None);
        }
        let interval = self.config.load().index_interval_bytes;
        // Compaction may leave a segment without a batch at or after the offset: then the next one has it.
        for at in segment_index(segments, offset)..segments.len() {
            let segment = &segments[at];
            let len = segment.len();
            let Some(first) = segment.find(offset, len, interval)? else { continue };
            if first.header.base_offset >= bound_offset {
                return Ok(None);
            }
            let next_base = segments.get(at + 1).map(|next| next.base_offset());
            // Loaded after `len`: if no more than the bound was appended by now, all of `len` lies below it.
            let end_offset = next_base.unwrap_or_else(|| self.log_end_offset());
            let (limit, limit_offset) = if end_offset <= bound_offset {
                (len, end_offset)
            } else {
                match segment.find(bound_offset, len, interval)? {
                    Some(beyond) => (beyond.position, beyond.header.base_offset.max(bound_offset)),
                    None => (len, bound_offset),
                }
            };
            return self.within(segment, &first, limit, limit_offset, max_bytes, at_least_one);
        }
        Ok(None)
    }

    /// From `first` to at most `limit` (the end of a batch; `limit_offset` is just after it), `max_bytes` long.
    fn within(
        &self,
        segment: &Segment,
        first: &Located,
        limit: u64,
        limit_offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Option<Span>, LogError> {
        let first_bytes = first.header.size();
        if limit < first.end_position() {
            return Ok(None);
        }
        let available = limit - first.position;
        let (end_position, end_offset) = if available <= max_bytes as u64 {
            (limit, limit_offset)
        } else if first_bytes > max_bytes {
            if !at_least_one {
                return Ok(None);
            }
            (first.end_position(), first.header.last_offset() + 1)
        } else {
            let last = segment.last_batch_within(first.position, first.position + max_bytes as u64)?.unwrap_or(*first);
            (last.end_position(), last.header.last_offset() + 1)
        };
        let len = (end_position - first.position) as usize;
        let slice = FileSlice { file: segment.file()?, position: first.position, len };
        Ok(Some(Span { slice, end_offset }))
    }
}

/// Which segment an offset belongs to.
pub(super) fn segment_index(segments: &[Arc<Segment>], offset: i64) -> usize {
    segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
}

/// The aborted transactions that touch `offset..end_offset`, sorted by first offset as clients require.
fn collect_aborted(segments: &Segments, offset: i64, end_offset: i64) -> Result<Vec<AbortedTransaction>, LogError> {
    let mut found: Vec<AbortedTxn> = Vec::new();
    for segment in &segments[segment_index(segments, offset)..] {
        let complete = segment
            .txns
            .collect(&segment.files, offset, end_offset, &mut found)
            .map_err(|source| segment.error("read the transaction index of", source))?;
        if complete {
            break;
        }
    }
    found.sort_by_key(|txn| txn.first_offset);
    Ok(found
        .into_iter()
        .map(|txn| AbortedTransaction { producer_id: txn.producer_id, first_offset: txn.first_offset })
        .collect())
}
