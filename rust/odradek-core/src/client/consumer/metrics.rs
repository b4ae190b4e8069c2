//! What a fetcher counts. Names as users see them are in [`Stats::named`].

use std::time::Duration;

/// Sums since the fetcher was made.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Fetch requests answered.
    pub fetches: u64,
    /// Fetch requests that failed as a whole.
    pub fetch_errors: u64,
    /// Bytes of answers.
    pub fetched_bytes: u64,
    /// Time of answered requests, the broker's waiting included.
    pub latency_total: Duration,
    /// The longest.
    pub latency_max: Duration,
    /// Records handed out.
    pub records: u64,
    /// Times that the broker asked to be left alone.
    pub throttled: u64,
}

/// What is true at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    /// Greatest lag of an assigned partition; 0 while none is known.
    pub lag_max: i64,
    /// Bytes leased from the budget: asked for, buffered, decompressed.
    pub buffered_bytes: usize,
    /// Parts of answers that wait to be polled.
    pub buffered_chunks: usize,
    /// Partitions assigned.
    pub partitions: usize,
    /// Partitions whose error waits to be told or to be tried again.
    pub failing: usize,
}

impl Stats {
    /// Adds an answer.
    pub fn answered(&mut self, bytes: usize, latency: Duration) {
        self.fetches += 1;
        self.fetched_bytes += bytes as u64;
        self.latency_total += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    /// Every figure by its name; times in ms, sizes in bytes.
    #[must_use]
    pub fn named(&self, levels: &Levels) -> Vec<(&'static str, f64)> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        #[allow(clippy::cast_precision_loss)] // figures for people
        let average = if self.fetches == 0 { 0.0 } else { ms(self.latency_total) / self.fetches as f64 };
        #[allow(clippy::cast_precision_loss)]
        let rows = vec![
            ("records_lag_max", levels.lag_max as f64),
            ("records_consumed_total", self.records as f64),
            ("bytes_fetched_total", self.fetched_bytes as f64),
            ("fetch_total", self.fetches as f64),
            ("fetch_errors_total", self.fetch_errors as f64),
            ("fetch_latency_avg_ms", average),
            ("fetch_latency_max_ms", ms(self.latency_max)),
            ("fetch_throttled_total", self.throttled as f64),
            ("buffered_bytes", levels.buffered_bytes as f64),
            ("buffered_chunks", levels.buffered_chunks as f64),
            ("assigned_partitions", levels.partitions as f64),
            ("failing_partitions", levels.failing as f64),
        ];
        rows
    }
}
