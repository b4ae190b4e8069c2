//! The data directory: lock, identity, hosting and deleting partitions, checkpoints, idle files.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::fs;
use std::sync::Arc;

use odradek_core::clock::SystemClock;
use odradek_core::fs::DiskFileSystem;
use odradek_core::fs::Reach;
use odradek_core::log::config::LogConfig;
use odradek_core::log::error::LogError;
use odradek_core::log::manager::LogManager;
use odradek_core::log::types::{ReadBound, TopicPartition};
use storage_support::*;

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let mut dir = Dir::new();
    let again = LogManager::open(manager_config(&dir.path()), Arc::new(DiskFileSystem), Arc::new(SystemClock));
    assert!(matches!(again.err().unwrap(), LogError::Locked(_)));
    dir.close();
    let again = LogManager::open(manager_config(&dir.path()), Arc::new(DiskFileSystem), Arc::new(SystemClock));
    again.unwrap().close().unwrap();
}

#[test]
fn the_cluster_id_is_made_once_and_another_node_or_cluster_is_refused() {
    let mut dir = Dir::new();
    let cluster_id = dir.manager().cluster_id();
    assert_eq!(cluster_id.len(), 22);
    dir.close();
    let open = |node_id, cluster_id| {
        let config =
            odradek_core::log::manager::LogManagerConfig { node_id, cluster_id, ..manager_config(&dir.path()) };
        LogManager::open_without_thread(config, Arc::new(DiskFileSystem), Arc::new(SystemClock))
    };
    assert!(matches!(open(2, None).err().unwrap(), LogError::Corrupt(text) if text.contains("node.id")));
    let error = open(1, Some("other".to_owned())).err().unwrap();
    assert!(matches!(error, LogError::Corrupt(text) if text.contains("cluster.id")));
    assert_eq!(open(1, None).unwrap().cluster_id(), cluster_id);
}

#[test]
fn partitions_on_disk_are_listed_with_their_topic_ids() {
    let mut dir = Dir::new();
    for partition in [0, 3] {
        dir.host(partition, LogConfig::default());
    }
    dir.close();
    dir.open();
    let mut found = dir.manager().partitions_on_disk();
    found.sort();
    assert_eq!(found, [(tp(0), Some(TOPIC_ID)), (tp(3), Some(TOPIC_ID))]);
    fs::write(dir.partition_path(3).join("partition.metadata"), "junk").unwrap();
    assert!(dir.manager().partitions_on_disk().contains(&(tp(3), None)));
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_after_the_delay() {
    let mut dir = Dir::new();
    produce(&dir.log(), &batch(0, 3));
    dir.manager().delete(&tp(0)).unwrap();
    assert!(dir.manager().partitions_on_disk().is_empty());
    let waiting = |dir: &Dir| {
        let entries = fs::read_dir(dir.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with("-delete")).count()
    };
    assert_eq!(waiting(&dir), 1);
    let anew = dir.log();
    assert_eq!(anew.log_end_offset(), 0, "a topic of the same name starts empty");
    dir.clock.advance(60_000);
    dir.manager().tick();
    assert_eq!(waiting(&dir), 0);
    dir.manager().delete(&tp(0)).unwrap();
    drop(anew);
    dir.close();
    dir.open();
    dir.manager().tick();
    assert_eq!(waiting(&dir), 0, "what an earlier life left goes at the start");
    dir.manager().delete(&tp(9)).unwrap();
}

#[test]
fn the_longest_topic_name_can_be_deleted() {
    let dir = Dir::new();
    let tp = TopicPartition { topic: "x".repeat(249).into(), partition: 0 };
    dir.manager().host(&tp, TOPIC_ID, Arc::default()).unwrap();
    dir.manager().delete(&tp).unwrap();
}

#[test]
fn a_name_that_is_no_folder_is_refused() {
    let dir = Dir::new();
    for topic in ["", "../evil", "a/b", "nul\0"] {
        let tp = TopicPartition { topic: topic.into(), partition: 0 };
        assert!(matches!(dir.manager().host(&tp, TOPIC_ID, Arc::default()), Err(LogError::Io { .. })), "{topic:?}");
    }
}

#[test]
fn checkpoints_are_kafkas_and_keep_partitions_that_are_not_hosted() {
    let mut dir = Dir::new();
    for partition in [0, 1] {
        produce(&dir.host(partition, LogConfig::default()), &batch(0, 5));
    }
    dir.close();
    dir.open();
    produce(&dir.log(), &batch(5, 2));
    dir.close();
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n2\nt 0 7\nt 1 5\n");
    assert_eq!(text("replication-offset-checkpoint"), "0\n2\nt 0 7\nt 1 5\n");
    assert_eq!(text("log-start-offset-checkpoint"), "0\n0\n");
    assert!(dir.path().join(".kafka_cleanshutdown").exists());
}

#[test]
fn a_new_partition_costs_a_folder_and_its_metadata_only() {
    let dir = Dir::new();
    let log = dir.log();
    assert_eq!((log.log_start_offset(), log.last_stable_offset(), log.size_bytes()), (0, 0, 0));
    assert!(log.read(0, 100, true, ReadBound::HighWatermark).unwrap().slice.is_none());
    assert_eq!(log.offset_for_timestamp(0, Reach::Disk).unwrap(), None);
    let names: Vec<_> = fs::read_dir(dir.partition_path(0)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["partition.metadata"]);
}

#[test]
fn idle_files_are_closed_and_opened_again_when_needed() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { segment_bytes: 600, index_interval_bytes: 0, ..LogConfig::default() });
    for at in 0..40 {
        produce(&log, &batch(at * 2, 2));
    }
    assert_eq!(read_all(&log, 0, 1 << 20), expected(80));
    let open_files = || {
        let folder = dir.partition_path(0);
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|path| path.starts_with(&folder)).count()
    };
    assert!(open_files() > 10);
    for _ in 0..2 {
        dir.clock.advance(300_000);
        dir.manager().tick();
    }
    assert_eq!(open_files(), 0);
    produce(&log, &batch(80, 2));
    assert_eq!(read_all(&log, 0, 1 << 20), expected(82));
}

#[test]
fn the_background_thread_ends_with_close_and_close_may_be_repeated() {
    let dir = Dir::new();
    let path = dir.path().join("second");
    let manager = LogManager::open(manager_config(&path), Arc::new(DiskFileSystem), Arc::new(SystemClock)).unwrap();
    manager.close().unwrap();
    manager.close().unwrap();
    assert!(manager.offline_reason().is_none());
}
