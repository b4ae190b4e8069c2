//! Kafka's text checkpoints, in the data directory (offsets by partition) and in a partition's folder (leader epochs).
//!
//! ```text
//! 0                      version
//! 2                      number of lines that follow
//! topic 0 1234           topic, partition, offset   |   leader epoch, start offset
//! ```
//! A file that does not parse is treated as missing: what it says can be found again in the logs.
//! Source: Kafka `CheckpointFile`, `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::epoch_cache::{EpochCache, EpochStart};
use super::types::TopicPartition;

/// Up to where each log is known to be on disk.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// Where logs start that do not start at their first segment.
pub const LOG_START: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
/// Up to where each log is compacted.
pub const CLEANER: &str = "cleaner-offset-checkpoint";

/// Offsets by partition, as a checkpoint holds them.
pub type Offsets = BTreeMap<TopicPartition, i64>;

fn lines(bytes: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let text = str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    (lines.clone().filter(|line| !line.trim().is_empty()).count() == count).then_some(lines)
}

/// Text of a checkpoint of offsets.
#[must_use]
pub fn encode_offsets(offsets: &Offsets) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (tp, offset) in offsets {
        let _ = writeln!(text, "{} {} {offset}", tp.topic, tp.partition);
    }
    text
}

/// Reads a checkpoint of offsets.
#[must_use]
pub fn decode_offsets(bytes: &[u8]) -> Option<Offsets> {
    let mut offsets = Offsets::new();
    for line in lines(bytes)? {
        let mut words = line.split_whitespace();
        let topic = words.next()?.into();
        let partition = words.next()?.parse().ok()?;
        let offset: i64 = words.next()?.parse().ok()?;
        if offset >= 0 {
            offsets.insert(TopicPartition { topic, partition }, offset);
        }
    }
    Some(offsets)
}

/// Text of a leader-epoch checkpoint.
#[must_use]
pub fn encode_epochs(epochs: &EpochCache) -> String {
    let mut text = format!("0\n{}\n", epochs.entries().len());
    for entry in epochs.entries() {
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
    }
    text
}

/// Reads a leader-epoch checkpoint.
#[must_use]
pub fn decode_epochs(bytes: &[u8]) -> Option<EpochCache> {
    let mut entries = Vec::new();
    for line in lines(bytes)? {
        let mut words = line.split_whitespace();
        let epoch = words.next()?.parse().ok()?;
        entries.push(EpochStart { epoch, start_offset: words.next()?.parse().ok()? });
    }
    Some(EpochCache::new(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_round_trip_in_kafkas_form() {
        let offsets: Offsets = [(TopicPartition { topic: "a-b".into(), partition: 3 }, 42)].into();
        assert_eq!(encode_offsets(&offsets), "0\n1\na-b 3 42\n");
        assert_eq!(decode_offsets(b"0\n1\na-b 3 42\n"), Some(offsets));
    }

    #[test]
    fn a_cut_or_foreign_checkpoint_counts_as_missing() {
        for text in ["", "1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\nx\n", "0\n1\na b c\n"] {
            assert_eq!(decode_offsets(text.as_bytes()), None, "{text:?}");
        }
    }
}
