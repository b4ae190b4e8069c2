//! A hosted partition: its log, its leadership and who waits on it.
//!
//! Not the log itself (`log::partition_log`) and not the requests (`net`). Read next: [`table`] (how requests find a
//! partition), [`waiters`] (how long polls sleep without polling).

pub mod table;
pub mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use bytes::Bytes;
use uuid::Uuid;

use self::waiters::Waiters;
use crate::log::error::LogError;
use crate::log::partition_log::PartitionLog;
use crate::log::types::{AppendInfo, AppendOrigin};

/// One partition that this broker leads.
///
/// Every change that a waiting request may be waiting for (an append, a high watermark that moved, new log start, the
/// end of leadership) goes through this type, which wakes the waiters after it.
pub struct Partition {
    /// The records.
    pub log: Arc<PartitionLog>,
    /// The topic's id.
    pub topic_id: Uuid,
    leader_epoch: AtomicI32,
    isr_count: AtomicU32,
    retired: AtomicBool,
    waiters: Waiters,
}

/// How a client's idea of the leader epoch compares with ours (KIP-320).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochCheck {
    /// Not given, or the same.
    Current,
    /// The client is behind: FENCED_LEADER_EPOCH.
    Fenced,
    /// The client knows more than we do: UNKNOWN_LEADER_EPOCH.
    Unknown,
}

impl Partition {
    /// Leads `log` at `leader_epoch` with `isr_count` in-sync replicas, this one among them.
    #[must_use]
    pub fn new(log: Arc<PartitionLog>, topic_id: Uuid, leader_epoch: i32, isr_count: u32) -> Self {
        let partition = Self {
            log,
            topic_id,
            leader_epoch: AtomicI32::new(leader_epoch),
            isr_count: AtomicU32::new(isr_count),
            retired: AtomicBool::new(false),
            waiters: Waiters::default(),
        };
        partition.follow_log_end();
        partition
    }

    /// Sets leadership anew: a later epoch, another count of in-sync replicas.
    pub fn lead(&self, leader_epoch: i32, isr_count: u32) {
        self.leader_epoch.store(leader_epoch, Ordering::Release);
        self.isr_count.store(isr_count, Ordering::Release);
        self.follow_log_end();
        self.waiters.wake();
    }

    /// Epoch at which this broker leads.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// Number of in-sync replicas, the leader among them.
    #[must_use]
    pub fn isr_count(&self) -> u32 {
        self.isr_count.load(Ordering::Acquire)
    }

    /// True once the partition is deleted or led elsewhere; requests that hold it answer 6 or 3.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Ends leadership here; whoever waits is woken and told.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.waiters.wake();
    }

    /// Compares the epoch a request carries (-1 = none) with ours.
    #[must_use]
    pub fn check_epoch(&self, requested: i32) -> EpochCheck {
        let current = self.leader_epoch();
        match requested {
            _ if requested < 0 || requested == current => EpochCheck::Current,
            _ if requested < current => EpochCheck::Fenced,
            _ => EpochCheck::Unknown,
        }
    }

    /// Appends whole batches and wakes the waiters. With one in-sync replica the high watermark follows at once.
    ///
    /// # Errors
    /// Those of [`PartitionLog::append`]; nothing is appended then.
    pub fn append(&self, batches: &Bytes, origin: AppendOrigin) -> Result<AppendInfo, LogError> {
        let info = self.log.append(batches, self.leader_epoch(), origin)?;
        self.follow_log_end();
        self.waiters.wake();
        Ok(info)
    }

    /// Moves the log start up to `offset` (-1 = high watermark); returns the new log start.
    ///
    /// # Errors
    /// Those of [`PartitionLog::delete_records_before`].
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, LogError> {
        let log_start_offset = self.log.delete_records_before(offset)?;
        self.waiters.wake();
        Ok(log_start_offset)
    }

    /// Who waits for this partition to change.
    #[must_use]
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn follow_log_end(&self) {
        if self.isr_count() <= 1 {
            self.log.advance_high_watermark(self.log.log_end_offset());
        }
    }
}
