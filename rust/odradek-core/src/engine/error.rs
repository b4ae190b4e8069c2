//! What the facade can answer with instead of a result.

use std::io;

use thiserror::Error;

use crate::log::error::LogError;

/// An operation of [`super::Engine`] that failed. `odradek-py` maps each to an exception.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The log or its directory.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A setting that Python should have refused.
    #[error("setting {name}={value}: {reason}")]
    Setting {
        /// Kafka's name of it.
        name: String,
        /// The text given.
        value: String,
        /// What is allowed.
        reason: &'static str,
    },
    /// A required setting is not there.
    #[error("setting {0} is required")]
    MissingSetting(&'static str),
    /// The partition is not hosted here.
    #[error("partition {topic}-{partition} is not hosted by this broker")]
    NotHosted {
        /// Topic name.
        topic: String,
        /// Partition number.
        partition: i32,
    },
    /// A socket, thread or descriptor could not be had.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// An operation out of its order (start before bind, bind twice, anything after close).
    #[error("{0}")]
    State(&'static str),
}
