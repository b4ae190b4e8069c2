//! `Cluster`: sends requests to the brokers of one cluster, over connections that come and go as needed.
//!
//! One connection an address and channel. Asynchronous methods run on the cluster's I/O thread (in tasks given to
//! [`Cluster::spawn`]); the others may be called from any thread and never block.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer_pool::AnswerPool;
use super::connection::{Connection, Phase, Submission, timed_out};
use super::error::ClientError;
use super::handshake;
use super::metadata::{BrokerView, MetadataView};
use super::refresh::{Refresher, jitter};
use super::runtime::IoThread;
use super::settings::ClientSettings;
use super::versions::{Versions, api_name};
use crate::wire::responses::{GuardedResponse, decode};

/// Failures after which a back-off no longer grows; keeps the shift small.
const MAX_DOUBLINGS: u32 = 10;

/// To whom a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// Any broker; one that is connected already, where there is one.
    Any,
    /// The controller, or the broker that passes requests on to it.
    Controller,
    /// A broker by its node id.
    Id(i32),
}

/// Which of the connections to a broker: a long JoinGroup or Fetch never stands before other requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Produce and Fetch.
    Data,
    /// A Fetch that is answered at once, past one on `Data` that the broker may hold.
    Prompt,
    /// Metadata and everything administrative.
    Control,
    /// A group's coordinator.
    Coordinator,
}

type Address = (String, u16);

/// Attempts to reach any broker, each after fresh metadata, before an address advertised is believed to be wrong.
const VAIN_ATTEMPTS: u32 = 4;

/// How connecting to an address went lately.
struct Health {
    failures: u32,
    retry_at: Instant,
    last_error: ClientError,
}

/// What the tasks share. They don't hold the [`Cluster`], so dropping that ends them.
pub(super) struct Shared {
    pub(super) settings: ClientSettings,
    pub(super) refresher: Refresher,
    connections: Mutex<HashMap<(Address, Channel), Arc<Connection>>>,
    health: Mutex<HashMap<Address, Health>>,
    answers: Arc<AnswerPool>,
}

/// A cluster as a client sees it. Dropping it stops its thread.
pub struct Cluster {
    shared: Arc<Shared>,
    thread: IoThread,
}

impl Cluster {
    /// Starts the I/O thread. Nothing is connected before the first request.
    ///
    /// # Errors
    /// [`ClientError::System`].
    pub fn open(settings: ClientSettings) -> Result<Arc<Self>, ClientError> {
        let shared = Arc::new(Shared {
            settings,
            refresher: Refresher::new(),
            connections: Mutex::default(),
            health: Mutex::default(),
            answers: Arc::default(),
        });
        let looked_at = Arc::clone(&shared);
        let thread = IoThread::start(move || looked_at.busy())?;
        let refreshing = Arc::clone(&shared);
        let _ = thread.spawn(async move { refreshing.keep_fresh().await });
        Ok(Arc::new(Self { shared, thread }))
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.shared.settings
    }

    /// Where the buffers of large answers are kept to be used again.
    pub(super) fn answers(&self) -> &AnswerPool {
        &self.shared.answers
    }

    /// Runs a task on the I/O thread. After [`Cluster::close`] it is dropped unrun.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let _ = self.thread.spawn(task);
    }

    /// As [`Cluster::spawn`], for a task that may be given up.
    pub(super) fn spawn_abortable(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        self.thread.spawn(task)
    }

    /// Refuses use after a fork.
    ///
    /// # Errors
    /// [`ClientError::Forked`] in a child of the process that opened the cluster.
    pub fn check_fork(&self) -> Result<(), ClientError> {
        if self.thread.forked() { Err(ClientError::Forked) } else { Ok(()) }
    }

    /// True once [`Cluster::close`] has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.thread.stopped()
    }

    /// The latest picture; its version is 0 before the first refresh.
    #[must_use]
    pub fn metadata(&self) -> Arc<MetadataView> {
        self.shared.refresher.view()
    }

    /// Changes with each new picture; the value is its version.
    #[must_use]
    pub fn metadata_changed(&self) -> watch::Receiver<u64> {
        self.shared.refresher.changed()
    }

    /// Adds a topic to those that every refresh asks for; a new one asks for a refresh at once.
    pub fn watch_topic(&self, topic: &str) {
        self.shared.refresher.watch_topic(topic);
    }

    /// Takes a topic out of those that every refresh asks for, once it was called as often as [`Cluster::watch_topic`].
    pub fn unwatch_topic(&self, topic: &str) {
        self.shared.refresher.unwatch_topic(topic);
    }

    /// Whether every refresh asks for all topics there are.
    pub fn watch_all_topics(&self, yes: bool) {
        self.shared.refresher.watch_all(yes);
    }

    /// Asks for a refresh soon; many calls make one refresh, at least `retry.backoff.ms` after the one before.
    pub fn request_refresh(&self) {
        self.shared.refresher.request(false);
    }

    /// Servers that have been asked, and have not answered yet; see [`Shared::silent`].
    #[must_use]
    pub fn silent(&self) -> Vec<String> {
        self.shared.silent()
    }

    /// Makes a broker known that an answer named before the metadata did (a coordinator).
    pub fn learn_broker(&self, id: i32, host: &str, port: u16) {
        self.shared.refresher.learn_broker(id, BrokerView { host: host.to_owned(), port, rack: None });
    }

    /// One refresh that begins after this call.
    ///
    /// # Errors
    /// [`ClientError::NoBrokers`] with each server's reason: at once when all of them are something other than a Kafka
    /// broker, else at the deadline.
    pub async fn refreshed(&self, deadline: Instant) -> Result<Arc<MetadataView>, ClientError> {
        self.shared.refreshed(deadline).await
    }

    /// What a broker serves; connects if need be.
    ///
    /// For any broker, and for the controller, other brokers and later attempts are tried until the deadline.
    ///
    /// # Errors
    /// Of a broker by id: why there is no connection, at once. Else [`ClientError::NoBrokers`] at the deadline, or as soon
    /// as it is plain that waiting is of no use (see [`Cluster::refreshed`]).
    pub async fn versions(
        &self,
        node: Node,
        channel: Channel,
        deadline: Instant,
    ) -> Result<Arc<Versions>, ClientError> {
        let mut vain = 0;
        loop {
            let error = match self.shared.open(node, channel, deadline).await {
                Ok((_, versions)) => return Ok(versions),
                Err(error @ ClientError::Unreachable { .. }) if !matches!(node, Node::Id(_)) => error,
                Err(error) => return Err(error),
            };
            // While a server answers that names only addresses which can't be reached, waiting is of no use.
            vain += 1;
            let no_use = vain == VAIN_ATTEMPTS && node == Node::Any;
            if no_use || Instant::now() >= deadline || self.refreshed(deadline).await.is_err() {
                return Err(ClientError::NoBrokers { detail: error.to_string() });
            }
        }
    }

    /// Sends a request in the highest version that both sides have within `range`; returns the answer and its version.
    ///
    /// Error codes inside the answer are the caller's to read. Nothing is sent twice.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`]: not sent. [`ClientError::Disconnected`], [`ClientError::TimedOut`]: perhaps carried
    /// out. [`ClientError::Unsupported`], [`ClientError::Protocol`].
    pub async fn call<R>(
        &self,
        node: Node,
        channel: Channel,
        range: RangeInclusive<i16>,
        timeout: Duration,
        build: impl FnOnce(i16) -> R,
    ) -> Result<(R::Response, i16), ClientError>
    where
        R: Request,
        R::Response: GuardedResponse,
    {
        self.shared.call(node, channel, range, Instant::now() + timeout, build).await
    }

    /// Sends a body that is encoded already. The parts are written one after the other without being copied.
    ///
    /// Requests go out in the order of the first polls of these futures. Dropping the future drops the answer only.
    ///
    /// # Errors
    /// As [`Cluster::call`].
    #[allow(clippy::too_many_arguments)]
    pub async fn call_raw(
        &self,
        node: Node,
        channel: Channel,
        api_key: i16,
        api_version: i16,
        body: Vec<Bytes>,
        timeout: Duration,
        answer: bool,
    ) -> Result<Bytes, ClientError> {
        let deadline = Instant::now() + timeout;
        let connection = self.shared.connection(node, channel, deadline).await?;
        send(&connection, Submission { api_key, api_version, body, answer, deadline }).await
    }

    /// The connection to a broker and what it serves, if it stands now. From any thread; waits for nothing.
    pub(super) fn standing(&self, id: i32, channel: Channel) -> Option<(Arc<Connection>, Arc<Versions>)> {
        let address = self.shared.address(&self.metadata(), Node::Id(id), channel)?;
        let connection = self.shared.connections.lock().get(&(address, channel)).cloned()?;
        match connection.phase() {
            Phase::Ready(versions) => Some((connection, versions)),
            Phase::Connecting | Phase::Ended(_) => None,
        }
    }

    /// Runs work that takes the processor for long on a thread of its own. After [`Cluster::close`] it is dropped unrun.
    pub(super) fn spawn_work(&self, work: impl FnOnce() + Send + 'static) {
        self.thread.spawn_work(work);
    }

    /// Stops the thread: what is under way may end within `grace`, the rest is dropped. Idempotent.
    pub fn close(&self, grace: Duration) {
        self.thread.stop(grace);
    }
}

/// Submits and waits.
async fn send(connection: &Connection, request: Submission) -> Result<Bytes, ClientError> {
    let (api_key, deadline, begun) = (request.api_key, request.deadline, Instant::now());
    match timeout_at(deadline, connection.submit(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ClientError::Closed),
        Err(_) => Err(timed_out(&api_name(api_key), connection.peer(), deadline - begun)),
    }
}

impl Shared {
    /// `HOST:PORT` of each server that is being connected to, or has requests to answer on the channel where none is meant
    /// to wait: who is to blame when time runs out.
    pub(super) fn silent(&self) -> Vec<String> {
        let connections = self.connections.lock();
        let asked = connections.iter().filter(|((_, channel), connection)| match connection.phase() {
            Phase::Connecting => true,
            Phase::Ready(_) => *channel == Channel::Control && connection.busy(),
            Phase::Ended(_) => false,
        });
        let peers: BTreeSet<String> = asked.map(|(_, connection)| connection.peer().to_owned()).collect();
        peers.into_iter().collect()
    }

    fn busy(&self) -> bool {
        self.connections.lock().values().any(|connection| connection.busy())
    }

    pub(super) async fn call<R>(
        self: &Arc<Self>,
        node: Node,
        channel: Channel,
        range: RangeInclusive<i16>,
        deadline: Instant,
        build: impl FnOnce(i16) -> R,
    ) -> Result<(R::Response, i16), ClientError>
    where
        R: Request,
        R::Response: GuardedResponse,
    {
        let (connection, versions) = self.open(node, channel, deadline).await?;
        let version = versions.highest(R::KEY, range)?;
        call_on(&connection, version, deadline, &build(version)).await.map(|answer| (answer, version))
    }

    /// The connection of a node, connected.
    async fn open(
        self: &Arc<Self>,
        node: Node,
        channel: Channel,
        deadline: Instant,
    ) -> Result<(Arc<Connection>, Arc<Versions>), ClientError> {
        let begun = Instant::now();
        let connection = self.connection(node, channel, deadline).await?;
        match timeout_at(deadline, connection.ready()).await {
            Ok(Ok(versions)) => Ok((connection, versions)),
            Ok(Err(error)) => Err(self.explained(node, error)),
            Err(_) => Err(match self.last_failure(connection.peer()) {
                Some(error) => self.explained(node, error),
                None => timed_out("a connection", connection.peer(), deadline - begun),
            }),
        }
    }

    /// Why an address could not be reached the last time: what a caller is told whose time runs out before the next attempt.
    fn last_failure(&self, peer: &str) -> Option<ClientError> {
        let health = self.health.lock();
        let mut failed = health.iter().filter(|((host, port), _)| peer_name(host, *port) == peer);
        failed.next().map(|(_, health)| health.last_error.clone())
    }

    /// Adds to a failure to connect that the address is one that a broker advertises, where the user never named it.
    fn explained(&self, node: Node, error: ClientError) -> ClientError {
        let ClientError::Unreachable { peer, detail } = error else { return error };
        let view = self.refresher.view();
        let id = match node {
            Node::Id(id) => Some(id),
            _ => {
                view.brokers.iter().find(|(_, broker)| peer_name(&broker.host, broker.port) == peer).map(|(&id, _)| id)
            }
        };
        let ours = self.settings.bootstrap.iter().any(|(host, port)| peer_name(host, *port) == peer);
        let Some(id) = id.filter(|_| !ours) else { return ClientError::Unreachable { peer, detail } };
        let detail = format!(
            "{detail}. This is the address that broker {id} advertises; the bootstrap server answers, but this address \
             can't be reached from here: check the broker's advertised.listeners"
        );
        ClientError::Unreachable { peer, detail }
    }

    /// The connection of a node, perhaps not connected yet. Waits only for metadata that is missing.
    async fn connection(
        self: &Arc<Self>,
        node: Node,
        channel: Channel,
        deadline: Instant,
    ) -> Result<Arc<Connection>, ClientError> {
        let mut view = self.refresher.view();
        if view.version == 0 || self.address(&view, node, channel).is_none() {
            view = self.refreshed(deadline).await?;
        }
        match self.address(&view, node, channel) {
            Some(address) => Ok(self.connection_to(address, channel)),
            None => Err(ClientError::Unreachable {
                peer: match node {
                    Node::Any => "the cluster".to_owned(),
                    Node::Controller => "the controller".to_owned(),
                    Node::Id(id) => format!("broker {id}"),
                },
                detail: "is not among the brokers of the cluster's metadata at the moment".to_owned(),
            }),
        }
    }

    fn address(&self, view: &MetadataView, node: Node, channel: Channel) -> Option<Address> {
        let id = match node {
            Node::Id(id) => id,
            Node::Controller => view.controller,
            Node::Any => return self.any_address(view, channel),
        };
        view.brokers.get(&id).map(|broker| (broker.host.clone(), broker.port))
    }

    /// Of the known brokers: one that is connected and least busy, else one that did not fail lately.
    fn any_address(&self, view: &MetadataView, channel: Channel) -> Option<Address> {
        let (connections, health) = (self.connections.lock(), self.health.lock());
        let rank = |address: &Address| {
            let connection = connections.get(&(address.clone(), channel));
            match connection.map(|connection| (connection.phase(), connection)) {
                Some((Phase::Ready(_), connection)) => (0, connection.in_flight() as u64),
                Some((Phase::Connecting, _)) => (1, jitter()),
                _ => (2 + u64::from(health.get(address).map_or(0, |health| health.failures)), jitter()),
            }
        };
        let addresses = view.brokers.values().map(|broker| (broker.host.clone(), broker.port));
        addresses.min_by_key(rank)
    }

    /// Brokers to ask for metadata: known ones that are connected first, bootstrap servers last.
    pub(super) fn metadata_sources(&self) -> Vec<(String, u16)> {
        let view = self.refresher.view();
        let mut sources: Vec<Address> =
            view.brokers.values().map(|broker| (broker.host.clone(), broker.port)).collect();
        {
            let connections = self.connections.lock();
            let connected = |address: &Address| {
                connections
                    .get(&(address.clone(), Channel::Control))
                    .is_some_and(|connection| matches!(connection.phase(), Phase::Ready(_)))
            };
            sources.sort_by_cached_key(|address| (!connected(address), jitter()));
        }
        let mut bootstrap = self.settings.bootstrap.clone();
        bootstrap.sort_by_cached_key(|_| jitter());
        for server in bootstrap {
            if !sources.contains(&server) {
                sources.push(server);
            }
        }
        sources
    }

    /// The connection to an address, made anew if there is none that still lives.
    pub(super) fn connection_to(self: &Arc<Self>, address: (String, u16), channel: Channel) -> Arc<Connection> {
        let mut connections = self.connections.lock();
        let key = (address, channel);
        if let Some(connection) = connections.get(&key)
            && !matches!(connection.phase(), Phase::Ended(_))
        {
            return Arc::clone(connection);
        }
        let peer = peer_name(&key.0.0, key.0.1);
        let connection = Arc::new(Connection::new(peer, self.settings.client_id.clone()));
        let address = key.0.clone();
        connections.insert(key, Arc::clone(&connection));
        drop(connections);
        let (shared, driven) = (Arc::clone(self), Arc::clone(&connection));
        tokio::spawn(async move { shared.drive(driven, address).await });
        connection
    }

    /// A connection's life: rest if the address failed lately, connect, serve, end.
    async fn drive(self: Arc<Self>, connection: Arc<Connection>, address: Address) {
        let (failures, retry_at) = {
            let health = self.health.lock();
            health.get(&address).map_or((0, Instant::now()), |health| (health.failures, health.retry_at))
        };
        sleep_until(retry_at).await;
        let limit = grown(self.settings.connection_setup_timeout, self.settings.connection_setup_timeout_max, failures);
        match handshake::connect(&address.0, address.1, connection.peer(), &self.settings, limit).await {
            Ok((stream, versions)) => {
                self.health.lock().remove(&address);
                let ended = connection
                    .serve(stream, Arc::new(versions), self.settings.connections_max_idle, &self.answers)
                    .await;
                let idle = ended.is_none();
                connection.end(&ended.unwrap_or_else(|| ClientError::Disconnected {
                    peer: connection.peer().to_owned(),
                    detail: "the connection was closed, because it was idle for connections.max.idle.ms".to_owned(),
                }));
                if !idle {
                    self.refresher.request(false);
                }
            }
            Err(error) => {
                let rest = grown(self.settings.reconnect_backoff, self.settings.reconnect_backoff_max, failures);
                let (failures, retry_at) = (failures.saturating_add(1), Instant::now() + rest);
                self.health.lock().insert(address, Health { failures, retry_at, last_error: error.clone() });
                connection.end(&error);
                if self.refresher.view().version > 0 {
                    self.refresher.request(false);
                }
            }
        }
    }
}

/// Sends a request over one connection.
pub(super) async fn call_on<R>(
    connection: &Connection,
    api_version: i16,
    deadline: Instant,
    request: &R,
) -> Result<R::Response, ClientError>
where
    R: Request,
    R::Response: GuardedResponse,
{
    let mut body = BytesMut::new();
    request.encode(&mut body, api_version).map_err(|error| ClientError::Unsupported {
        detail: format!("{} version {api_version} can't be encoded: {error}", api_name(R::KEY)),
    })?;
    let submission = Submission { api_key: R::KEY, api_version, body: vec![body.freeze()], answer: true, deadline };
    let answer = send(connection, submission).await?;
    decode(answer, api_version).map_err(|error| ClientError::Protocol {
        peer: connection.peer().to_owned(),
        detail: format!("the answer to {} version {api_version} can't be read: {error}", api_name(R::KEY)),
    })
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn peer_name(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `first` doubled with each failure up to `max`, then spread by a fifth either way, so that clients don't come in step.
pub(super) fn grown(first: Duration, max: Duration, failures: u32) -> Duration {
    let plain = first.saturating_mul(1 << failures.min(MAX_DOUBLINGS)).min(max);
    plain.mul_f64(0.8 + 0.4 * (jitter() % 1000) as f64 / 1000.0)
}
