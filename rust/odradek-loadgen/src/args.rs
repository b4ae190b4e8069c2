//! `--option value` pairs. Each is asked for by name; one that nobody knows is an error, so that a typo is not a default.

use crate::failure::{Failure, Result};
use std::collections::HashMap;
use std::str::FromStr;

const KNOWN: &[&str] = &[
    "acks",
    "address",
    "connections",
    "groups",
    "in-flight",
    "key-bytes",
    "kind",
    "max-bytes",
    "megabytes",
    "members",
    "partitions",
    "partitions-per-request",
    "prefix",
    "rate",
    "record-bytes",
    "records",
    "scatter",
    "seconds",
    "timeout",
    "topic",
    "topics",
    "verify-crc",
    "warmup",
];

/// The options of one run.
pub struct Args(HashMap<String, String>);

impl Args {
    /// Take pairs.
    ///
    /// # Errors
    /// An unknown option, or one without a value.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| KNOWN.contains(name));
            let name =
                name.ok_or_else(|| Failure::new(format!("unknown option {word}; known: {}", KNOWN.join(", "))))?;
            let value = words.next().ok_or_else(|| Failure::new(format!("--{name} needs a value")))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    /// The option's value, or `None` when it was not given.
    ///
    /// # Errors
    /// A value that is not a `T`.
    pub fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::new(format!("--{name}: {text} is not a value for it")))
    }

    /// The option's value, or `default`.
    ///
    /// # Errors
    /// A value that is not a `T`.
    pub fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// The option's value.
    ///
    /// # Errors
    /// The option is missing, or is not a `T`.
    pub fn required<T: FromStr>(&self, name: &str) -> Result<T> {
        self.optional(name)?.ok_or_else(|| Failure::new(format!("--{name} is needed")))
    }

    /// A count of at least one.
    ///
    /// # Errors
    /// Zero, or not a number.
    pub fn count(&self, name: &str, default: usize) -> Result<usize> {
        match self.or(name, default)? {
            0 => Err(Failure::new(format!("--{name} must be at least 1"))),
            n => Ok(n),
        }
    }
}
