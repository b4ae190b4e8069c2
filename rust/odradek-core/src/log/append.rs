//! Appending: offsets are assigned, the header is patched in a small buffer of its own, and header and untouched payload
//! go to the segment in one vectored write.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::config::LogConfig;
use super::error::LogError;
use super::file_names::{LOG, TXN_INDEX};
use super::marker;
use super::partition_log::{PartitionLog, Writer};
use super::producer_state::{StagedBatch, StagedProducers};
use super::segment::Segment;
use super::types::{AppendInfo, AppendOrigin};
use super::validator::{self, CheckedBatch};
use crate::record::batch::{CRC_START, HEADER_BYTES, LOG_APPEND_TIME};

/// Batches with their place in the log, ready to be written.
struct Prepared {
    batches: Vec<CheckedBatch>,
    heads: Vec<[u8; HEADER_BYTES]>,
    producers: StagedProducers,
    /// Greatest timestamp of the first batch, and of all.
    first_timestamp: i64,
    max_timestamp: i64,
    total_bytes: u64,
    base_offset: i64,
    last_offset: i64,
}

impl PartitionLog {
    /// Validates and appends one or more whole batches; base offsets and leader epoch are assigned here.
    /// A partial batch after a whole one is trimmed. All or nothing. Does not move the high watermark.
    ///
    /// # Errors
    /// [`LogError`]: what is wrong with the batches, or with the disk; after an I/O error the directory is offline.
    pub fn append(&self, batches: &Bytes, leader_epoch: i32, origin: AppendOrigin) -> Result<AppendInfo, LogError> {
        self.log_dir.check_online()?;
        let config = self.config();
        let now_ms = self.log_dir.clock.now_ms();
        let checked = validator::check(batches, origin, &config, now_ms)?;
        let mut writer = self.lock_open()?;
        self.log_dir.check_online()?;
        if origin == AppendOrigin::Client
            && let Some(known) = self.find_duplicate(&writer, &checked, &config)
        {
            return Ok(known);
        }
        let prepared = self.prepare(&writer, checked, leader_epoch, origin, &config, now_ms)?;
        if prepared.total_bytes > config.segment_bytes {
            return Err(LogError::SegmentTooSmall { size: prepared.total_bytes as usize, max: config.segment_bytes });
        }
        let segment = self.segment_for(&mut writer, &prepared, &config, now_ms)?;
        self.write(&segment, &prepared)?;
        self.publish(&mut writer, &segment, prepared, &config, now_ms)
    }

    fn find_duplicate(&self, writer: &Writer, checked: &[CheckedBatch], config: &LogConfig) -> Option<AppendInfo> {
        let idempotent = checked.iter().filter(|batch| batch.header.producer_id >= 0);
        let known = idempotent.filter_map(|batch| writer.producers.find_duplicate(&batch.header)).next()?;
        Some(AppendInfo {
            base_offset: known.first_offset(),
            last_offset: known.last_offset,
            log_append_time_ms: if config.log_append_time { known.timestamp_ms } else { -1 },
            log_start_offset: self.log_start.load(Ordering::Acquire),
            duplicate: true,
        })
    }

    /// Assigns offsets and epoch (or checks a leader's), stamps, and stages the producers' new state.
    fn prepare(
        &self,
        writer: &Writer,
        mut batches: Vec<CheckedBatch>,
        leader_epoch: i32,
        origin: AppendOrigin,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Prepared, LogError> {
        let mut next_offset = self.log_end_offset();
        let mut heads = Vec::with_capacity(batches.len());
        let mut producers = StagedProducers::default();
        let mut total_bytes = 0;
        for batch in &mut batches {
            let stamped = config.log_append_time && origin != AppendOrigin::Replication;
            if origin == AppendOrigin::Replication {
                if batch.header.base_offset < next_offset {
                    let (found, end) = (batch.header.base_offset, next_offset);
                    return Err(LogError::Corrupt(format!("{}: replicated offset {found} is below {end}", self.tp)));
                }
            } else {
                batch.header.base_offset = next_offset;
                batch.header.partition_leader_epoch = leader_epoch;
            }
            heads.push(patch_head(batch, stamped.then_some(now_ms)));
            next_offset = batch
                .header
                .last_offset()
                .checked_add(1)
                .ok_or_else(|| LogError::Corrupt(format!("{}: offsets are used up", self.tp)))?;
            let live_ms = if origin == AppendOrigin::Client { now_ms } else { -1 };
            let staged = StagedBatch {
                base_offset: batch.header.base_offset,
                timestamp_ms: batch.header.max_timestamp.max(live_ms),
                marker: marker::find(&batch.header, &batch.bytes),
                origin,
            };
            writer.producers.stage(&mut producers, &batch.header, staged)?;
            total_bytes += batch.bytes.len() as u64;
        }
        let first = batches.first().map_or(0, |batch| batch.header.base_offset);
        Ok(Prepared {
            first_timestamp: batches.first().map_or(-1, |batch| batch.header.max_timestamp),
            max_timestamp: batches.iter().map(|batch| batch.header.max_timestamp).max().unwrap_or(-1),
            batches,
            heads,
            producers,
            total_bytes,
            base_offset: first,
            last_offset: next_offset - 1,
        })
    }

    /// The active segment, or a new one when a roll rule says so.
    fn segment_for(
        &self,
        writer: &mut Writer,
        prepared: &Prepared,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Arc<Segment>, LogError> {
        let active = self.active_segment()?;
        if self.should_roll(writer, &active, prepared, config, now_ms)? { self.roll(writer) } else { Ok(active) }
    }

    fn should_roll(
        &self,
        writer: &Writer,
        active: &Segment,
        prepared: &Prepared,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<bool, LogError> {
        if prepared.last_offset - active.base_offset() > i64::from(i32::MAX) {
            return Ok(true);
        }
        if active.is_empty() {
            return Ok(false);
        }
        let max_bytes = config.segment_bytes.min(i32::MAX as u64);
        if active.len() + prepared.total_bytes > max_bytes {
            return Ok(true);
        }
        let waited_ms = match writer.first_timestamp {
            Some(first) if first >= 0 && prepared.max_timestamp >= 0 => prepared.max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(writer.segment_created_ms),
        };
        if waited_ms > config.max_segment_ms().saturating_sub(self.roll_jitter_ms(active, config)) {
            return Ok(true);
        }
        let files = &active.files;
        let full = |entries: u64, entry_bytes: u64| (entries + 1) * entry_bytes > config.segment_index_bytes;
        let offsets =
            active.offsets.entries.count(files).map_err(|source| active.error("read the index of", source))?;
        let times = active.times.entries.count(files).map_err(|source| active.error("read the index of", source))?;
        // A segment's closing adds one time entry more.
        Ok(full(offsets, 8) || full(times + 1, 12))
    }

    /// A fixed share of `segment.jitter.ms` for each segment, so that partitions do not roll all at once.
    fn roll_jitter_ms(&self, segment: &Segment, config: &LogConfig) -> i64 {
        let bound = config.segment_jitter_ms.min(config.max_segment_ms());
        if bound <= 0 {
            return 0;
        }
        let name =
            self.tp.topic.bytes().fold(self.tp.partition.cast_unsigned(), |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        (i64::from(name) ^ segment.base_offset().wrapping_mul(0x9E37_79B9)).rem_euclid(bound)
    }

    fn write(&self, segment: &Segment, prepared: &Prepared) -> Result<(), LogError> {
        let file = segment.file_to_write()?;
        let mut slices = Vec::with_capacity(prepared.batches.len() * 2);
        for (head, batch) in prepared.heads.iter().zip(&prepared.batches) {
            slices.push(IoSlice::new(head));
            slices.push(IoSlice::new(&batch.bytes[HEADER_BYTES..]));
        }
        let result = file.write_all_vectored_at(&slices, segment.len());
        segment.files.changed("write", LOG, result)
    }

    /// The bytes are in the file: indexes, producers, epochs, and last of all the log end.
    fn publish(
        &self,
        writer: &mut Writer,
        segment: &Segment,
        prepared: Prepared,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<AppendInfo, LogError> {
        let mut position = segment.len();
        if position == 0 {
            writer.first_timestamp = Some(prepared.first_timestamp).filter(|timestamp| *timestamp >= 0);
            writer.segment_created_ms = now_ms;
        }
        let mut greatest = writer.tracker.greatest;
        for batch in &prepared.batches {
            segment.note_batch(&mut writer.tracker, position, &batch.header, config.index_interval_bytes)?;
            position += batch.bytes.len() as u64;
            let epoch = batch.header.partition_leader_epoch;
            if self.epochs.read().latest() != epoch {
                writer.epochs_dirty |= self.epochs.write().lead(epoch, batch.header.base_offset);
            }
        }
        if writer.tracker.greatest != greatest {
            greatest = writer.tracker.greatest;
            segment.set_greatest(greatest);
        }
        for aborted in writer.producers.apply(prepared.producers) {
            let result = segment.txns.append(&segment.files, aborted);
            segment.files.changed("write the transaction index of", TXN_INDEX, result)?;
        }
        self.publish_first_unstable(writer);
        segment.set_len(position);
        let end_offset = prepared.last_offset + 1;
        self.end_offset.store(end_offset, Ordering::Release);
        if end_offset - self.recovery_point.load(Ordering::Acquire) >= config.flush_messages {
            self.flush_locked(writer, end_offset)?;
        }
        Ok(AppendInfo {
            base_offset: prepared.base_offset,
            last_offset: prepared.last_offset,
            log_append_time_ms: if config.log_append_time { now_ms } else { -1 },
            log_start_offset: self.log_start.load(Ordering::Acquire),
            duplicate: false,
        })
    }
}

/// The header as it will be on disk; also brings `batch.header` in line with it.
fn patch_head(batch: &mut CheckedBatch, stamp_ms: Option<i64>) -> [u8; HEADER_BYTES] {
    let mut head = [0; HEADER_BYTES];
    head.copy_from_slice(&batch.bytes[..HEADER_BYTES]);
    if let Some(now_ms) = stamp_ms {
        batch.header.attributes |= LOG_APPEND_TIME;
        batch.header.max_timestamp = now_ms;
        head[21..23].copy_from_slice(&batch.header.attributes.to_be_bytes());
        head[35..43].copy_from_slice(&now_ms.to_be_bytes());
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        digest.update(&head[CRC_START..]);
        digest.update(&batch.bytes[HEADER_BYTES..]);
        batch.header.crc = digest.finalize() as u32;
        head[17..21].copy_from_slice(&batch.header.crc.to_be_bytes());
    }
    head[..8].copy_from_slice(&batch.header.base_offset.to_be_bytes());
    head[12..16].copy_from_slice(&batch.header.partition_leader_epoch.to_be_bytes());
    head
}
