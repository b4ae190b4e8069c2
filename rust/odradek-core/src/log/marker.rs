//! The transaction marker in a control batch, as an append or a replay finds it.

use crate::record::batch::{BatchHeader, HEADER_BYTES};
use crate::record::control::Marker;
use crate::record::reader::Records;

/// A control batch larger than this is none that Kafka writes, and is not looked into.
pub const MAX_CONTROL_BATCH_BYTES: usize = 64 << 10;

/// The marker of a whole control batch; `None` for another kind of batch or control record.
#[must_use]
pub fn find(header: &BatchHeader, batch: &[u8]) -> Option<Marker> {
    if !header.is_control() || header.codec() != 0 {
        return None;
    }
    let record = Records::new(batch.get(HEADER_BYTES..)?, header.record_count).ok()?.next()?.ok()?;
    Marker::parse(record.key, record.value).ok()?
}
