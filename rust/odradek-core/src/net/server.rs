//! The listening socket and the I/O threads.
//!
//! Each I/O thread runs a single-threaded event loop of its own. The first one accepts and hands each socket to the
//! thread with the fewest connections. Each sweeps its connections now and then: closes the idle ones, has buffers
//! given back, and cuts off senders that stall while others wait for memory. There is no timer per connection.

use std::collections::HashMap;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::admission::Admitted;
use super::connection::Connection;
use super::mailbox::{Delivery, Mailbox};
use super::memory::MIN_PROGRESS_BYTES;
use super::metrics::count;
use super::state::NetState;
use super::turn::Turn;
use crate::engine::error::EngineError;

/// Accepted sockets on their way to another thread.
const HANDOVER_QUEUE: usize = 1024;
/// How long accepting rests when the process is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest time between two sweeps.
const MAX_SWEEP_MS: i64 = 1000;
/// Shortest time between two sweeps.
const MIN_SWEEP_MS: i64 = 20;
/// A sender without progress for that long is cut off if others wait for memory.
const STALL_LIMIT: Duration = Duration::from_secs(1);

/// Tasks that run before the sockets are looked at again. 200 answers of a rebalance come at once, 5 us each: tokio's 61
/// of them would keep a Produce waiting for 0.3 ms.
const TASKS_BETWEEN_LOOKS: u32 = 8;

/// What an I/O thread shares with its connections and with the accepting one.
pub struct IoThread {
    /// Its number; also its counters'.
    pub index: usize,
    /// Sweeps so far: the coarse clock of idleness.
    pub tick: AtomicU64,
    /// Connections it serves.
    pub live: AtomicUsize,
    /// Which of them may serve requests other than Produce and Fetch.
    pub turn: Turn,
}

struct Accepted {
    stream: net::TcpStream,
    peer: SocketAddr,
    admitted: Admitted,
}

/// How the server is to end; `None` while it runs.
type StopAt = Option<Instant>;

/// A running server.
pub struct Server {
    stop: watch::Sender<StopAt>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts the I/O threads and accepts from `listener`, which listens already and does not block.
    ///
    /// # Errors
    /// When a thread or its event loop can't be had.
    pub fn start(listener: net::TcpListener, state: Arc<NetState>) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Io { action: "start an I/O thread".to_owned(), source };
        let (stop, stopping) = watch::channel(None);
        let count = state.config.threads;
        let io_threads: Vec<_> = (0..count)
            .map(|index| {
                let (tick, live) = (AtomicU64::new(1), AtomicUsize::new(0));
                Arc::new(IoThread { index, tick, live, turn: Turn::default() })
            })
            .collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(HANDOVER_QUEUE)).unzip();
        let mut acceptor = Some(Acceptor {
            listener,
            state: Arc::clone(&state),
            targets: io_threads.iter().cloned().zip(senders).collect(),
        });
        let mut threads = Vec::with_capacity(count);
        for (io_thread, incoming) in io_threads.into_iter().zip(receivers) {
            let mut builder = runtime::Builder::new_current_thread();
            let runtime =
                builder.event_interval(TASKS_BETWEEN_LOOKS).enable_io().enable_time().build().map_err(failed)?;
            let worker = Worker {
                state: Arc::clone(&state),
                thread: io_thread,
                incoming,
                stopping: stopping.clone(),
                connections: JoinSet::new(),
                watched: HashMap::new(),
            };
            let acceptor = acceptor.take();
            let thread = Builder::new().name(format!("odradek-io-{}", worker.thread.index)).spawn(move || {
                let thread = Arc::clone(&worker.thread);
                runtime.spawn(async move { thread.turn.keep().await });
                runtime.block_on(async move {
                    if let Some(acceptor) = acceptor {
                        let stopping = worker.stopping.clone();
                        tokio::spawn(acceptor.run(stopping));
                    }
                    worker.run().await;
                });
            });
            threads.push(thread.map_err(failed)?);
        }
        Ok(Self { stop, threads })
    }

    /// Stops accepting, lets requests under way finish for up to `grace`, closes every connection.
    pub fn stop(self, grace: Duration) {
        let _ = self.stop.send(Some(Instant::now() + grace));
        for thread in self.threads {
            // A panic of an I/O thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Acceptor {
    listener: net::TcpListener,
    state: Arc<NetState>,
    targets: Vec<(Arc<IoThread>, mpsc::Sender<Accepted>)>,
}

impl Acceptor {
    async fn run(self, mut stopping: watch::Receiver<StopAt>) {
        let Ok(listener) = TcpListener::from_std(self.listener) else { return };
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.changed() => return,
                accepted = listener.accept() => accepted,
            };
            let counters = &self.state.counters[0];
            match accepted {
                Ok((stream, peer)) => {
                    count(&counters.connections_accepted, 1);
                    let admitted = self.state.admission.admit(peer.ip());
                    let (Some(admitted), Ok(stream)) = (admitted, stream.into_std()) else {
                        count(&counters.connections_refused, 1);
                        count(&counters.connections_closed, 1);
                        continue;
                    };
                    let quietest = self.targets.iter().min_by_key(|(thread, _)| thread.live.load(Ordering::Relaxed));
                    if let Some((_, sender)) = quietest {
                        let _ = sender.send(Accepted { stream, peer, admitted }).await;
                    }
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// True when accepting failed because of the connection that was to be accepted, not of the process.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// What the sweep knows of a connection.
struct Watched {
    mailbox: Arc<Mailbox>,
    received: u64,
    progressed_at: Instant,
}

struct Worker {
    state: Arc<NetState>,
    thread: Arc<IoThread>,
    incoming: mpsc::Receiver<Accepted>,
    stopping: watch::Receiver<StopAt>,
    connections: JoinSet<()>,
    watched: HashMap<Id, Watched>,
}

impl Worker {
    async fn run(mut self) {
        let idle_ms = self.state.config.connections_max_idle_ms;
        let sweep_ms = if idle_ms > 0 { (idle_ms / 8).clamp(MIN_SWEEP_MS, MAX_SWEEP_MS) } else { MAX_SWEEP_MS };
        let idle_ticks = if idle_ms > 0 { u64::try_from(idle_ms / sweep_ms + 1).unwrap_or(1) } else { u64::MAX };
        let mut sweep = interval(Duration::from_millis(u64::try_from(sweep_ms).unwrap_or(1)));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(accepted) = self.incoming.recv() => self.serve(accepted),
                Some(ended) = self.connections.join_next_with_id() => self.forget(ended),
                _ = sweep.tick() => self.sweep(idle_ticks),
                _ = self.stopping.changed() => break,
            }
        }
        let stop_at = self.stopping.borrow().unwrap_or_else(Instant::now);
        for watched in self.watched.values() {
            watched.mailbox.close_when_done();
        }
        while let Ok(Some(ended)) = timeout_at(stop_at, self.connections.join_next_with_id()).await {
            self.forget(ended);
        }
        self.connections.shutdown().await;
    }

    fn serve(&mut self, accepted: Accepted) {
        let Accepted { stream, peer, admitted } = accepted;
        let Ok(stream) = TcpStream::from_std(stream) else {
            count(&self.state.counters[self.thread.index].connections_closed, 1);
            return;
        };
        // Neither is fatal: the connection is only slower without.
        let _ = stream.set_nodelay(true);
        if let Some(bytes) = usize::try_from(self.state.config.send_buffer_bytes).ok().filter(|&bytes| bytes > 0) {
            let _ = set_socket_send_buffer_size(&stream, bytes);
        }
        let tick = self.thread.tick.load(Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::new(self.state.next_id(), tick));
        let peer_host = Arc::from(peer.ip().to_canonical().to_string());
        let connection = Connection::new(
            Arc::clone(&self.state),
            Arc::clone(&self.thread),
            Arc::clone(&mailbox),
            stream,
            peer_host,
            admitted,
        );
        let id = self.connections.spawn(connection).id();
        self.watched.insert(id, Watched { mailbox, received: 0, progressed_at: Instant::now() });
    }

    /// A connection that panicked is gone like any other: a bug in one request must not take the thread down.
    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = ended.map_or_else(
            |error| {
                if error.is_panic() {
                    count(&self.state.counters[self.thread.index].connections_panicked, 1);
                }
                error.id()
            },
            |(id, ())| id,
        );
        self.watched.remove(&id);
    }

    fn sweep(&mut self, idle_ticks: u64) {
        let tick = self.thread.tick.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let contended = self.state.memory.is_contended();
        let counters = &self.state.counters[self.thread.index];
        for watched in self.watched.values_mut() {
            let mailbox = &watched.mailbox;
            let quiet_ticks = tick.saturating_sub(mailbox.last_active_tick());
            if quiet_ticks > idle_ticks && !mailbox.is_waiting() {
                count(&counters.connections_idle_closed, 1);
                mailbox.deliver(Delivery::Disconnect);
                continue;
            }
            if quiet_ticks > 1 {
                mailbox.ask_to_release_buffer();
            }
            let received = mailbox.received();
            if !mailbox.holds_grant() || received >= watched.received + MIN_PROGRESS_BYTES {
                watched.received = received;
                watched.progressed_at = now;
            } else if contended && now.duration_since(watched.progressed_at) > STALL_LIMIT {
                mailbox.deliver(Delivery::Disconnect);
            }
        }
    }
}
