//! Transaction markers: the one record of a control batch that ends a producer's transaction.
//!
//! ```text
//! key    version int16 = 0, type int16: 0 abort, 1 commit
//! value  version int16 = 0, coordinator epoch int32
//! ```
//! Test vector: commit by epoch 7 -> key 00 00 00 01, value 00 00 00 00 00 07.
//! Source: Kafka `ControlRecordType`, `EndTransactionMarker`, KIP-98.

use super::batch::BatchError;
use super::builder::{BatchBuilder, BatchOptions};
use crate::wire::primitives::Cursor;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerType {
    /// Its records are not to be read.
    Abort,
    /// Its records count.
    Commit,
}

/// A transaction marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// How the transaction ended.
    pub marker_type: MarkerType,
    /// Epoch of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl Marker {
    /// Reads the record of a control batch; `None` if it is of another, later kind, which readers skip.
    ///
    /// # Errors
    /// [`BatchError::InvalidRecord`] when key or value are missing or too short.
    pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, BatchError> {
        let mut key = Cursor::new(key.ok_or(BatchError::InvalidRecord("a control record has no key"))?);
        let _version = key.take(2)?;
        let marker_type = match key.take(2)? {
            [0, 0] => MarkerType::Abort,
            [0, 1] => MarkerType::Commit,
            _ => return Ok(None),
        };
        let mut value = Cursor::new(value.ok_or(BatchError::InvalidRecord("a transaction marker has no value"))?);
        let _version = value.take(2)?;
        let mut epoch = [0; 4];
        epoch.copy_from_slice(value.take(4)?);
        Ok(Some(Self { marker_type, coordinator_epoch: i32::from_be_bytes(epoch) }))
    }

    /// Builds the control batch that holds this marker alone.
    ///
    /// # Errors
    /// None in practice: the batch is small and uncompressed.
    pub fn batch(
        self,
        producer_id: i64,
        producer_epoch: i16,
        timestamp_ms: i64,
        partition_leader_epoch: i32,
    ) -> Result<Vec<u8>, BatchError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            partition_leader_epoch,
            transactional: true,
            control: true,
            producer_id,
            producer_epoch,
            ..BatchOptions::default()
        });
        let key = [0, 0, 0, u8::from(self.marker_type == MarkerType::Commit)];
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        builder.push(timestamp_ms, Some(&key), Some(&value), std::iter::empty())?;
        builder.finish()
    }
}
