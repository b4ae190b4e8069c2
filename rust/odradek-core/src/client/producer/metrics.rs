//! What a producer counts. Relaxed atomics: each number is right, two of them need not fit each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the producer was opened.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Records confirmed.
    pub records_sent: AtomicU64,
    /// Records given up.
    pub records_failed: AtomicU64,
    /// Batches sent again.
    pub batch_retries: AtomicU64,
    /// Batches split because the broker found them too large.
    pub batch_splits: AtomicU64,
    /// Batches sent, each attempt counted.
    pub batches_sent: AtomicU64,
    /// Their bytes as sent.
    pub bytes_sent: AtomicU64,
    /// Their bytes before compression.
    pub bytes_uncompressed: AtomicU64,
    /// Produce requests.
    pub requests: AtomicU64,
    /// Produce requests without an answer so far.
    pub requests_in_flight: AtomicU64,
    /// Sum of the times from request to answer, us.
    pub latency_us: AtomicU64,
    /// The longest of them, us.
    pub latency_max_us: AtomicU64,
    /// Requests answered.
    pub answers: AtomicU64,
    /// New epochs or producer ids after the broker refused a sequence.
    pub renames: AtomicU64,
}

impl Metrics {
    /// Adds to a counter.
    pub(super) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self::add(&self.latency_us, us);
        Self::add(&self.answers, 1);
        self.latency_max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// Name and value of each, units last.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, f64)> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        let (sent, batches, requests) = (get(&self.records_sent), get(&self.batches_sent), get(&self.requests));
        let bytes = get(&self.bytes_sent);
        vec![
            ("record_send_total", sent),
            ("record_error_total", get(&self.records_failed)),
            ("batch_retry_total", get(&self.batch_retries)),
            ("batch_split_total", get(&self.batch_splits)),
            ("batch_send_total", batches),
            ("batch_size_avg_bytes", mean(bytes, batches)),
            ("compression_rate_avg", mean(bytes, get(&self.bytes_uncompressed))),
            ("outgoing_bytes_total", bytes),
            ("request_total", requests),
            ("requests_in_flight", get(&self.requests_in_flight)),
            ("batches_per_request_avg", mean(batches, requests)),
            ("request_latency_avg_ms", mean(get(&self.latency_us), get(&self.answers)) / 1_000.0),
            ("request_latency_max_ms", get(&self.latency_max_us) / 1_000.0),
            ("producer_epoch_bump_total", get(&self.renames)),
        ]
    }
}
