//! Kafka's names for the files of a partition: `00000000000000000042.log` and its companions, and folder names.

use std::path::{Path, PathBuf};

use super::types::TopicPartition;

/// Suffix of record files.
pub const LOG: &str = "log";
/// Suffix of offset indexes.
pub const OFFSET_INDEX: &str = "index";
/// Suffix of time indexes.
pub const TIME_INDEX: &str = "timeindex";
/// Suffix of aborted-transaction indexes.
pub const TXN_INDEX: &str = "txnindex";
/// Suffix of producer-state snapshots.
pub const SNAPSHOT: &str = "snapshot";
/// All files that belong to one segment.
pub const SEGMENT_SUFFIXES: [&str; 4] = [LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX];
/// Added to a file that waits to be removed.
pub const DELETED: &str = ".deleted";
/// Added to a segment that a cleaner is still writing.
pub const CLEANED: &str = ".cleaned";
/// Added to a finished segment that is about to replace others.
pub const SWAP: &str = ".swap";
/// Ends the name of a folder that waits to be removed.
pub const DELETE_DIR: &str = "-delete";
/// Ends the name of a folder that this broker should not have.
pub const STRAY_DIR: &str = "-stray";
/// The leader epochs of a partition.
pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic id of a partition.
pub const PARTITION_METADATA: &str = "partition.metadata";

/// `<dir>/%020d.<suffix>`
#[must_use]
pub fn segment_file(dir: &Path, offset: i64, suffix: &str) -> PathBuf {
    dir.join(format!("{offset:020}.{suffix}"))
}

/// The path with something like `.deleted` after it.
#[must_use]
pub fn with_added(path: &Path, added: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(added);
    PathBuf::from(name)
}

/// The offset and suffix of `00000000000000000042.log` (suffix `log`) or `….log.swap` (suffix `log.swap`).
#[must_use]
pub fn parse_segment_file(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// The topic-partition of a folder name `<topic>-<partition>`.
#[must_use]
pub fn parse_partition_dir(name: &str) -> Option<TopicPartition> {
    if name.ends_with(DELETE_DIR) || name.ends_with(STRAY_DIR) || name.ends_with("-future") {
        return None;
    }
    let (topic, partition) = name.rsplit_once('-')?;
    let plain = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if topic.is_empty() || !plain {
        return None;
    }
    Some(TopicPartition { topic: topic.into(), partition: partition.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_round_trip() {
        let path = segment_file(Path::new("/d"), 42, LOG);
        assert_eq!(path, Path::new("/d/00000000000000000042.log"));
        assert_eq!(parse_segment_file("00000000000000000042.log.swap"), Some((42, "log.swap")));
        assert_eq!(parse_segment_file("42.log"), None);
        assert_eq!(parse_segment_file("leader-epoch-checkpoint"), None);
    }

    #[test]
    fn a_topic_name_may_hold_dashes_and_a_deleted_folder_is_no_partition() {
        let tp = parse_partition_dir("my-topic-1-12").expect("a partition");
        assert_eq!((&*tp.topic, tp.partition), ("my-topic-1", 12));
        assert_eq!(parse_partition_dir("t-0.0123456789abcdef-delete"), None);
        assert_eq!(parse_partition_dir("nodash"), None);
        assert_eq!(parse_partition_dir("t-"), None);
    }
}
