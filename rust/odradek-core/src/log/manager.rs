//! The log directory: which partitions are in it, who deletes old data, and how it is closed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use uuid::Uuid;

use super::checkpoint::{self, Offsets};
use super::cleaner;
use super::config::LogConfig;
use super::error::LogError;
use super::file_names::{DELETE_DIR, PARTITION_METADATA, parse_partition_dir};
use super::flush::Durability;
use super::log_dir::{LogDir, io_error};
use super::meta_properties::{self, MetaProperties};
use super::partition_log::{KnownOffsets, Origin, PartitionLog};
use super::startup;
use super::types::TopicPartition;
use crate::clock::Clock;
use crate::fs::{FileSystem, LockGuard, random_bytes};

/// How often the background thread looks whether something is due.
const TICK: Duration = Duration::from_secs(1);
/// The cleaner rests at least this long, whatever `log.cleaner.backoff.ms` says.
const LEAST_BACKOFF: Duration = Duration::from_millis(20);
/// Longest name of a folder.
const MAX_NAME_BYTES: usize = 255;
/// More logs than this with something to flush are made durable by one sync of the whole file system at close.
const MAX_SINGLE_SYNCS: usize = 16;
/// Warnings kept until somebody takes them.
const MAX_WARNINGS: usize = 64;

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

/// Owns the data directory: its lock, `meta.properties`, checkpoints, one background thread for retention, delayed
/// deletes and checkpoints, and one for cleaning, which may take long.
pub struct LogManager {
    config: LogManagerConfig,
    log_dir: Arc<LogDir>,
    meta: MetaProperties,
    clean_start: bool,
    logs: RwLock<HashMap<TopicPartition, Arc<PartitionLog>>>,
    /// What the checkpoints said at the start of partitions that are not hosted.
    known: Mutex<HashMap<TopicPartition, KnownOffsets>>,
    schedule: Mutex<Schedule>,
    written: Mutex<HashMap<&'static str, String>>,
    warnings: Mutex<Vec<String>>,
    lock: Mutex<Option<LockGuard>>,
    closing: Arc<(Mutex<bool>, Condvar)>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Schedule {
    retention_ms: i64,
    checkpoint_ms: i64,
}

impl LogManager {
    /// Locks the directory, reads `meta.properties`, the checkpoints and the clean-shutdown marker. Opens no segment.
    /// Starts the background threads.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::Corrupt`] for a `meta.properties` that is damaged or another node's or
    /// cluster's, [`LogError::Io`].
    pub fn open(
        config: LogManagerConfig,
        fs: Arc<dyn FileSystem>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LogError> {
        let manager = Self::open_without_thread(config, fs, clock)?;
        manager.spawn("odradek-log", TICK, Self::tick)?;
        if manager.config.cleaner_enable {
            let backoff = Duration::from_millis(manager.config.cleaner_backoff_ms.max(0).cast_unsigned());
            manager.spawn("odradek-cleaner", backoff.max(LEAST_BACKOFF), |manager| {
                manager.clean();
            })?;
        }
        Ok(manager)
    }

    /// Starts a thread that does `work` again and again, with a rest before each time, until the manager goes.
    fn spawn(self: &Arc<Self>, name: &str, rest: Duration, work: fn(&Self)) -> Result<(), LogError> {
        let weak = Arc::downgrade(self);
        let closing = Arc::clone(&self.closing);
        let spawned =
            thread::Builder::new().name(name.to_owned()).spawn(move || background(&weak, &closing, rest, work));
        let handle = spawned.map_err(|source| io_error("start the thread of", &self.log_dir.path, source))?;
        self.threads.lock().push(handle);
        Ok(())
    }

    /// As [`Self::open`], but background work happens only when [`Self::tick`] is called (tests, offline tools).
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_without_thread(
        config: LogManagerConfig,
        fs: Arc<dyn FileSystem>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LogError> {
        let started = startup::open_directory(&config, &*fs)?;
        let now_ms = clock.now_ms();
        let log_dir = LogDir::new(config.data_dir.clone(), fs, clock, config.producer_id_expiration_ms);
        for name in &started.deleted_dirs {
            log_dir.remove_later(config.data_dir.join(name), true, 0);
        }
        Ok(Arc::new(Self {
            schedule: Mutex::new(Schedule {
                retention_ms: now_ms.saturating_add(config.retention_check_interval_ms),
                checkpoint_ms: now_ms.saturating_add(config.checkpoint_interval_ms),
            }),
            config,
            log_dir: Arc::new(log_dir),
            meta: started.meta,
            clean_start: started.clean,
            logs: RwLock::default(),
            known: Mutex::new(started.known),
            written: Mutex::default(),
            warnings: Mutex::default(),
            lock: Mutex::new(Some(started.lock)),
            closing: Arc::default(),
            threads: Mutex::default(),
        }))
    }

    /// The cluster id from `meta.properties`.
    pub fn cluster_id(&self) -> String {
        self.meta.cluster_id.clone()
    }

    /// Settings this directory was opened with.
    pub fn config(&self) -> &LogManagerConfig {
        &self.config
    }

    /// What every log in the directory shares.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.log_dir
    }

    fn partition_dir(&self, tp: &TopicPartition) -> Result<PathBuf, LogError> {
        let dir = self.log_dir.path.join(tp.to_string());
        if tp.topic.is_empty() || tp.topic.contains(['/', '\0']) || tp.partition < 0 {
            return Err(io_error("open", &dir, io::ErrorKind::InvalidInput.into()));
        }
        Ok(dir)
    }

    /// Opens (or makes) the log of a partition. After a clean shutdown no file of an existing one is touched before
    /// its first use.
    ///
    /// # Errors
    /// [`LogError::LogDirOffline`], [`LogError::Io`], and after an unclean stop what repairing the log meets.
    pub fn host(
        &self,
        tp: &TopicPartition,
        topic_id: Uuid,
        config: Arc<LogConfig>,
    ) -> Result<Arc<PartitionLog>, LogError> {
        self.log_dir.check_online()?;
        if let Some(log) = self.logs.read().get(tp) {
            log.configure(config);
            return Ok(Arc::clone(log));
        }
        let dir = self.partition_dir(tp)?;
        let origin = match self.log_dir.fs.create_dir(&dir) {
            Ok(()) => {
                // Not synced: the topic's metadata is the truth, and a folder lost in a crash is made again.
                let path = dir.join(PARTITION_METADATA);
                let text = meta_properties::encode_partition_metadata(&topic_id);
                let result = self.log_dir.fs.write_atomic(&path, text.as_bytes(), false);
                self.log_dir.changed("write", &path, result)?;
                self.known.lock().remove(tp);
                Origin::New
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let durable = self.known.lock().get(tp).is_some_and(|known| known.recovery_point.is_some());
                if self.clean_start && durable { Origin::Clean } else { Origin::Unclean }
            }
            Err(error) => return self.log_dir.changed("make", &dir, Err(error)),
        };
        let known = self.known.lock().get(tp).copied().unwrap_or_default();
        let log_dir = Arc::clone(&self.log_dir);
        let log = Arc::new(PartitionLog::new(tp.clone(), Arc::from(dir), log_dir, config, origin, known));
        if origin == Origin::Unclean {
            log.ensure_loaded()?;
        }
        Ok(Arc::clone(self.logs.write().entry(tp.clone()).or_insert(log)))
    }

    /// A hosted partition's log.
    pub fn get(&self, tp: &TopicPartition) -> Option<Arc<PartitionLog>> {
        self.logs.read().get(tp).cloned()
    }

    /// Every hosted log, in no order.
    pub fn logs(&self) -> Vec<Arc<PartitionLog>> {
        self.logs.read().values().cloned().collect()
    }

    /// Topic-partitions that have a folder in the data directory, with their topic id where `partition.metadata` tells.
    pub fn partitions_on_disk(&self) -> Vec<(TopicPartition, Option<Uuid>)> {
        let entries = self.log_dir.fs.list(&self.log_dir.path).unwrap_or_default();
        let folders = entries.into_iter().filter(|entry| entry.is_dir);
        folders
            .filter_map(|entry| {
                let tp = parse_partition_dir(&entry.name)?;
                let path = self.log_dir.path.join(&entry.name).join(PARTITION_METADATA);
                let bytes = self.log_dir.fs.read(&path).ok();
                Some((tp, bytes.and_then(|bytes| meta_properties::decode_partition_metadata(&bytes))))
            })
            .collect()
    }

    /// New effective configuration for a hosted partition.
    pub fn configure(&self, tp: &TopicPartition, config: Arc<LogConfig>) {
        if let Some(log) = self.get(tp) {
            log.configure(config);
        }
    }

    /// Closes a partition's log and renames its folder to `<topic>-<partition>.<uuid>-delete`; the files go after
    /// `file.delete.delay.ms`. A partition that has no folder is no error.
    ///
    /// # Errors
    /// [`LogError::LogDirOffline`], [`LogError::Io`].
    pub fn delete(&self, tp: &TopicPartition) -> Result<(), LogError> {
        self.log_dir.check_online()?;
        let log = self.logs.write().remove(tp);
        let mut delay_ms = LogConfig::default().file_delete_delay_ms;
        if let Some(log) = log {
            delay_ms = log.config().file_delete_delay_ms;
            log.abandon();
        }
        self.known.lock().remove(tp);
        let dir = self.partition_dir(tp)?;
        let away = self.log_dir.path.join(self.deleted_dir_name(tp)?);
        match self.log_dir.fs.rename(&dir, &away) {
            Ok(()) => {
                self.log_dir.remove_later(away, true, delay_ms);
                let path = &self.log_dir.path;
                self.log_dir.changed("sync", path, self.log_dir.fs.sync_dir(path))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => self.log_dir.changed("rename", &dir, Err(error)),
        }
    }

    fn deleted_dir_name(&self, tp: &TopicPartition) -> Result<String, LogError> {
        let mut bytes = [0; 16];
        random_bytes(&mut bytes).map_err(|source| io_error("read", Path::new("/dev/urandom"), source))?;
        let end = format!("-{}.{:032x}{DELETE_DIR}", tp.partition, u128::from_be_bytes(bytes));
        let room = MAX_NAME_BYTES.saturating_sub(end.len());
        let topic: String = tp.topic.chars().take(room).collect();
        Ok(topic + &end)
    }

    /// One pass of the background work at the clock's time; the thread calls it, tests too.
    pub fn tick(&self) {
        if self.log_dir.offline_reason().is_some() {
            return;
        }
        self.log_dir.remove_due();
        let now_ms = self.log_dir.clock.now_ms();
        let (retention, checkpoints) = self.due(now_ms);
        for log in self.logs() {
            self.note(&log, log.flush_due(now_ms));
            if retention {
                if log.may_have_old_segments() {
                    self.note(&log, log.delete_old_segments().map(drop));
                }
                self.note(&log, log.release_idle_files());
                log.expire_producers(now_ms);
            }
        }
        if checkpoints && let Err(error) = self.write_checkpoints() {
            self.warn(error.to_string());
        }
    }

    /// Compacts logs, each time the one with the greatest dirty ratio, until none needs it; returns the number of passes.
    /// The cleaner's thread calls it, tests too. No effect without `log.cleaner.enable`.
    pub fn clean(&self) -> usize {
        let mut passes = 0;
        let mut set_aside = HashSet::new();
        let stop = || *self.closing.0.lock();
        while self.config.cleaner_enable && !stop() && self.log_dir.offline_reason().is_none() {
            let Some(dirty) = self.dirtiest(&set_aside) else { break };
            match cleaner::clean(&dirty, self.config.cleaner_dedupe_buffer_bytes, &stop) {
                Ok(true) => {
                    passes += 1;
                    if let Err(error) = self.write_checkpoints() {
                        self.warn(error.to_string());
                    }
                }
                // It changed under the cleaner's hands: another time.
                Ok(false) | Err(LogError::Closed(_)) => {
                    set_aside.insert(dirty.log.topic_partition().clone());
                }
                Err(error) => self.give_up_cleaning(&dirty.log, &error),
            }
        }
        passes
    }

    fn dirtiest(&self, set_aside: &HashSet<TopicPartition>) -> Option<cleaner::Dirty> {
        let now_ms = self.log_dir.clock.now_ms();
        let mut found: Option<cleaner::Dirty> = None;
        for log in self.logs().iter().filter(|log| !set_aside.contains(log.topic_partition())) {
            match cleaner::assess(log, now_ms) {
                Ok(Some(dirty)) if found.as_ref().is_none_or(|found| found.ratio < dirty.ratio) => found = Some(dirty),
                Ok(_) | Err(LogError::Closed(_)) => {}
                Err(error) => self.give_up_cleaning(log, &error),
            }
        }
        found
    }

    /// A log that can't be read is left as it is until the next start, so that others get their turn.
    fn give_up_cleaning(&self, log: &PartitionLog, error: &LogError) {
        log.uncleanable.store(true, Ordering::Release);
        self.warn(format!("{} is not compacted any more: {error}", log.topic_partition()));
    }

    fn due(&self, now_ms: i64) -> (bool, bool) {
        let mut schedule = self.schedule.lock();
        let retention = now_ms >= schedule.retention_ms;
        if retention {
            schedule.retention_ms = now_ms.saturating_add(self.config.retention_check_interval_ms.max(1));
        }
        let checkpoints = now_ms >= schedule.checkpoint_ms;
        if checkpoints {
            schedule.checkpoint_ms = now_ms.saturating_add(self.config.checkpoint_interval_ms.max(1));
        }
        (retention, checkpoints)
    }

    fn note(&self, log: &PartitionLog, result: Result<(), LogError>) {
        match result {
            // Deleted or closed while the pass went on.
            Ok(()) | Err(LogError::Closed(_)) => {}
            Err(error) => self.warn(format!("{}: {error}", log.topic_partition())),
        }
    }

    fn warn(&self, text: String) {
        let mut warnings = self.warnings.lock();
        if warnings.len() < MAX_WARNINGS {
            warnings.push(text);
        }
    }

    /// What background work could not do since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock())
    }

    /// Why the directory is offline, if it is.
    pub fn offline_reason(&self) -> Option<String> {
        self.log_dir.offline_reason().map(str::to_owned)
    }

    /// Writes recovery points, log starts, high watermarks and how far logs are compacted, each file only if it has changed.
    ///
    /// # Errors
    /// I/O errors, which take the directory offline.
    pub fn write_checkpoints(&self) -> Result<(), LogError> {
        // Held from the start: of two threads that write, the later one writes the later offsets.
        let mut written = self.written.lock();
        let (mut recovery, mut starts, mut high_watermarks) = (Offsets::new(), Offsets::new(), Offsets::new());
        let mut cleaned = Offsets::new();
        let mut offsets = self.known.lock().clone();
        offsets.extend(self.logs.read().iter().map(|(tp, log)| (tp.clone(), log.known_offsets())));
        for (tp, known) in offsets {
            if known.log_start > 0 {
                starts.insert(tp.clone(), known.log_start);
            }
            if known.cleaned > 0 {
                cleaned.insert(tp.clone(), known.cleaned);
            }
            if let Some(recovery_point) = known.recovery_point {
                recovery.insert(tp.clone(), recovery_point);
            }
            high_watermarks.insert(tp, known.high_watermark);
        }
        let files = [
            (checkpoint::LOG_START, starts),
            (checkpoint::RECOVERY_POINT, recovery),
            (checkpoint::HIGH_WATERMARK, high_watermarks),
            (checkpoint::CLEANER, cleaned),
        ];
        for (name, offsets) in files {
            let text = checkpoint::encode_offsets(&offsets);
            if written.get(name) != Some(&text) {
                let path = self.log_dir.path.join(name);
                self.log_dir.changed("write", &path, self.log_dir.fs.write_atomic(&path, text.as_bytes(), true))?;
                written.insert(name, text);
            }
        }
        Ok(())
    }

    /// Flushes every log, writes the checkpoints and the clean-shutdown marker, releases the lock. Idempotent.
    ///
    /// # Errors
    /// The first log or file that could not be written; the marker is left out then, so the next start repairs.
    pub fn close(&self) -> Result<(), LogError> {
        self.stop_threads();
        let Some(lock) = self.lock.lock().take() else { return Ok(()) };
        let result = self.close_logs();
        drop(lock);
        result
    }

    fn close_logs(&self) -> Result<(), LogError> {
        let logs = self.logs();
        let unflushed = logs.iter().filter(|log| log.has_unflushed()).count();
        let durability = if unflushed > MAX_SINGLE_SYNCS { Durability::Later } else { Durability::Here };
        let closed: Vec<_> = logs.iter().map(|log| log.close(durability)).collect();
        closed.into_iter().collect::<Result<(), LogError>>()?;
        self.log_dir.check_online()?;
        if durability == Durability::Later {
            let path = &self.log_dir.path;
            self.log_dir.changed("sync", path, self.log_dir.fs.sync_all(path))?;
            logs.iter().for_each(|log| log.settle());
        }
        if !self.clean_start {
            // Nobody has repaired what was not hosted; without an entry it is not taken for clean next time.
            self.known.lock().values_mut().for_each(|known| known.recovery_point = None);
        }
        self.write_checkpoints()?;
        let path = self.log_dir.path.join(startup::CLEAN_SHUTDOWN);
        let result = self.log_dir.fs.write_atomic(&path, startup::CLEAN_SHUTDOWN_TEXT.as_bytes(), true);
        self.log_dir.changed("write", &path, result)
    }

    fn stop_threads(&self) {
        let (closing, wake) = &*self.closing;
        *closing.lock() = true;
        wake.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for handle in threads.into_iter().filter(|handle| handle.thread().id() != thread::current().id()) {
            let _ = handle.join();
        }
    }
}

impl Drop for LogManager {
    fn drop(&mut self) {
        // Without close(), the directory stays marked as unclean; only the threads have to end.
        self.stop_threads();
    }
}

fn background(manager: &Weak<LogManager>, closing: &(Mutex<bool>, Condvar), rest: Duration, work: fn(&LogManager)) {
    loop {
        {
            let mut stop = closing.0.lock();
            if !*stop {
                let _ = closing.1.wait_for(&mut stop, rest);
            }
            if *stop {
                return;
            }
        }
        let Some(manager) = manager.upgrade() else { return };
        work(&manager);
    }
}
