//! From a partition's bytes in a Fetch answer to batches ready to be walked. Runs on the I/O thread; no I/O of its own.
//!
//! Left out: batches below the position asked for, control batches, and with `read_committed` those of aborted
//! transactions. Checked: lengths, checksums, that offsets only grow. Compressed batches are decompressed, if asked for, while
//! the budget has room; the rest wait compressed until their turn ([`Batch::prepare`]). What is wrong with one batch ends
//! the run there: all before it is delivered, then the failure. Read next: [`super::chunk`], which walks the records.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::budget::{Budget, Lease};
use crate::compress::{Compression, DecompressError};
use crate::log::types::AbortedTransaction;
use crate::record::batch::{BatchError, BatchHeader, HEADER_BYTES, check_crc};
use crate::record::control::{Marker, MarkerType};
use crate::record::reader::{Records, payload};

/// A control batch holds one small record; more than this is no marker.
const MAX_CONTROL_BYTES: usize = 64 * 1024;

/// How to decode.
#[derive(Debug, Clone, Copy)]
pub struct DecodeRules {
    /// Verify checksums.
    pub check_crcs: bool,
    /// Leave out aborted transactions.
    pub committed_only: bool,
    /// Largest batch after decompression.
    pub max_batch_bytes: usize,
    /// Decompress while the budget has room; else all batches wait for [`Batch::prepare`].
    pub unpack: bool,
}

/// Records of a batch.
#[derive(Debug)]
enum Payload {
    /// As records; with the lease of what they keep in memory.
    Plain(Bytes, #[allow(dead_code)] Keeps),
    /// Still compressed.
    Packed(Bytes, Arc<Lease>),
    /// Taken apart or refused.
    Empty,
}

/// What a payload keeps in memory.
#[derive(Debug)]
enum Keeps {
    /// A share of the answer's frame.
    Frame(#[allow(dead_code)] Arc<Lease>),
    /// A buffer of its own.
    Own(#[allow(dead_code)] Lease),
}

/// A batch whose records are to be delivered.
#[derive(Debug)]
pub struct Batch {
    /// Its header.
    pub header: BatchHeader,
    payload: Payload,
}

impl Batch {
    /// True if the records can be walked now.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        matches!(self.payload, Payload::Plain(..))
    }

    /// The records' bytes; none before [`Batch::prepare`].
    #[must_use]
    pub fn records(&self) -> &[u8] {
        match &self.payload {
            Payload::Plain(bytes, _) => bytes,
            Payload::Packed(..) | Payload::Empty => &[],
        }
    }

    /// Decompresses, past the budget's bound if must be: this batch is the next to be delivered.
    ///
    /// # Errors
    /// [`BatchError`]: the data is corrupt or larger than `limit`.
    pub fn prepare(&mut self, budget: &Arc<Budget>, limit: usize) -> Result<(), BatchError> {
        let (packed, lease) = match std::mem::replace(&mut self.payload, Payload::Empty) {
            Payload::Packed(packed, lease) => (packed, lease),
            other => {
                self.payload = other;
                return Ok(());
            }
        };
        let plain = self.unpack(&packed, limit)?;
        self.payload = Payload::Plain(Bytes::from(plain.0), Keeps::Own(budget.lease(plain.1)));
        drop(lease);
        Ok(())
    }

    /// Decompresses if the result fits the budget's room; false leaves the batch as it is.
    fn prepare_within(&mut self, budget: &Arc<Budget>, limit: usize) -> Result<bool, BatchError> {
        let Payload::Packed(packed, _) = &self.payload else { return Ok(true) };
        let room = budget.room();
        if room < packed.len() {
            return Ok(false);
        }
        match self.unpack(packed, limit.min(room)) {
            Ok((plain, bytes)) => {
                self.payload = Payload::Plain(Bytes::from(plain), Keeps::Own(budget.lease(bytes)));
                Ok(true)
            }
            Err(BatchError::Decompress(DecompressError::OverLimit { .. })) if room < limit => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The records, and the bytes that their buffer takes.
    fn unpack(&self, packed: &[u8], limit: usize) -> Result<(Vec<u8>, usize), BatchError> {
        let mut plain = Vec::new();
        self.header.compression()?.decompress(packed, limit, &mut plain)?;
        if plain.capacity() > plain.len() + plain.len() / 4 {
            plain.shrink_to_fit();
        }
        let bytes = plain.capacity();
        Ok((plain, bytes))
    }
}

/// Why a run of batches ends early.
#[derive(Debug, Clone)]
pub struct BadBatch {
    /// First offset that can't be delivered.
    pub offset: i64,
    /// First offset behind the bad batch, as far as it can be told.
    pub next_offset: i64,
    /// What is wrong.
    pub reason: BatchError,
}

/// What one partition's bytes hold.
#[derive(Debug)]
pub struct Decoded {
    /// Batches to deliver, in order.
    pub batches: VecDeque<Batch>,
    /// First offset behind everything read, batches left out included.
    pub next_offset: i64,
    /// Leader epoch of the last batch read, -1 if none was.
    pub leader_epoch: i32,
    /// What stopped the run, if not the end of the bytes.
    pub bad: Option<BadBatch>,
    /// Where bytes end inside a batch and nothing came before it: the size of that batch.
    pub oversize: Option<usize>,
}

/// Decodes `records`, fetched from offset `from` on.
#[must_use]
pub fn decode(
    records: &Bytes,
    from: i64,
    aborted: Vec<AbortedTransaction>,
    rules: DecodeRules,
    frame: &Arc<Lease>,
    budget: &Arc<Budget>,
) -> Decoded {
    let mut decoded =
        Decoded { batches: VecDeque::new(), next_offset: from, leader_epoch: -1, bad: None, oversize: None };
    let mut filter = AbortFilter::new(if rules.committed_only { aborted } else { Vec::new() });
    let mut rest = &records[..];
    let mut unpack = rules.unpack;
    while !rest.is_empty() {
        let (header, batch, after) = match BatchHeader::split_first(rest) {
            Ok(split) => split,
            // The broker cuts at its byte limit; what is cut comes again.
            Err(BatchError::Truncated { needed, .. }) => {
                decoded.oversize = (decoded.next_offset == from).then_some(needed);
                break;
            }
            Err(reason) => {
                let offset = decoded.next_offset;
                decoded.bad = Some(BadBatch { offset, next_offset: offset.saturating_add(1), reason });
                break;
            }
        };
        rest = after;
        if decoded.next_offset == from && is_passed_over(&header, from) {
            continue;
        }
        let offset = decoded.next_offset;
        match take(&header, batch, offset, rules, &mut filter) {
            Ok(false) => {}
            Ok(true) => {
                let stored = records.slice_ref(&batch[HEADER_BYTES..]);
                let payload = match header.compression() {
                    Ok(Compression::None) => Payload::Plain(stored, Keeps::Frame(Arc::clone(frame))),
                    _ => Payload::Packed(stored, Arc::clone(frame)),
                };
                let mut batch = Batch { header, payload };
                if unpack {
                    match batch.prepare_within(budget, rules.max_batch_bytes) {
                        Ok(room) => unpack = room,
                        Err(reason) => {
                            decoded.bad = Some(BadBatch { offset, next_offset: after_batch(&header, offset), reason });
                            break;
                        }
                    }
                }
                decoded.batches.push_back(batch);
            }
            Err(reason) => {
                decoded.bad = Some(BadBatch { offset, next_offset: after_batch(&header, offset), reason });
                break;
            }
        }
        decoded.next_offset = header.last_offset().saturating_add(1);
        decoded.leader_epoch = header.partition_leader_epoch;
    }
    decoded
}

/// First offset behind a batch that may be lying.
fn after_batch(header: &BatchHeader, offset: i64) -> i64 {
    let claimed = header.last_offset().saturating_add(1);
    if header.check_offsets().is_ok() && claimed > offset && header.base_offset <= offset {
        claimed
    } else {
        offset.saturating_add(1)
    }
}

/// True for a batch that ends before `from`, the offset asked for: brokers may begin earlier.
pub(super) fn is_passed_over(header: &BatchHeader, from: i64) -> bool {
    header.last_offset() < from && header.last_offset_delta >= 0
}

/// Checks that a batch's offsets can be the next from `offset` on.
pub(super) fn plausible(header: &BatchHeader, offset: i64) -> Result<(), BatchError> {
    header.check_offsets()?;
    if header.base_offset < 0 || header.last_offset() < offset || header.last_offset() == i64::MAX {
        return Err(BatchError::Malformed("its offsets go backwards"));
    }
    Ok(())
}

/// Checks a batch; true if its records are to be delivered.
fn take(
    header: &BatchHeader,
    batch: &[u8],
    offset: i64,
    rules: DecodeRules,
    filter: &mut AbortFilter,
) -> Result<bool, BatchError> {
    plausible(header, offset)?;
    if rules.check_crcs {
        check_crc(header, batch)?;
    }
    header.compression()?;
    if header.is_control() {
        filter.marker(header, batch)?;
        return Ok(false);
    }
    Ok(!filter.is_aborted(header))
}

/// Knows which batches belong to aborted transactions: those of a producer between its transaction's first offset, which
/// the broker's list tells, and the abort marker.
struct AbortFilter {
    /// Still to come, by first offset.
    coming: VecDeque<AbortedTransaction>,
    /// Producers whose present transaction is aborted.
    aborting: HashSet<i64>,
}

impl AbortFilter {
    fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
        Self { coming: aborted.into(), aborting: HashSet::new() }
    }

    fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.last_offset());
        header.is_transactional() && self.aborting.contains(&header.producer_id)
    }

    fn advance(&mut self, to: i64) {
        while let Some(transaction) = self.coming.front().filter(|transaction| transaction.first_offset <= to) {
            self.aborting.insert(transaction.producer_id);
            self.coming.pop_front();
        }
    }

    fn marker(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
        self.advance(header.last_offset());
        if self.aborting.is_empty() {
            return Ok(());
        }
        let mut scratch = Vec::new();
        let stored = payload(header, batch, MAX_CONTROL_BYTES, &mut scratch)?;
        for record in Records::new(stored, header.record_count)? {
            let record = record?;
            if let Some(Marker { marker_type: MarkerType::Abort, .. }) = Marker::parse(record.key, record.value)? {
                self.aborting.remove(&header.producer_id);
            }
        }
        Ok(())
    }
}
