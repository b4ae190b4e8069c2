//! What a producer acts on. Names and defaults are Kafka's; Python's `config/client.py` validates and documents them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::client::error::ClientError;
use crate::compress::Compression;

/// Who must have a record before it counts as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Acks {
    /// Nobody: no answer is awaited.
    None = 0,
    /// The partition's leader.
    Leader = 1,
    /// Every replica in sync.
    All = -1,
}

/// How records without a partition of their own are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// By the key's hash; without a key, another partition with each batch.
    HashOrSticky,
    /// In turn, keys ignored.
    RoundRobin,
}

/// Settings of a [`super::Producer`] besides its cluster's.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// `acks`
    pub acks: Acks,
    /// `enable.idempotence`
    pub idempotent: bool,
    /// `retries`
    pub retries: u32,
    /// `linger.ms`
    pub linger: Duration,
    /// `batch.size`: bytes at which a batch waits for nothing more.
    pub batch_size: usize,
    /// `buffer.memory`
    pub buffer_memory: usize,
    /// `max.block.ms`
    pub max_block: Duration,
    /// `delivery.timeout.ms`
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `max.request.size`
    pub max_request_size: usize,
    /// `max.in.flight.requests.per.connection`
    pub max_in_flight: usize,
    /// `compression.type`
    pub compression: Compression,
    /// The level of that codec; `None` = its default.
    pub level: Option<i32>,
    /// `retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `partitioner`
    pub spread: Spread,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            acks: Acks::All,
            idempotent: true,
            retries: i32::MAX.unsigned_abs(),
            linger: ms(5),
            batch_size: 16_384,
            buffer_memory: 33_554_432,
            max_block: ms(60_000),
            delivery_timeout: ms(120_000),
            request_timeout: ms(30_000),
            max_request_size: 1_048_576,
            max_in_flight: 5,
            compression: Compression::None,
            level: None,
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
            spread: Spread::HashOrSticky,
        }
    }
}

impl ProducerSettings {
    /// Reads Kafka's dotted names. Those that a producer has no use for are ignored.
    ///
    /// # Errors
    /// [`ClientError::Setting`] when a value can't be read, or for `transactional.id`.
    pub fn parse(texts: &BTreeMap<String, String>) -> Result<Self, ClientError> {
        let texts = Texts(texts);
        if texts.get("transactional.id").is_some() {
            return Err(refused("transactional.id", "transactions are not supported yet; leave it out"));
        }
        let usual = Self::default();
        let compression = match texts.get("compression.type") {
            None => usual.compression,
            Some(name) => Compression::from_name(name)
                .ok_or_else(|| refused("compression.type", "expected none, gzip, snappy, lz4 or zstd"))?,
        };
        let acks = match texts.get("acks") {
            None | Some("all" | "-1") => Acks::All,
            Some("1") => Acks::Leader,
            Some("0") => Acks::None,
            Some(_) => return Err(refused("acks", "expected 0, 1 or all")),
        };
        let spread = match texts.get("partitioner") {
            None | Some("default") => Spread::HashOrSticky,
            Some("round-robin") => Spread::RoundRobin,
            Some(_) => return Err(refused("partitioner", "expected default or round-robin")),
        };
        let max_in_flight = texts.number("max.in.flight.requests.per.connection", usual.max_in_flight)?.max(1);
        let idempotent = texts.number("enable.idempotence", usual.idempotent)?;
        if idempotent && (acks != Acks::All || max_in_flight > 5) {
            let detail = "needs acks=all and at most 5 requests in flight; set it to false";
            return Err(refused("enable.idempotence", detail));
        }
        let buffer_memory = texts.number("buffer.memory", usual.buffer_memory)?;
        Ok(Self {
            acks,
            idempotent,
            retries: texts.number("retries", usual.retries)?,
            linger: texts.ms("linger.ms", usual.linger)?,
            batch_size: texts.number("batch.size", usual.batch_size)?.min(buffer_memory),
            buffer_memory,
            max_block: texts.ms("max.block.ms", usual.max_block)?,
            delivery_timeout: texts.ms("delivery.timeout.ms", usual.delivery_timeout)?,
            request_timeout: texts.ms("request.timeout.ms", usual.request_timeout)?,
            max_request_size: texts.number("max.request.size", usual.max_request_size)?,
            max_in_flight,
            compression,
            level: level(&texts, compression)?,
            retry_backoff: texts.ms("retry.backoff.ms", usual.retry_backoff)?,
            retry_backoff_max: texts.ms("retry.backoff.max.ms", usual.retry_backoff_max)?,
            spread,
        })
    }
}

struct Texts<'a>(&'a BTreeMap<String, String>);

impl Texts<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn number<T: FromStr>(&self, name: &'static str, usual: T) -> Result<T, ClientError> {
        let Some(text) = self.get(name) else { return Ok(usual) };
        text.parse().map_err(|_| refused(name, &format!("{text:?} can't be read")))
    }

    fn ms(&self, name: &'static str, usual: Duration) -> Result<Duration, ClientError> {
        let usual = u64::try_from(usual.as_millis()).unwrap_or(u64::MAX);
        self.number(name, usual).map(Duration::from_millis)
    }
}

fn level(texts: &Texts<'_>, compression: Compression) -> Result<Option<i32>, ClientError> {
    let (name, default) = match compression {
        Compression::None | Compression::Snappy => return Ok(None),
        Compression::Gzip => ("compression.gzip.level", Some(-1)),
        Compression::Lz4 => ("compression.lz4.level", None),
        Compression::Zstd => ("compression.zstd.level", None),
    };
    let given = texts.get(name).map(|text| text.parse().map_err(|_| refused(name, "expected a whole number")));
    let level = given.transpose()?.filter(|&level| Some(level) != default);
    compression.check_level(level).map_err(|error| refused(name, &error.to_string()))?;
    Ok(level)
}

fn refused(name: &str, detail: &str) -> ClientError {
    ClientError::Setting { name: name.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[(&str, &str)]) -> Result<ProducerSettings, ClientError> {
        ProducerSettings::parse(&texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn names_and_values_of_kafka_are_read() {
        let settings = parse(&[
            ("acks", "1"),
            ("enable.idempotence", "false"),
            ("linger.ms", "7"),
            ("compression.type", "gzip"),
            ("compression.gzip.level", "-1"),
            ("partitioner", "round-robin"),
        ])
        .expect("parses");
        assert_eq!((settings.acks, settings.idempotent, settings.spread), (Acks::Leader, false, Spread::RoundRobin));
        assert_eq!((settings.linger, settings.level), (Duration::from_millis(7), None));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        for (name, text) in [
            ("transactional.id", "mine"),
            ("acks", "2"),
            ("linger.ms", "soon"),
            ("compression.type", "rar"),
            ("partitioner", "odd"),
            ("max.in.flight.requests.per.connection", "6"),
        ] {
            let error = parse(&[(name, text)]).expect_err(name).to_string();
            assert!(error.contains(name) || error.contains("enable.idempotence"), "{error}");
        }
    }
}
