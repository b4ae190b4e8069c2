//! Latencies in nanoseconds, in buckets of at most 1.6 % width.

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;

/// Counts by latency; fixed size, no allocation while recording.
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { buckets: vec![0; SUB * (65 - SUB_BITS as usize)], count: 0, sum: 0, max: 0 }
    }

    fn index(value: u64) -> usize {
        let octave = (64 - value.leading_zeros()).saturating_sub(SUB_BITS + 1);
        octave as usize * SUB + (value >> octave) as usize
    }

    fn upper(index: usize) -> u64 {
        let octave = (index / SUB).saturating_sub(1);
        let sub = (index - octave * SUB) as u64;
        ((sub + 1) << octave).wrapping_sub(1)
    }

    /// Count one latency.
    pub fn record(&mut self, nanoseconds: u64) {
        self.buckets[Self::index(nanoseconds)] += 1;
        self.count += 1;
        self.sum += u128::from(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// Mean in microseconds; 0 when empty.
    pub fn mean_us(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 / 1e3 }
    }

    /// The smallest bucket bound that `share` (0 to 1) of the latencies stay under, in microseconds; 0 when empty.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return Self::upper(index).min(self.max) as f64 / 1e3;
            }
        }
        self.max as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000_u64 {
            histogram.record(value * 10);
        }
        for share in [0.01, 0.5, 0.99, 0.999] {
            let exact = share * 1000.0;
            let found = histogram.quantile_us(share);
            assert!((found - exact).abs() <= exact * 0.02, "{share}: {found} against {exact}");
        }
        assert!((histogram.mean_us() - 500.005).abs() < 0.001);
    }

    #[test]
    fn every_value_falls_into_a_bucket_that_holds_it() {
        for value in [0, 1, 63, 64, 127, 128, 129, 1 << 20, u64::MAX >> 1, u64::MAX] {
            let index = Histogram::index(value);
            assert!(Histogram::upper(index) >= value, "{value}");
            assert!(index == 0 || Histogram::upper(index - 1) < value, "{value}");
        }
    }
}
