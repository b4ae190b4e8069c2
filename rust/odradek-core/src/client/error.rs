//! What can go wrong on the client's side, in one closed set. Cloned to every caller that one failure hits.

use thiserror::Error;

use crate::record::batch::BatchError;
use crate::wire::error_code;

/// A client's error: what, where, and what to do.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No server of the cluster could be used; the detail lists each with its reason.
    #[error("no broker available: {detail}")]
    NoBrokers {
        /// `HOST:PORT: reason; HOST:PORT: reason`
        detail: String,
    },
    /// A connection could not be made; the request was not sent.
    #[error("{peer}: {detail}")]
    Unreachable {
        /// Which broker, at which address.
        peer: String,
        /// What was seen, and what to check.
        detail: String,
    },
    /// The connection ended before the answer came; the request may or may not have been carried out.
    #[error("{peer}: {detail}")]
    Disconnected {
        /// Which broker, at which address.
        peer: String,
        /// How it ended.
        detail: String,
    },
    /// The time given ran out.
    #[error("{what} was not done within {after_ms} ms")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after_ms: u64,
    },
    /// A broker answered with an error code.
    #[error("{what} ({})", error_code::Named(*code))]
    Broker {
        /// Kafka's error code.
        code: i16,
        /// What was asked of which broker, and what it said.
        what: String,
    },
    /// The peer's bytes don't follow the protocol; the connection is closed.
    #[error("{peer}: {detail}")]
    Protocol {
        /// Which broker, at which address.
        peer: String,
        /// What is wrong, and what to check.
        detail: String,
    },
    /// The broker doesn't serve what is needed.
    #[error("{detail}")]
    Unsupported {
        /// Which API and versions, ours and theirs.
        detail: String,
    },
    /// Larger than a limit allows; nothing was sent.
    #[error("{detail}")]
    TooLarge {
        /// Sizes and the setting's name.
        detail: String,
    },
    /// The buffer stayed full.
    #[error("{detail}")]
    BufferFull {
        /// Sizes, time and the settings' names.
        detail: String,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// Used in a child of the process that made it.
    #[error("the client was made before a fork and its thread lives in the parent only; make a new one after the fork")]
    Forked,
    /// A setting that can't be used.
    #[error("{name}: {detail}")]
    Setting {
        /// Kafka's name of it.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// A record batch that can't be read.
    #[error("{what}: {error}")]
    Batch {
        /// Topic, partition and offset.
        what: String,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The system refused a thread or a descriptor.
    #[error("{detail}")]
    System {
        /// What was asked for and the system's answer.
        detail: String,
    },
}

impl ClientError {
    /// True when the same request may succeed later.
    #[must_use]
    pub fn retriable(&self) -> bool {
        match self {
            Self::NoBrokers { .. } | Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } => {
                true
            }
            Self::Broker { code, .. } => error_code::is_retriable(*code),
            _ => false,
        }
    }

    /// True when Metadata should be asked for before the next attempt.
    #[must_use]
    pub fn refreshes_metadata(&self) -> bool {
        match self {
            Self::NoBrokers { .. } | Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } => {
                true
            }
            Self::Broker { code, .. } => error_code::refreshes_metadata(*code),
            _ => false,
        }
    }
}
