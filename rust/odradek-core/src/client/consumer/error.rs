//! What can go wrong with one partition, in the order in which a poll tells it: after all records before it.

use thiserror::Error;

use crate::client::error::ClientError;
use crate::log::types::TopicPartition;
use crate::record::batch::BatchError;
use crate::wire::error_code::Named;

/// An error of one partition; the others go on.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A batch that can't be read.
    #[error(
        "{partition}: the record batch at offset {offset} can't be read: {reason}; \
         seek to offset {next_offset} to go on behind it"
    )]
    Corrupt {
        /// Topic and partition.
        partition: TopicPartition,
        /// First offset that can't be delivered.
        offset: i64,
        /// First offset behind the batch.
        next_offset: i64,
        /// What is wrong.
        reason: BatchError,
    },
    /// The offset isn't in the log and `auto.offset.reset` is `none`.
    #[error(
        "{partition}: offset {offset} is outside the log, which has {first}..{end}, and auto.offset.reset is none; \
         seek to an offset in that range"
    )]
    OutOfRange {
        /// Topic and partition.
        partition: TopicPartition,
        /// The offset asked for.
        offset: i64,
        /// First offset of the log.
        first: i64,
        /// The offset behind the last one.
        end: i64,
    },
    /// There is no offset to begin at and `auto.offset.reset` is `none`.
    #[error("{partition}: there is no offset to begin at, and auto.offset.reset is none; seek, or commit an offset")]
    NoOffset {
        /// Topic and partition.
        partition: TopicPartition,
    },
    /// The broker refuses the partition.
    #[error("{partition}: the broker answered {} to a fetch at offset {offset}", Named(*code))]
    Broker {
        /// Topic and partition.
        partition: TopicPartition,
        /// Position.
        offset: i64,
        /// Kafka's error code.
        code: i16,
    },
    /// The fetcher as a whole can't be used.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl FetchError {
    /// The partition and the offset it stopped at, if the error is of one.
    #[must_use]
    pub fn place(&self) -> Option<(&TopicPartition, i64)> {
        match self {
            Self::Corrupt { partition, offset, .. }
            | Self::OutOfRange { partition, offset, .. }
            | Self::Broker { partition, offset, .. } => Some((partition, *offset)),
            Self::NoOffset { partition } => Some((partition, -1)),
            Self::Client(_) => None,
        }
    }
}
