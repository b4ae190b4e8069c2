//! A fetcher with its cluster, polled as a test wants.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use odradek_core::client::consumer::{FetchError, FetchSettings, FetchedRecord, Fetcher, Next, Run, Sink};
use odradek_core::client::{ClientSettings, Cluster};
use odradek_core::log::types::TopicPartition;

use crate::net_support::Broker;

/// Long enough that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Kept {
    partition: i32,
    records: Vec<(i32, i64, String)>,
}

impl Sink for Kept {
    fn begin(&mut self, run: &Run<'_>) {
        self.partition = run.partition.partition;
    }

    fn record(&mut self, record: &FetchedRecord<'_>) {
        let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
        self.records.push((self.partition, record.offset, value));
    }
}

pub struct Reader {
    pub cluster: Arc<Cluster>,
    pub fetcher: Fetcher,
}

impl Reader {
    pub fn new(broker: &Broker, settings: &[(&str, &str)]) -> Self {
        Self::of_port(broker.port, settings)
    }

    pub fn of_port(port: u16, settings: &[(&str, &str)]) -> Self {
        let mut texts = BTreeMap::from([("bootstrap.servers".to_owned(), format!("127.0.0.1:{port}"))]);
        texts.extend(settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let cluster = Cluster::open(ClientSettings::parse(&texts).expect("settings")).expect("opens");
        let fetcher =
            Fetcher::new(Arc::clone(&cluster), FetchSettings::parse(&texts).expect("settings")).expect("made");
        Self { cluster, fetcher }
    }

    pub fn assign(&self, starts: &[(i32, i64)]) {
        let wanted: Vec<_> = starts.iter().map(|&(index, start)| (name(index), start)).collect();
        self.fetcher.assign(&wanted).expect("open");
    }

    /// At most `most` records of one poll.
    pub fn poll(&self, most: usize, wait: Duration) -> Result<Vec<(i32, i64, String)>, FetchError> {
        let mut kept = Kept::default();
        let deadline = Instant::now() + wait;
        while kept.records.is_empty() {
            match self.fetcher.next(deadline)? {
                Next::Chunk(chunk) => {
                    self.fetcher.collect(chunk, most, &mut kept, |work| work())?;
                }
                Next::Nothing | Next::Woken => break,
            }
        }
        Ok(kept.records)
    }

    /// Polls until there are `count` records.
    pub fn read(&self, count: usize) -> Vec<(i32, i64, String)> {
        let mut records = Vec::new();
        while records.len() < count {
            let polled = self.poll(count - records.len(), PATIENCE).expect("no error");
            assert!(!polled.is_empty(), "only {} of {count} records came", records.len());
            records.extend(polled);
        }
        records
    }

    /// Polls until there is an error.
    pub fn error(&self) -> FetchError {
        loop {
            match self.poll(10, PATIENCE) {
                Ok(records) => assert!(!records.is_empty(), "no error came"),
                Err(error) => return error,
            }
        }
    }

    pub fn metric(&self, wanted: &str) -> f64 {
        let found = self.fetcher.metrics().into_iter().find(|(name, _)| *name == wanted);
        found.expect(wanted).1
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.fetcher.close();
        self.cluster.close(Duration::ZERO);
    }
}

pub fn name(partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from("orders"), partition }
}
