//! Taking possession of a data directory: lock, `meta.properties`, checkpoints, clean-shutdown marker. No log is opened.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::checkpoint::{self, Offsets};
use super::error::LogError;
use super::file_names::DELETE_DIR;
use super::log_dir::io_error;
use super::manager::LogManagerConfig;
use super::meta_properties::{META_PROPERTIES, MetaProperties, id_to_text};
use super::partition_log::KnownOffsets;
use super::types::TopicPartition;
use crate::fs::{FileSystem, LockGuard, raise_open_file_limit, random_bytes};

/// Says that every log was flushed and closed.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// What Kafka writes into it (an unknown broker epoch).
pub const CLEAN_SHUTDOWN_TEXT: &str = "{\"version\":0,\"brokerEpoch\":-1}";
const LOCK: &str = ".lock";

/// A directory that is ours.
pub(super) struct Started {
    pub lock: LockGuard,
    pub meta: MetaProperties,
    pub known: HashMap<TopicPartition, KnownOffsets>,
    pub clean: bool,
    /// Folders of deleted partitions whose files are still there.
    pub deleted_dirs: Vec<String>,
}

/// Locks and reads the directory; makes it when missing. From here on it counts as unclean until it is closed.
pub(super) fn open_directory(config: &LogManagerConfig, fs: &dyn FileSystem) -> Result<Started, LogError> {
    let dir = config.data_dir.as_path();
    fs.create_dir_all(dir).map_err(|source| io_error("make", dir, source))?;
    let lock_path = dir.join(LOCK);
    let lock = fs
        .lock(&lock_path)
        .map_err(|source| io_error("lock", &lock_path, source))?
        .ok_or_else(|| LogError::Locked(dir.display().to_string()))?;
    raise_open_file_limit();
    let meta = meta_properties(config, fs)?;
    let known = known_offsets(dir, fs)?;
    let clean = take_marker(dir, fs)?;
    let entries = fs.list(dir).map_err(|source| io_error("list", dir, source))?;
    let deleted_dirs = entries.into_iter().filter(|entry| entry.is_dir && entry.name.ends_with(DELETE_DIR));
    Ok(Started { lock, meta, known, clean, deleted_dirs: deleted_dirs.map(|entry| entry.name).collect() })
}

fn meta_properties(config: &LogManagerConfig, fs: &dyn FileSystem) -> Result<MetaProperties, LogError> {
    let path = config.data_dir.join(META_PROPERTIES);
    let wrong = |what: String| LogError::Corrupt(format!("{}: {what}", path.display()));
    let known = match fs.read(&path) {
        Ok(bytes) => Some(MetaProperties::decode(&bytes).map_err(wrong)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io_error("read", &path, error)),
    };
    if let Some(meta) = &known {
        if meta.node_id != config.node_id {
            return Err(wrong(format!("belongs to node.id={}, this is node.id={}", meta.node_id, config.node_id)));
        }
        if let Some(wanted) = config.cluster_id.as_ref().filter(|wanted| **wanted != meta.cluster_id) {
            return Err(wrong(format!("belongs to cluster.id={}, wanted is {wanted}", meta.cluster_id)));
        }
        if !meta.directory_id.is_empty() {
            return Ok(meta.clone());
        }
    }
    let cluster_id = known.map(|meta| meta.cluster_id).or_else(|| config.cluster_id.clone());
    let cluster_id = cluster_id.map_or_else(random_id, Ok)?;
    let meta = MetaProperties { cluster_id, node_id: config.node_id, directory_id: random_id()? };
    fs.write_atomic(&path, meta.encode().as_bytes(), true).map_err(|source| io_error("write", &path, source))?;
    Ok(meta)
}

/// A random id in text; like Kafka, none that starts with a dash.
fn random_id() -> Result<String, LogError> {
    loop {
        let mut bytes = [0; 16];
        random_bytes(&mut bytes).map_err(|source| io_error("read", Path::new("/dev/urandom"), source))?;
        let text = id_to_text(&Uuid::from_bytes(bytes));
        if !text.starts_with('-') {
            return Ok(text);
        }
    }
}

/// The four checkpoints together, for partitions that have a recovery point. Damaged or missing files count as empty.
fn known_offsets(dir: &Path, fs: &dyn FileSystem) -> Result<HashMap<TopicPartition, KnownOffsets>, LogError> {
    let read = |name: &str| -> Result<Offsets, LogError> {
        let path = dir.join(name);
        match fs.read(&path) {
            Ok(bytes) => Ok(checkpoint::decode_offsets(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Offsets::new()),
            Err(error) => Err(io_error("read", &path, error)),
        }
    };
    let mut known: HashMap<TopicPartition, KnownOffsets> = HashMap::new();
    let recovery = read(checkpoint::RECOVERY_POINT)?;
    let starts = read(checkpoint::LOG_START)?;
    let high_watermarks = read(checkpoint::HIGH_WATERMARK)?;
    let cleaned = read(checkpoint::CLEANER)?;
    let names = recovery.keys().chain(starts.keys()).chain(high_watermarks.keys());
    for tp in names {
        let offset = |offsets: &Offsets| offsets.get(tp).copied();
        known.entry(tp.clone()).or_insert_with(|| KnownOffsets {
            recovery_point: offset(&recovery),
            log_start: offset(&starts).unwrap_or(0),
            high_watermark: offset(&high_watermarks).unwrap_or(0),
            cleaned: offset(&cleaned).unwrap_or(0),
        });
    }
    Ok(known)
}

/// True when the last owner closed the directory; the marker is gone afterwards.
fn take_marker(dir: &Path, fs: &dyn FileSystem) -> Result<bool, LogError> {
    let path = dir.join(CLEAN_SHUTDOWN);
    match fs.remove_file(&path) {
        Ok(()) => {
            fs.sync_dir(dir).map_err(|source| io_error("sync", dir, source))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("remove", &path, error)),
    }
}
