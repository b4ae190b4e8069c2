//! The facade that the Python bindings hold: log directory, partitions and server as one thing.
//!
//! Each operation is one of `_native.pyi`'s `Engine`, in Rust's types. No rule lives here: it joins `log`, `partition`
//! and `net`.

pub mod error;
pub mod settings;
pub mod topic_config;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::net as sys;
use uuid::Uuid;

use self::error::EngineError;
use self::settings::SettingsMap;
use crate::clock::{Clock, SystemClock};
use crate::fs::{DiskFileSystem, FileSystem};
use crate::log::config::LogConfig;
use crate::log::error::LogError;
use crate::log::manager::LogManager;
use crate::log::types::{AppendOrigin, ReadBound, TopicPartition};
pub use crate::net::commits::{CommittedOffset, CommittedOffsets};
pub use crate::net::control::ControlRequest;
use crate::net::faults::FaultTable;
use crate::net::metrics;
pub use crate::net::rounds::{Awaited, Gathered, Kept, KnownMember};
use crate::net::server::Server;
pub use crate::net::snapshot::{BrokerInfo, ClusterInfo, PartitionInfo, TopicInfo};
use crate::net::state::NetState;
use crate::partition::Partition;

enum Listening {
    No,
    Bound(OwnedFd),
    /// The server has the socket too; this one is for [`Engine::listener`].
    Running {
        server: Server,
        socket: OwnedFd,
    },
    Stopped,
}

/// The broker's Rust side. Thread-safe.
///
/// Life: [`Engine::open`] -> `host_partitions`, `publish_*` -> `bind` -> `start` -> `stop` -> `close`.
pub struct Engine {
    logs: Arc<LogManager>,
    state: Arc<NetState>,
    listening: Mutex<Listening>,
}

impl Engine {
    /// Opens the data directory on the real disk with the system's clock.
    ///
    /// # Errors
    /// A bad or missing setting; a directory that is locked, unreadable or another broker's.
    pub fn open(settings: &SettingsMap) -> Result<Self, EngineError> {
        Self::open_with(settings, Arc::new(DiskFileSystem), Arc::new(SystemClock))
    }

    /// As [`Self::open`], on any file system and clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        settings: &SettingsMap,
        fs: Arc<dyn FileSystem>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let net = settings::net_config(settings)?;
        let logs = LogManager::open(settings::log_manager_config(settings)?, fs, Arc::clone(&clock))?;
        let state = NetState::new(net, logs.cluster_id(), clock)
            .map_err(|source| EngineError::Io { action: "open an eventfd".to_owned(), source })?;
        Ok(Self { logs, state: Arc::new(state), listening: Mutex::new(Listening::No) })
    }

    /// From `meta.properties`; made on the first start.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.state.cluster_id
    }

    /// Every partition folder: topic, partition, topic id if known.
    #[must_use]
    pub fn partitions_on_disk(&self) -> Vec<(TopicPartition, Option<Uuid>)> {
        self.logs.partitions_on_disk()
    }

    /// Opens or makes the logs of a topic and leads them: (partition, leader epoch, in-sync replica count).
    ///
    /// # Errors
    /// A bad topic setting, or a log that can't be opened; partitions before it are hosted.
    pub fn host_partitions(
        &self,
        topic: &str,
        topic_id: Uuid,
        config: &SettingsMap,
        partitions: &[(i32, i32, u32)],
    ) -> Result<(), EngineError> {
        let config = Arc::new(topic_config::log_config(config)?);
        let name: Arc<str> = Arc::from(topic);
        let mut hosted = Vec::with_capacity(partitions.len());
        let mut failure = None;
        for &(index, leader_epoch, isr_count) in partitions {
            match self.host_partition(&name, topic_id, &config, index, leader_epoch, isr_count) {
                Ok(Some(partition)) => hosted.push((index, partition)),
                Ok(None) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        self.state.partitions.insert(topic, topic_id, hosted);
        failure.map_or(Ok(()), |error| Err(self.note(error).into()))
    }

    /// `None` when the partition is hosted already and only its leadership changes.
    fn host_partition(
        &self,
        topic: &Arc<str>,
        topic_id: Uuid,
        config: &Arc<LogConfig>,
        index: i32,
        leader_epoch: i32,
        isr_count: u32,
    ) -> Result<Option<Arc<Partition>>, LogError> {
        let known = self.state.partitions.partition(topic, index).filter(|known| known.topic_id == topic_id);
        if let Some(partition) = known {
            self.logs.configure(partition.log.topic_partition(), Arc::clone(config));
            partition.lead(leader_epoch, isr_count);
            return Ok(None);
        }
        let tp = TopicPartition { topic: Arc::clone(topic), partition: index };
        let log = self.logs.host(&tp, topic_id, Arc::clone(config))?;
        Ok(Some(Arc::new(Partition::new(log, topic_id, leader_epoch, isr_count))))
    }

    /// Replaces the effective settings of a topic's hosted partitions.
    ///
    /// # Errors
    /// A bad setting; nothing is changed then.
    pub fn configure_topic(&self, topic: &str, config: &SettingsMap) -> Result<(), EngineError> {
        let config = Arc::new(topic_config::log_config(config)?);
        if let Some(hosted) = self.state.partitions.topic(topic) {
            for (_, partition) in hosted.partitions() {
                self.logs.configure(partition.log.topic_partition(), Arc::clone(&config));
            }
        }
        Ok(())
    }

    /// Stops serving partitions and deletes them; waiting requests are answered. Unknown ones are skipped.
    ///
    /// # Errors
    /// When a folder can't be renamed; the others are deleted all the same.
    pub fn delete_partitions(&self, topic: &str, partitions: &[i32]) -> Result<(), EngineError> {
        let mut failure = None;
        for partition in self.state.partitions.remove(topic, partitions) {
            partition.retire();
            if let Err(error) = self.logs.delete(partition.log.topic_partition()) {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), |error| Err(self.note(error).into()))
    }

    /// Sets what Metadata says of the cluster.
    pub fn publish_brokers(&self, brokers: Vec<BrokerInfo>, controller_id: i32) {
        self.state.snapshot.publish_cluster(ClusterInfo { brokers, controller_id });
    }

    /// Adds or replaces topics in the metadata snapshot.
    pub fn publish_topics(&self, topics: Vec<TopicInfo>) {
        self.state.snapshot.publish_topics(topics);
    }

    /// Takes topics out of the metadata snapshot.
    pub fn withdraw_topics(&self, names: &[String]) {
        self.state.snapshot.withdraw_topics(names);
    }

    /// Sets (api key, lowest, highest version) of what Python serves.
    pub fn publish_apis(&self, apis: &[(i16, i16, i16)]) {
        self.state.snapshot.publish_apis(apis);
    }

    /// Has heartbeats and commits of this settled generation answered without Python; members are (member id, instance
    /// id), `partition` the one of `__consumer_offsets` that the group belongs to.
    pub fn settle_group(&self, group: String, generation: i32, members: Vec<(String, Option<String>)>, partition: i32) {
        self.state.pulse.publish(group, generation, members, partition);
    }

    /// Ends that; returns what [`Self::silences`] would have.
    #[must_use]
    pub fn unsettle_group(&self, group: &str) -> BTreeMap<String, u64> {
        self.state.pulse.withdraw(group)
    }

    /// By member id, how many milliseconds ago a heartbeat of a settled group was last answered without Python.
    #[must_use]
    pub fn silences(&self, group: &str) -> BTreeMap<String, u64> {
        self.state.pulse.silences(group)
    }

    /// Hands over the offsets that a settled group has committed since the last time; with `hold`, its commits are
    /// Python's until [`Self::release_commits`].
    #[must_use]
    pub fn take_commits(&self, group: &str, hold: bool) -> CommittedOffsets {
        self.state.pulse.take_commits(group, hold)
    }

    /// Has a settled group's commits answered without Python again.
    pub fn release_commits(&self, group: &str) {
        self.state.pulse.release_commits(group);
    }

    /// Sets a group's protocol type and members; see [`crate::net::rounds`].
    pub fn know_members(&self, group: &str, protocol_type: String, members: Vec<KnownMember>) {
        if self.state.rounds.know(group.to_owned(), protocol_type, members) {
            self.state.ring_gathered(group);
        }
    }

    /// Sets what Python waits for in a group's present state; until then nothing of a new group is kept.
    pub fn gather(&self, group: &str, awaited: Awaited) {
        if self.state.rounds.gather(group, awaited) {
            self.state.ring_gathered(group);
        }
    }

    /// Hands over the JoinGroups and SyncGroups kept of a group.
    #[must_use]
    pub fn take_gathered(&self, group: &str) -> Gathered {
        self.state.rounds.take(group)
    }

    /// Hands them over and has later ones come to Python one by one.
    #[must_use]
    pub fn forget_members(&self, group: &str) -> Gathered {
        self.state.rounds.forget(group)
    }

    /// Takes the port (0 = a free one) without accepting yet; returns it.
    ///
    /// # Errors
    /// In use, not permitted, no such address; or bound already.
    pub fn bind(&self, host: &str, port: u16) -> Result<u16, EngineError> {
        let mut listening = self.listening.lock();
        if !matches!(*listening, Listening::No) {
            return Err(EngineError::State("the engine is bound already"));
        }
        let failed = |source| EngineError::Io { action: format!("bind {host}:{port}"), source };
        let mut last_error = std::io::ErrorKind::NotFound.into();
        let mut addresses: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
        // A name like localhost means 127.0.0.1 to most clients, whatever the resolver puts first.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        for address in addresses {
            match bind_socket(address) {
                Ok((socket, port)) => {
                    *listening = Listening::Bound(socket);
                    return Ok(port);
                }
                Err(error) => last_error = error,
            }
        }
        Err(failed(last_error))
    }

    /// The socket of this engine once more: whoever holds it keeps the port, and clients that connect wait in its queue
    /// until an engine that has adopted it is started.
    ///
    /// # Errors
    /// Not bound, stopped, or the process is out of descriptors.
    pub fn listener(&self) -> Result<OwnedFd, EngineError> {
        let listening = self.listening.lock();
        let socket = match &*listening {
            Listening::Bound(socket) | Listening::Running { socket, .. } => socket,
            Listening::No | Listening::Stopped => return Err(EngineError::State("the engine has no socket")),
        };
        let failed = |source| EngineError::Io { action: "duplicate the listening socket".to_owned(), source };
        socket.try_clone().map_err(failed)
    }

    /// Takes the socket of another engine in place of [`Self::bind`]; returns its port.
    ///
    /// # Errors
    /// Bound already, or not an internet socket.
    pub fn adopt(&self, socket: OwnedFd) -> Result<u16, EngineError> {
        let mut listening = self.listening.lock();
        if !matches!(*listening, Listening::No) {
            return Err(EngineError::State("the engine is bound already"));
        }
        let failed = |source: std::io::Error| EngineError::Io { action: "adopt a socket".to_owned(), source };
        let bound = sys::getsockname(&socket).and_then(SocketAddr::try_from).map_err(|error| failed(error.into()))?;
        *listening = Listening::Bound(socket);
        Ok(bound.port())
    }

    /// Accepts connections.
    ///
    /// # Errors
    /// Not bound, or a thread can't be had.
    pub fn start(&self) -> Result<(), EngineError> {
        let mut listening = self.listening.lock();
        match std::mem::replace(&mut *listening, Listening::Stopped) {
            Listening::Bound(socket) => {
                let failed = |source| EngineError::Io { action: "listen".to_owned(), source };
                sys::listen(&socket, self.state.config.listen_backlog).map_err(|error| failed(error.into()))?;
                let accepting = TcpListener::from(socket.try_clone().map_err(failed)?);
                let server = Server::start(accepting, Arc::clone(&self.state))?;
                *listening = Listening::Running { server, socket };
                Ok(())
            }
            other => {
                *listening = other;
                Err(EngineError::State("the engine is not bound, or was started before"))
            }
        }
    }

    /// An eventfd, readable while [`Self::take_requests`] or [`Self::take_events`] has something; the engine owns it.
    #[must_use]
    pub fn control_fd(&self) -> RawFd {
        self.state.doorbell.raw_fd()
    }

    /// The same descriptor, borrowed.
    #[must_use]
    pub fn control_doorbell(&self) -> BorrowedFd<'_> {
        self.state.doorbell.as_fd()
    }

    /// Takes up to `limit` waiting requests, oldest first.
    #[must_use]
    pub fn take_requests(&self, limit: usize) -> Vec<ControlRequest> {
        let requests = self.state.control.take(limit, &self.state.doorbell);
        // An event that came after the last look at them must not have been silenced with the requests' ring.
        if !self.state.events.is_empty() {
            self.state.doorbell.ring();
        }
        requests
    }

    /// Answers a request with the response after its header.
    pub fn respond(&self, token: u64, body: Bytes) {
        self.state.control.respond(token, body);
    }

    /// Answers many requests: (token, response after its header).
    pub fn respond_all(&self, answers: impl IntoIterator<Item = (u64, Bytes)>) {
        self.state.control.respond_all(answers);
    }

    /// Answers a Metadata request from the snapshot after all.
    pub fn reroute(&self, token: u64) {
        self.state.control.reroute(token);
    }

    /// Closes the connection that the request came on.
    pub fn disconnect(&self, token: u64) {
        self.state.control.disconnect(token);
    }

    /// Appends as a coordinator of this broker; returns (base offset, last offset).
    ///
    /// # Errors
    /// Not hosted here, or the log's.
    pub fn append(&self, topic: &str, partition: i32, batches: Bytes) -> Result<(i64, i64), EngineError> {
        let partition = self.hosted(topic, partition)?;
        let info = partition.append(&batches, AppendOrigin::Coordinator).map_err(|error| self.note(error))?;
        Ok((info.base_offset, info.last_offset))
    }

    /// Whole batches from `offset` on, up to the log end; empty at the end.
    ///
    /// # Errors
    /// Not hosted here, offset out of range, or a read that failed.
    pub fn read(&self, topic: &str, partition: i32, offset: i64, max_bytes: usize) -> Result<Vec<u8>, EngineError> {
        let partition = self.hosted(topic, partition)?;
        let result =
            partition.log.read(offset, max_bytes, true, ReadBound::LogEnd).map_err(|error| self.note(error))?;
        let Some(slice) = result.slice else { return Ok(Vec::new()) };
        let mut bytes = vec![0; slice.len];
        let mut done = 0;
        while done < bytes.len() {
            let read = slice.file.read_at(&mut bytes[done..], slice.position + done as u64).map_err(|source| {
                EngineError::Log(LogError::Io { action: "read", path: format!("{topic} log"), source })
            })?;
            if read == 0 {
                return Err(LogError::Corrupt(format!("{topic}: segment ends inside a batch")).into());
            }
            done += read;
        }
        Ok(bytes)
    }

    /// (log start offset, high watermark, log end offset).
    ///
    /// # Errors
    /// Not hosted here.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<(i64, i64, i64), EngineError> {
        let log = &self.hosted(topic, partition)?.log;
        Ok((log.log_start_offset(), log.high_watermark(), log.log_end_offset()))
    }

    /// (topic, partition, bytes) of every hosted partition.
    #[must_use]
    pub fn log_sizes(&self) -> Vec<(Arc<str>, i32, u64)> {
        let mut sizes = Vec::new();
        for topic in self.state.partitions.all() {
            for (index, partition) in topic.partitions() {
                sizes.push((Arc::clone(&topic.name), index, partition.log.size_bytes()));
            }
        }
        sizes
    }

    /// (kind, text) of what happened since the last call; kinds: `log_dir_offline`, `gathered`, `log_warning`. The latter, what
    /// background work could not do, rings no doorbell.
    #[must_use]
    pub fn take_events(&self) -> Vec<(String, String)> {
        let mut events = self.state.events.take();
        events.extend(self.logs.take_warnings().into_iter().map(|text| ("log_warning".to_owned(), text)));
        events
    }

    /// Counters and gauges by name.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<&'static str, u64> {
        let mut all = metrics::sum(&self.state.counters);
        let (waiting, pending) = self.state.control.depth();
        all.insert("control_queue_depth", waiting as u64);
        all.insert("control_pending", pending as u64);
        let gone = all.get("connections_closed").copied().unwrap_or(0);
        let accepted = all.get("connections_accepted").copied().unwrap_or(0);
        all.insert("connections", accepted.saturating_sub(gone));
        all
    }

    /// What tests ask to go wrong; outlives the engine without harm.
    #[must_use]
    pub fn faults(&self) -> Arc<FaultTable> {
        Arc::clone(&self.state.faults)
    }

    /// Stops accepting, lets requests under way finish for up to `grace`, closes every connection. Blocks.
    pub fn stop(&self, grace: Duration) {
        let before = std::mem::replace(&mut *self.listening.lock(), Listening::Stopped);
        if let Listening::Running { server, socket } = before {
            drop(socket);
            server.stop(grace);
            self.state.cold_reads.close();
        }
    }

    /// Flushes, writes checkpoints and the clean-shutdown marker, releases the lock. Idempotent. Blocks.
    ///
    /// # Errors
    /// When something could not be written; the lock is released all the same.
    pub fn close(&self) -> Result<(), EngineError> {
        self.stop(Duration::ZERO);
        Ok(self.logs.close()?)
    }

    fn hosted(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, EngineError> {
        self.state
            .partitions
            .partition(topic, partition)
            .ok_or_else(|| EngineError::NotHosted { topic: topic.to_owned(), partition })
    }

    /// Passes an error on; one that took the directory offline is reported first.
    fn note(&self, error: LogError) -> LogError {
        self.state.error_code(&error);
        error
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// A bound TCP socket that does not listen yet, and its port.
fn bind_socket(address: SocketAddr) -> std::io::Result<(OwnedFd, u16)> {
    let family = if address.is_ipv4() { sys::AddressFamily::INET } else { sys::AddressFamily::INET6 };
    let flags = sys::SocketFlags::CLOEXEC | sys::SocketFlags::NONBLOCK;
    let socket = sys::socket_with(family, sys::SocketType::STREAM, flags, None)?;
    sys::sockopt::set_socket_reuseaddr(&socket, true)?;
    sys::bind(&socket, &address)?;
    let bound = SocketAddr::try_from(sys::getsockname(&socket)?)?;
    Ok((socket, bound.port()))
}
