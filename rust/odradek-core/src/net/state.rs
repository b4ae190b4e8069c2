//! What all connections share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::admission::Admission;
use super::cold_reads::ColdReads;
use super::config::NetConfig;
use super::control::ControlQueue;
use super::events::{Events, GATHERED};
use super::faults::FaultTable;
use super::handlers::fetch_session::SessionCache;
use super::memory::RequestMemory;
use super::metrics::Counters;
use super::pulse::Pulse;
use super::rounds::Rounds;
use super::snapshot::Snapshot;
use crate::clock::Clock;
use crate::doorbell::Doorbell;
use crate::log::error::LogError;
use crate::partition::table::PartitionTable;
use crate::wire::error_code::ErrorCode;

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
    /// The settled groups, whose heartbeats have nothing to tell.
    pub pulse: Pulse,
    /// The groups whose rebalances Python decides on with many requests at once.
    pub rounds: Rounds,
    /// Requests for Python.
    pub control: ControlQueue,
    /// The bound on requests in memory.
    pub memory: Arc<RequestMemory>,
    /// The bound on connections.
    pub admission: Arc<Admission>,
    /// Who waits for the disk.
    pub cold_reads: ColdReads,
    /// Fetch sessions.
    pub sessions: SessionCache,
    /// Readable while Python has something to take.
    pub doorbell: Doorbell,
    /// What Python should know besides.
    pub events: Events,
    /// What tests ask to go wrong.
    pub faults: Arc<FaultTable>,
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
            memory: Arc::new(RequestMemory::new(config.request_memory_bytes, config.max_request_bytes)),
            admission: Arc::new(Admission::new(config.max_connections, config.max_connections_per_ip)),
            cold_reads: ColdReads::default(),
            sessions: SessionCache::new(config.fetch_session_slots),
            counters: (0..config.threads).map(|_| Counters::default()).collect(),
            config,
            cluster_id,
            clock,
            partitions: PartitionTable::default(),
            snapshot: Snapshot::default(),
            pulse: Pulse::default(),
            rounds: Rounds::default(),
            doorbell: Doorbell::new()?,
            events: Events::default(),
            faults: Arc::default(),
            next_id: AtomicU64::new(1),
            log_dir_offline: AtomicBool::new(false),
        })
    }

    /// An id for a connection or a waiting request; never reused.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The code to answer a failure of the log with; one that took the directory offline is reported to Python.
    #[allow(clippy::must_use_candidate)]
    pub fn error_code(&self, error: &LogError) -> ErrorCode {
        if matches!(error, LogError::LogDirOffline(_) | LogError::Io { .. }) {
            self.report_log_dir_offline(error.to_string());
        }
        ErrorCode::from(error)
    }

    /// Tells Python that a group has what it waits for (`rounds`).
    pub fn ring_gathered(&self, group: &str) {
        self.events.push(GATHERED, group.to_owned());
        self.doorbell.ring();
    }

    /// Tells Python, once, that the log directory failed.
    fn report_log_dir_offline(&self, reason: String) {
        if !self.log_dir_offline.swap(true, Ordering::SeqCst) {
            self.events.push("log_dir_offline", reason);
            self.doorbell.ring();
        }
    }
}
