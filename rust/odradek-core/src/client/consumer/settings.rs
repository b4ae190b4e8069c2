//! What the fetcher acts on. Names and defaults are Kafka's; Python's `config/client_consumer.py` validates and documents them.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::client::error::ClientError;

/// Largest that one batch may become by decompression: a bomb is refused, a batch that a broker takes fits.
pub const MAX_BATCH_BYTES: usize = 256 * 1024 * 1024;

/// Where to begin without an offset, or when the offset isn't there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetPolicy {
    /// The log's start.
    Earliest,
    /// The log's end: the high watermark, or the last stable offset for `read_committed`.
    Latest,
    /// Nowhere: an error.
    None,
}

/// Settings of a [`super::Fetcher`].
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// `fetch.min.bytes`
    pub min_bytes: i32,
    /// `fetch.max.bytes`
    pub max_bytes: i32,
    /// `fetch.max.wait.ms`
    pub max_wait_ms: i32,
    /// `max.partition.fetch.bytes`
    pub partition_max_bytes: i32,
    /// `check.crcs`
    pub check_crcs: bool,
    /// `isolation.level` is `read_committed`.
    pub committed_only: bool,
    /// `auto.offset.reset`
    pub reset: ResetPolicy,
    /// `buffer.max.bytes`: bound of everything fetched and not yet polled, requests under way included.
    pub buffer_max_bytes: usize,
    /// Largest batch after decompression.
    pub max_batch_bytes: usize,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            min_bytes: 1,
            max_bytes: 50 * 1024 * 1024,
            max_wait_ms: 500,
            partition_max_bytes: 1024 * 1024,
            check_crcs: true,
            committed_only: false,
            reset: ResetPolicy::Latest,
            buffer_max_bytes: 64 * 1024 * 1024,
            max_batch_bytes: MAX_BATCH_BYTES,
        }
    }
}

impl FetchSettings {
    /// Reads Kafka's dotted names. Those that the fetcher has no use for are ignored.
    ///
    /// # Errors
    /// [`ClientError::Setting`] when a value can't be read.
    pub fn parse(texts: &BTreeMap<String, String>) -> Result<Self, ClientError> {
        let mut settings = Self::default();
        read(texts, "fetch.min.bytes", &mut settings.min_bytes)?;
        read(texts, "fetch.max.bytes", &mut settings.max_bytes)?;
        read(texts, "fetch.max.wait.ms", &mut settings.max_wait_ms)?;
        read(texts, "max.partition.fetch.bytes", &mut settings.partition_max_bytes)?;
        read(texts, "check.crcs", &mut settings.check_crcs)?;
        read(texts, "buffer.max.bytes", &mut settings.buffer_max_bytes)?;
        if let Some(level) = texts.get("isolation.level") {
            settings.committed_only = match level.as_str() {
                "read_committed" => true,
                "read_uncommitted" => false,
                _ => return Err(refused("isolation.level", level)),
            };
        }
        if let Some(policy) = texts.get("auto.offset.reset") {
            settings.reset = match policy.as_str() {
                "earliest" => ResetPolicy::Earliest,
                "latest" => ResetPolicy::Latest,
                "none" => ResetPolicy::None,
                _ => return Err(refused("auto.offset.reset", policy)),
            };
        }
        for (name, value) in
            [("fetch.max.bytes", settings.max_bytes), ("max.partition.fetch.bytes", settings.partition_max_bytes)]
        {
            if value < 1 {
                return Err(refused(name, &value.to_string()));
            }
        }
        Ok(settings)
    }
}

fn refused(name: &str, text: &str) -> ClientError {
    ClientError::Setting { name: name.to_owned(), detail: format!("{text:?} can't be used") }
}

fn read<T: FromStr>(texts: &BTreeMap<String, String>, name: &str, into: &mut T) -> Result<(), ClientError> {
    if let Some(text) = texts.get(name) {
        *into = text.parse().map_err(|_| refused(name, text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[(&str, &str)]) -> Result<FetchSettings, ClientError> {
        FetchSettings::parse(&texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn each_name_sets_its_value() {
        let settings = parse(&[
            ("fetch.min.bytes", "2"),
            ("fetch.max.bytes", "3"),
            ("fetch.max.wait.ms", "4"),
            ("max.partition.fetch.bytes", "5"),
            ("check.crcs", "false"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "none"),
            ("buffer.max.bytes", "6"),
            ("group.id", "ignored"),
        ])
        .expect("parses");
        assert_eq!((settings.min_bytes, settings.max_bytes, settings.max_wait_ms), (2, 3, 4));
        assert_eq!((settings.partition_max_bytes, settings.buffer_max_bytes), (5, 6));
        assert_eq!((settings.check_crcs, settings.committed_only), (false, true));
        assert_eq!(settings.reset, ResetPolicy::None);
    }

    #[test]
    fn a_value_that_cannot_be_used_is_refused_with_its_name() {
        for (name, text) in
            [("fetch.max.bytes", "0"), ("isolation.level", "dirty"), ("auto.offset.reset", "x"), ("check.crcs", "1")]
        {
            let error = parse(&[(name, text)]).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
