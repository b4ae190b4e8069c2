//! The log directory: which partitions are in it, who deletes old data, and how it is closed.

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::config::LogConfig;
use super::error::LogError;
use super::partition_log::PartitionLog;
use super::types::TopicPartition;
use crate::clock::Clock;
use crate::fs::FileSystem;

/// Broker-wide settings of the log directory (Kafka's `log.*`), durations in ms.
#[derive(Debug, Clone)]
pub struct LogManagerConfig {
    /// The data directory (one; `log.dirs`).
    pub data_dir: PathBuf,
    /// `node.id`, written to `meta.properties`.
    pub node_id: i32,
    /// Cluster id; `None` on the first start makes one.
    pub cluster_id: Option<String>,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub checkpoint_interval_ms: i64,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    /// `log.cleaner.enable`
    pub cleaner_enable: bool,
    /// `log.cleaner.backoff.ms`
    pub cleaner_backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`
    pub cleaner_dedupe_buffer_bytes: usize,
}

/// Owns the data directory: its lock, `meta.properties`, checkpoints and one background thread for retention, delayed
/// deletes, checkpoints and cleaning.
pub struct LogManager {}

impl LogManager {
    /// Locks the directory, reads `meta.properties`, the checkpoints and the clean-shutdown marker. Opens no segment.
    pub fn open(
        config: LogManagerConfig,
        fs: Arc<dyn FileSystem>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LogError> {
        let _ = (config, fs, clock);
        todo!()
    }

    /// The cluster id from `meta.properties`.
    pub fn cluster_id(&self) -> String {
        todo!()
    }

    /// Opens (or makes) the log of a partition. After a clean shutdown no file of an existing one is touched before
    /// its first use.
    pub fn host(
        &self,
        tp: &TopicPartition,
        topic_id: Uuid,
        config: Arc<LogConfig>,
    ) -> Result<Arc<PartitionLog>, LogError> {
        let _ = (tp, topic_id, config);
        todo!()
    }

    /// Topic-partitions that have a folder in the data directory, with their topic id where `partition.metadata` tells.
    pub fn partitions_on_disk(&self) -> Vec<(TopicPartition, Option<Uuid>)> {
        todo!()
    }

    /// New effective configuration for a hosted partition.
    pub fn configure(&self, tp: &TopicPartition, config: Arc<LogConfig>) {
        let _ = (tp, config);
        todo!()
    }

    /// Closes a partition's log and renames its folder to `<topic>-<partition>.<uuid>-delete`; the files go after
    /// `file.delete.delay.ms`.
    pub fn delete(&self, tp: &TopicPartition) -> Result<(), LogError> {
        let _ = tp;
        todo!()
    }

    /// One pass of the background work at the clock's time; the thread calls it, tests too.
    pub fn tick(&self) {
        todo!()
    }

    /// Why the directory is offline, if it is.
    pub fn offline_reason(&self) -> Option<String> {
        todo!()
    }

    /// Flushes every log, writes the checkpoints and the clean-shutdown marker, releases the lock. Idempotent.
    pub fn close(&self) -> Result<(), LogError> {
        todo!()
    }
}
