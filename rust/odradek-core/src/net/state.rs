//! What all connections share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::config::NetConfig;
use super::control::ControlQueue;
use super::events::{Doorbell, Events};
use super::metrics::Counters;
use super::snapshot::Snapshot;
use crate::clock::Clock;
use crate::partition::table::PartitionTable;

/// The broker as its connections see it. Thread-safe; one per engine.
pub struct NetState {
    /// Settings.
    pub config: NetConfig,
    /// The cluster id, for Metadata.
    pub cluster_id: String,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// What is hosted here.
    pub partitions: PartitionTable,
    /// What Metadata and ApiVersions tell.
    pub snapshot: Snapshot,
    /// Requests for Python.
    pub control: ControlQueue,
    /// Readable while Python has something to take.
    pub doorbell: Doorbell,
    /// What Python should know besides.
    pub events: Events,
    /// Each I/O thread's counters.
    pub counters: Vec<Counters>,
    next_id: AtomicU64,
    log_dir_offline: AtomicBool,
}

impl NetState {
    /// An empty broker.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new(config: NetConfig, cluster_id: String, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self {
            control: ControlQueue::new(config.control_queue_requests),
            counters: (0..config.threads).map(|_| Counters::default()).collect(),
            config,
            cluster_id,
            clock,
            partitions: PartitionTable::default(),
            snapshot: Snapshot::default(),
            doorbell: Doorbell::new()?,
            events: Events::default(),
            next_id: AtomicU64::new(1),
            log_dir_offline: AtomicBool::new(false),
        })
    }

    /// An id for a connection or a waiting request; never reused.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells Python, once, that the log directory failed.
    pub fn report_log_dir_offline(&self, reason: String) {
        if !self.log_dir_offline.swap(true, Ordering::SeqCst) {
            self.events.push("log_dir_offline", reason);
            self.doorbell.ring();
        }
    }
}
