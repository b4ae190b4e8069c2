//! Reading: from an offset to whole batches in a file; few are loaded, of many only headers are looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch_scan::Located;
use super::error::LogError;
use super::partition_log::{PartitionLog, Segments};
use super::read_buffer::Preload;
use super::segment::Segment;
use super::segment_read::{Loaded, Run, Wanted};
use super::txn_index::AbortedTxn;
use super::types::{AbortedTransaction, FileSlice, ReadBound, ReadResult};
use crate::fs::Reach;

/// Whole batches of one segment, the offset just after them, and where they are loaded.
struct Span {
    slice: FileSlice,
    end_offset: i64,
    loaded_at: Option<usize>,
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
        self.read_into(offset, max_bytes, at_least_one, bound, Reach::Disk, None)
    }

    /// As [`Self::read`]; records for which there is room in `preload` are loaded, and
    /// [`loaded_at`](ReadResult::loaded_at) tells where. Records that are not loaded were not read, so with
    /// [`Reach::Cache`] they may yet be cold.
    ///
    /// # Errors
    /// As [`Self::read`]; with [`Reach::Cache`] one whose [`LogError::cold`] tells what is not in the page cache.
    pub fn read_into(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
        bound: ReadBound,
        reach: Reach,
        preload: Option<&mut Preload<'_>>,
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
        let span = self.span(&segments, Wanted { offset, max_bytes, at_least_one, bound_offset, reach }, preload)?;
        let aborted = match (&span, bound) {
            (Some(span), ReadBound::LastStableOffset) => {
                Some(collect_aborted(&segments, offset, span.end_offset, reach)?)
            }
            (None, ReadBound::LastStableOffset) => Some(Vec::new()),
            _ => None,
        };
        let loaded_at = span.as_ref().and_then(|span| span.loaded_at);
        let slice = span.map(|span| span.slice);
        Ok(ReadResult { slice, high_watermark, last_stable_offset, log_start_offset, loaded_at, aborted })
    }

    fn span(
        &self,
        segments: &Segments,
        wanted: Wanted,
        mut preload: Option<&mut Preload<'_>>,
    ) -> Result<Option<Span>, LogError> {
        let Wanted { offset, bound_offset, reach, .. } = wanted;
        if offset >= bound_offset {
            return Ok(None);
        }
        let interval = self.config.load().index_interval_bytes;
        // Compaction may leave a segment without a batch at or after the offset: then the next one has it.
        for at in segment_index(segments, offset)..segments.len() {
            let segment = &segments[at];
            let cuts = segment.cursors.cuts();
            let len = segment.len();
            let guess = segment.cursors.position(offset);
            if let (Some(preload), Some(guess)) = (preload.as_deref_mut(), guess) {
                match segment.load(&wanted, guess, len, true, preload)? {
                    Loaded::Run { run, at } => return span_of(segment, cuts, run, Some(at)).map(Some),
                    Loaded::Nothing => return Ok(None),
                    Loaded::TooMuch | Loaded::Elsewhere => {}
                }
            }
            let Some(first) = segment.find(offset, len, interval, reach)? else { continue };
            if first.header.base_offset >= bound_offset {
                return Ok(None);
            }
            if let Some(preload) = preload {
                match segment.load(&wanted, first.position, len, false, preload)? {
                    Loaded::Run { run, at } => return span_of(segment, cuts, run, Some(at)).map(Some),
                    Loaded::Nothing => return Ok(None),
                    Loaded::TooMuch | Loaded::Elsewhere => {}
                }
            }
            let next_base = segments.get(at + 1).map(|next| next.base_offset());
            // Loaded after `len`: if no more than the bound was appended by now, all of `len` lies below it.
            let end_offset = next_base.unwrap_or_else(|| self.log_end_offset());
            let limit = if end_offset <= bound_offset {
                (len, end_offset)
            } else {
                match segment.find(bound_offset, len, interval, reach)? {
                    Some(beyond) => (beyond.position, beyond.header.base_offset.max(bound_offset)),
                    None => (len, bound_offset),
                }
            };
            let run = run_up_to(segment, &wanted, &first, limit)?;
            return run.map(|run| span_of(segment, cuts, run, None)).transpose();
        }
        Ok(None)
    }
}

/// What may be had from `first` to at most `limit`: the end of a batch, and the offset just after it.
fn run_up_to(
    segment: &Segment,
    wanted: &Wanted,
    first: &Located,
    (limit, limit_offset): (u64, i64),
) -> Result<Option<Run>, LogError> {
    if limit < first.end_position() {
        return Ok(None);
    }
    let (position, max_bytes) = (first.position, wanted.max_bytes as u64);
    if limit - position <= max_bytes {
        return Ok(Some(Run { position, end_position: limit, end_offset: limit_offset }));
    }
    if first.header.size() as u64 > max_bytes {
        let end_offset = first.header.last_offset().saturating_add(1);
        let run = Run { position, end_position: first.end_position(), end_offset };
        return Ok(wanted.at_least_one.then_some(run));
    }
    segment.run_within(first, position + max_bytes, wanted.reach).map(Some)
}

fn span_of(segment: &Segment, cuts: u64, run: Run, loaded_at: Option<usize>) -> Result<Span, LogError> {
    segment.cursors.remember(cuts, run.end_offset, run.end_position);
    let len = (run.end_position - run.position) as usize;
    Ok(Span {
        slice: FileSlice { file: segment.file()?, position: run.position, len },
        end_offset: run.end_offset,
        loaded_at,
    })
}

/// Which segment an offset belongs to.
pub(super) fn segment_index(segments: &[Arc<Segment>], offset: i64) -> usize {
    segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
}

/// The aborted transactions that touch `offset..end_offset`, sorted by first offset as clients require.
fn collect_aborted(
    segments: &Segments,
    offset: i64,
    end_offset: i64,
    reach: Reach,
) -> Result<Vec<AbortedTransaction>, LogError> {
    let mut found: Vec<AbortedTxn> = Vec::new();
    for segment in &segments[segment_index(segments, offset)..] {
        let complete = segment
            .txns
            .collect(&segment.files, offset, end_offset, reach, &mut found)
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
