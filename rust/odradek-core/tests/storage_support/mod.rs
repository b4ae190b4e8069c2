//! What the storage tests share: a data directory with a manual clock, and batches to append.
#![allow(dead_code, clippy::unwrap_used)]

pub mod keyed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use odradek_core::clock::ManualClock;
use odradek_core::compress::Compression;
use odradek_core::fs::{DiskFileSystem, FileSystem};
use odradek_core::log::config::LogConfig;
use odradek_core::log::error::LogError;
use odradek_core::log::manager::{LogManager, LogManagerConfig};
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AppendInfo, AppendOrigin, ReadBound, TopicPartition};
use odradek_core::record::batch::{BatchHeader, check_crc};
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::control::{Marker, MarkerType};
use odradek_core::record::reader::{Records, payload};
use tempfile::TempDir;
use uuid::Uuid;

pub const NOW_MS: i64 = 1_700_000_000_000;
pub const TOPIC_ID: Uuid = Uuid::from_u128(0x1234);

/// A data directory that can be closed, crashed and opened again.
pub struct Dir {
    temp: Arc<TempDir>,
    pub clock: ManualClock,
    pub fs: Arc<dyn FileSystem>,
    manager: Option<Arc<LogManager>>,
}

pub fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

pub fn manager_config(data_dir: &Path) -> LogManagerConfig {
    LogManagerConfig {
        data_dir: data_dir.to_path_buf(),
        node_id: 1,
        cluster_id: None,
        retention_check_interval_ms: 300_000,
        checkpoint_interval_ms: 60_000,
        producer_id_expiration_ms: 86_400_000,
        cleaner_enable: true,
        cleaner_backoff_ms: 15_000,
        cleaner_dedupe_buffer_bytes: 1 << 20,
    }
}

impl Dir {
    pub fn new() -> Self {
        Self::on(Arc::new(DiskFileSystem))
    }

    pub fn on(fs: Arc<dyn FileSystem>) -> Self {
        let mut dir = Self::closed_on(fs);
        dir.open();
        dir
    }

    pub fn closed_on(fs: Arc<dyn FileSystem>) -> Self {
        let temp = Arc::new(TempDir::new().unwrap());
        Self { temp, clock: ManualClock::at(NOW_MS), fs, manager: None }
    }

    /// The same directory on another file system (a crash image), closed.
    pub fn same_path_on(&self, fs: Arc<dyn FileSystem>) -> Self {
        Self { temp: Arc::clone(&self.temp), clock: self.clock.clone(), fs, manager: None }
    }

    pub fn path(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    pub fn partition_path(&self, partition: i32) -> PathBuf {
        self.path().join(format!("t-{partition}"))
    }

    pub fn try_open(&mut self) -> Result<(), LogError> {
        let clock = Arc::new(self.clock.clone());
        let opened = LogManager::open_without_thread(manager_config(&self.path()), Arc::clone(&self.fs), clock)?;
        self.manager = Some(opened);
        Ok(())
    }

    pub fn open(&mut self) {
        self.try_open().unwrap();
    }

    pub fn manager(&self) -> &Arc<LogManager> {
        self.manager.as_ref().unwrap()
    }

    pub fn close(&mut self) {
        self.manager.take().unwrap().close().unwrap();
    }

    /// Drops the manager as a killed process would: nothing is flushed, no marker is written.
    pub fn crash(&mut self) {
        self.manager = None;
    }

    pub fn host(&self, partition: i32, config: LogConfig) -> Arc<PartitionLog> {
        self.manager().host(&tp(partition), TOPIC_ID, Arc::new(config)).unwrap()
    }

    pub fn log(&self) -> Arc<PartitionLog> {
        self.host(0, LogConfig::default())
    }

    /// File names of partition 0 that end in `suffix`, sorted.
    pub fn files(&self, suffix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.partition_path(0)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(suffix)).collect();
        names.sort();
        names
    }
}

/// Values `first..first + count` as records a millisecond apart.
pub fn batch_with(options: BatchOptions, first: u32, count: u32, timestamp_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for at in 0..count {
        let value = format!("value-{}", first + at);
        let key = (first + at).to_be_bytes();
        builder.push(timestamp_ms + i64::from(at), Some(&key), Some(value.as_bytes()), std::iter::empty()).unwrap();
    }
    Bytes::from(builder.finish().unwrap())
}

pub fn batch(first: u32, count: u32) -> Bytes {
    batch_with(BatchOptions::default(), first, count, NOW_MS)
}

pub fn compressed(compression: Compression, first: u32, count: u32) -> Bytes {
    batch_with(BatchOptions { compression, ..BatchOptions::default() }, first, count, NOW_MS)
}

pub fn idempotent(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: u32) -> Bytes {
    let options = BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    batch_with(options, base_sequence.cast_unsigned(), count, NOW_MS)
}

pub fn transactional(producer_id: i64, base_sequence: i32, count: u32) -> Bytes {
    let options =
        BatchOptions { producer_id, producer_epoch: 0, base_sequence, transactional: true, ..BatchOptions::default() };
    batch_with(options, base_sequence.cast_unsigned(), count, NOW_MS)
}

pub fn end_txn(log: &PartitionLog, producer_id: i64, marker_type: MarkerType) -> AppendInfo {
    let marker = Marker { marker_type, coordinator_epoch: 1 }.batch(producer_id, 0, NOW_MS, 0).unwrap();
    log.append(&Bytes::from(marker), 0, AppendOrigin::Coordinator).unwrap()
}

/// Appends as a client would and lets the high watermark follow, as a partition with one replica does.
pub fn produce(log: &PartitionLog, batches: &Bytes) -> AppendInfo {
    let info = log.append(batches, 0, AppendOrigin::Client).unwrap();
    log.advance_high_watermark(log.log_end_offset());
    info
}

/// Bytes of one read.
pub fn read_bytes(log: &PartitionLog, offset: i64, max_bytes: usize, bound: ReadBound) -> Vec<u8> {
    match log.read(offset, max_bytes, true, bound).unwrap().slice {
        None => Vec::new(),
        Some(slice) => {
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.position).unwrap();
            bytes
        }
    }
}

/// Headers of whole batches that stand one after the other, checksums checked.
pub fn headers(mut bytes: &[u8]) -> Vec<BatchHeader> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let header = BatchHeader::parse(bytes).unwrap();
        let (batch, rest) = bytes.split_at(header.size());
        check_crc(&header, batch).unwrap();
        found.push(header);
        bytes = rest;
    }
    found
}

/// (offset, value) of every record from `offset` to the log end, read in steps of at most `max_bytes`.
pub fn read_all(log: &PartitionLog, mut offset: i64, max_bytes: usize) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    loop {
        let bytes = read_bytes(log, offset, max_bytes, ReadBound::LogEnd);
        if bytes.is_empty() {
            return records;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).unwrap();
            let (batch, after) = rest.split_at(header.size());
            let mut scratch = Vec::new();
            if !header.is_control() {
                let stored = payload(&header, batch, 1 << 30, &mut scratch).unwrap();
                for record in Records::new(stored, header.record_count).unwrap() {
                    let record = record.unwrap();
                    let value = String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap();
                    records.push((header.offset_of(&record).unwrap(), value));
                }
            }
            offset = header.last_offset() + 1;
            rest = after;
        }
    }
}

/// The records that `batch(0, count)` and its followers hold.
pub fn expected(count: u32) -> Vec<(i64, String)> {
    (0..count).map(|at| (i64::from(at), format!("value-{at}"))).collect()
}
