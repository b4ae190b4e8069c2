//! What the batch headers of an answer tell before anything is decoded: where the next fetch goes on from.
//!
//! Headers are a thousandth of the bytes. With them alone the next request can be on its way while checksums are verified
//! and batches decompressed. They promise nothing: [`super::decode`] has the last word, and if it stops earlier than the
//! headers say, `answer` goes back to where it stopped and the answer fetched ahead is dropped.

use crate::record::batch::{BatchError, BatchHeader};

use super::decode::{is_passed_over, plausible};

/// What sound headers say.
#[derive(Debug, PartialEq, Eq)]
pub struct Ahead {
    /// First offset behind the last whole batch.
    pub next_offset: i64,
    /// Leader epoch of that batch.
    pub leader_epoch: i32,
    /// Number of batches, those included that won't be delivered.
    pub batches: usize,
}

/// Walks the headers in `records`, fetched from offset `from` on. `None` if they show anything wrong, or nothing to go on
/// from: then only decoding can tell what is next.
#[must_use]
pub fn look(records: &[u8], from: i64) -> Option<Ahead> {
    let mut ahead = Ahead { next_offset: from, leader_epoch: -1, batches: 0 };
    let mut rest = records;
    while !rest.is_empty() {
        let (header, after) = match BatchHeader::split_first(rest) {
            Ok((header, _, after)) => (header, after),
            // Cut at the broker's byte limit.
            Err(BatchError::Truncated { .. }) => break,
            Err(_) => return None,
        };
        rest = after;
        if ahead.next_offset == from && is_passed_over(&header, from) {
            continue;
        }
        plausible(&header, ahead.next_offset).ok()?;
        ahead.next_offset = header.last_offset().saturating_add(1);
        ahead.leader_epoch = header.partition_leader_epoch;
        ahead.batches += 1;
    }
    (ahead.next_offset > from).then_some(ahead)
}
