//! One partition's log: its state, its offsets, and when its files are first touched.
//!
//! What it can do is spread over `append`, `read`, `lookup`, `flush` (roll, flush, close), `retention` and `truncate`;
//! what happens when it is opened is `loader`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::config::LogConfig;
use super::epoch_cache::EpochCache;
use super::error::LogError;
use super::file_handle::SegmentFiles;
use super::loader;
use super::log_dir::LogDir;
use super::producer_state::ProducerStates;
use super::segment::{IndexTracker, Segment};
use super::types::TopicPartition;

/// Segments of a partition, oldest first; the last one is active.
pub type Segments = Vec<Arc<Segment>>;

/// No transaction is open.
const STABLE: i64 = i64::MAX;

/// What is known of a partition before its files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its folder was made just now.
    New,
    /// Closed cleanly at the recovery point: opened on first use.
    Clean,
    /// Anything else: scanned and repaired from the recovery point.
    Unclean,
}

/// The offsets that checkpoints remember of a partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownOffsets {
    /// Up to where the log is durable; for a clean log its end. `None` when nobody knows.
    pub recovery_point: Option<i64>,
    /// Where it starts.
    pub log_start: i64,
    /// Its high watermark.
    pub high_watermark: i64,
    /// Up to where it is compacted.
    pub cleaned: i64,
}

/// The segments of one partition. Appends are serialised by a lock of this partition's own; reads and the offset
/// getters take no lock that an append holds across I/O.
pub struct PartitionLog {
    pub(super) tp: TopicPartition,
    pub(super) dir: Arc<Path>,
    pub(super) log_dir: Arc<LogDir>,
    pub(super) config: ArcSwap<LogConfig>,
    pub(super) segments: ArcSwap<Segments>,
    pub(super) epochs: RwLock<EpochCache>,
    pub(super) log_start: AtomicI64,
    pub(super) high_watermark: AtomicI64,
    pub(super) end_offset: AtomicI64,
    pub(super) first_unstable: AtomicI64,
    pub(super) recovery_point: AtomicI64,
    /// Up to where the cleaner has come; records from there on may repeat a key.
    pub(super) cleaned: AtomicI64,
    /// The cleaner met damage in it, and leaves it alone until the next start.
    pub(super) uncleanable: AtomicBool,
    /// Held while the cleaner works on it, so that its folder does not go away meanwhile.
    pub(super) cleaning: Mutex<()>,
    loaded: AtomicBool,
    writer: Mutex<Writer>,
}

/// Where a log is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No file has been looked at.
    Unloaded(Origin),
    /// In use.
    Open,
    /// Closed or deleted.
    Closed,
}

/// What only the appender needs; behind the append lock.
pub(super) struct Writer {
    pub phase: Phase,
    pub producers: ProducerStates,
    pub tracker: IndexTracker,
    /// Greatest timestamp of the active segment's first batch, from which `segment.ms` counts.
    pub first_timestamp: Option<i64>,
    /// When the active segment was made, if its first batch has no timestamp.
    pub segment_created_ms: i64,
    /// Offset of the youngest producer snapshot.
    pub snapshot_offset: i64,
    /// The epoch cache is younger than its file.
    pub epochs_dirty: bool,
    /// A file was made since the folder was last synced.
    pub dir_dirty: bool,
    pub last_flush_ms: i64,
}

impl PartitionLog {
    /// A log in `dir`; nothing is read yet.
    #[must_use]
    pub fn new(
        tp: TopicPartition,
        dir: Arc<Path>,
        log_dir: Arc<LogDir>,
        config: Arc<LogConfig>,
        origin: Origin,
        known: KnownOffsets,
    ) -> Self {
        let now_ms = log_dir.clock.now_ms();
        let end = if origin == Origin::Clean { known.recovery_point.unwrap_or(0) } else { 0 };
        let log = Self {
            tp,
            dir,
            log_dir,
            config: ArcSwap::new(config),
            segments: ArcSwap::default(),
            epochs: RwLock::default(),
            log_start: AtomicI64::new(known.log_start),
            high_watermark: AtomicI64::new(if origin == Origin::Clean { known.high_watermark.min(end) } else { 0 }),
            end_offset: AtomicI64::new(end),
            first_unstable: AtomicI64::new(STABLE),
            recovery_point: AtomicI64::new(known.recovery_point.unwrap_or(0)),
            cleaned: AtomicI64::new(known.cleaned),
            uncleanable: AtomicBool::new(false),
            cleaning: Mutex::new(()),
            loaded: AtomicBool::new(false),
            writer: Mutex::new(Writer {
                phase: Phase::Unloaded(origin),
                producers: ProducerStates::default(),
                tracker: IndexTracker::default(),
                first_timestamp: None,
                segment_created_ms: now_ms,
                snapshot_offset: -1,
                epochs_dirty: false,
                dir_dirty: origin == Origin::New,
                last_flush_ms: now_ms,
            }),
        };
        if origin == Origin::New {
            log.segments.store(Arc::new(vec![Arc::new(Segment::new(log.segment_files(0), 0, false))]));
            log.writer.lock().phase = Phase::Open;
            log.loaded.store(true, Ordering::Release);
        } else if origin == Origin::Unclean {
            // The loader clamps it once the end is known.
            log.high_watermark.store(known.high_watermark, Ordering::Release);
        }
        log
    }

    /// Which partition this is.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The effective configuration now.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Replaces the effective configuration.
    pub fn configure(&self, config: Arc<LogConfig>) {
        self.config.store(config);
    }

    /// The partition's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn segment_files(&self, base_offset: i64) -> SegmentFiles {
        SegmentFiles { dir: Arc::clone(&self.dir), base_offset, log_dir: Arc::clone(&self.log_dir), added: "" }
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// From now on every use finds the log closed.
    pub(super) fn mark_unloaded(&self) {
        self.loaded.store(false, Ordering::Release);
    }

    /// Opens the files if that has not happened yet.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::LogDirOffline`]; [`LogError::Closed`] when the log is closed.
    pub fn ensure_loaded(&self) -> Result<(), LogError> {
        if self.is_loaded() { Ok(()) } else { self.lock_open().map(drop) }
    }

    /// The append lock of a log that is open; opens it first if need be.
    pub(super) fn lock_open(&self) -> Result<MutexGuard<'_, Writer>, LogError> {
        let mut writer = self.writer.lock();
        match writer.phase {
            Phase::Open => {}
            Phase::Closed => return Err(LogError::Closed(self.tp.to_string())),
            Phase::Unloaded(origin) => {
                self.log_dir.check_online()?;
                loader::load(self, &mut writer, origin)?;
                writer.phase = Phase::Open;
                self.loaded.store(true, Ordering::Release);
            }
        }
        Ok(writer)
    }

    /// The append lock, whatever the phase.
    pub(super) fn lock_any(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    /// The segments of an open log.
    pub(super) fn open_segments(&self) -> Result<Arc<Segments>, LogError> {
        self.ensure_loaded()?;
        Ok(self.segments.load_full())
    }

    /// First offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        // A log that can't be opened says so on the first append or read; until then what the checkpoint says stands.
        let _ = self.ensure_loaded();
        self.log_start.load(Ordering::Acquire)
    }

    /// One past the last record appended.
    pub fn log_end_offset(&self) -> i64 {
        self.end_offset.load(Ordering::Acquire)
    }

    /// One past the last record that consumers may see.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// First offset of the oldest open transaction, else the high watermark.
    pub fn last_stable_offset(&self) -> i64 {
        let _ = self.ensure_loaded();
        let high_watermark = self.high_watermark();
        self.first_unstable.load(Ordering::Acquire).min(high_watermark)
    }

    /// Moves the high watermark up to `offset` (never down, never past the end). True when it moved.
    pub fn advance_high_watermark(&self, offset: i64) -> bool {
        let offset = offset.min(self.log_end_offset());
        let moved = self.high_watermark.fetch_max(offset, Ordering::AcqRel) < offset;
        if moved && self.first_unstable.load(Ordering::Acquire) != STABLE {
            let mut writer = self.lock_any();
            self.publish_first_unstable(&mut writer);
        }
        moved
    }

    pub(super) fn publish_first_unstable(&self, writer: &mut Writer) {
        let first = writer.producers.first_unstable_offset(self.high_watermark());
        self.first_unstable.store(first.unwrap_or(STABLE), Ordering::Release);
    }

    /// (largest epoch ≤ `epoch`, its end offset), or `None` when there is no such epoch: OffsetForLeaderEpoch.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.ensure_loaded().ok()?;
        self.epochs.read().end_offset(epoch, self.log_end_offset())
    }

    /// Leader epoch of the last batch appended, -1 for an empty log.
    pub fn latest_epoch(&self) -> i32 {
        let _ = self.ensure_loaded();
        self.epochs.read().latest()
    }

    /// Leader epoch of the batch at `offset`, for ListOffsets' answers; -1 when unknown.
    pub fn epoch_at(&self, offset: i64) -> i32 {
        let _ = self.ensure_loaded();
        self.epochs.read().epoch_at(offset)
    }

    /// Bytes in all segments.
    pub fn size_bytes(&self) -> u64 {
        self.open_segments().map_or(0, |segments| segments.iter().map(|segment| segment.len()).sum())
    }

    /// What the checkpoints are to remember.
    pub(super) fn known_offsets(&self) -> KnownOffsets {
        KnownOffsets {
            recovery_point: Some(self.recovery_point.load(Ordering::Acquire)),
            log_start: self.log_start.load(Ordering::Acquire),
            high_watermark: self.high_watermark(),
            cleaned: self.cleaned.load(Ordering::Acquire),
        }
    }

    /// Forgets idempotent producers that have been silent for `producer.id.expiration.ms`.
    pub(super) fn expire_producers(&self, now_ms: i64) {
        if self.is_loaded() {
            self.lock_any().producers.expire(now_ms, self.log_dir.producer_id_expiration_ms);
        }
    }

    /// Closes files that nobody used since the last call.
    pub(super) fn release_idle_files(&self) -> Result<(), LogError> {
        if !self.is_loaded() {
            return Ok(());
        }
        self.segments.load().iter().try_for_each(|segment| segment.release_if_idle())
    }
}
