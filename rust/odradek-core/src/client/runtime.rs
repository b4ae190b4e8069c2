//! The client's one I/O thread: a single-threaded event loop on which everything that touches a socket runs.
//!
//! It ends when told to ([`IoThread::stop`]); tasks that are left then are dropped where they wait.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle, ThreadId, current};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::error::ClientError;

/// How often the thread looks whether requests are still under way while it is stopping.
const STOP_POLL: Duration = Duration::from_millis(2);

/// Counts forks of this process: a thread does not come along into the child.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// To be called in the child after each fork, before anything of the client is used there.
pub fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The thread and its event loop.
pub struct IoThread {
    handle: Handle,
    stop: watch::Sender<Option<Instant>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    id: ThreadId,
    forks: u64,
}

impl IoThread {
    /// Starts it. `busy` says whether requests are still under way; it is asked while the thread is stopping.
    ///
    /// # Errors
    /// [`ClientError::System`] when the system refuses a thread or descriptors.
    pub fn start(busy: impl Fn() -> bool + Send + 'static) -> Result<Self, ClientError> {
        let refused = |error: std::io::Error| ClientError::System { detail: format!("no I/O thread: {error}") };
        let event_loop = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(4)
            .thread_name("odradek-worker")
            .build()
            .map_err(refused)?;
        let handle = event_loop.handle().clone();
        let (stop, mut stopping) = watch::channel(None::<Instant>);
        let run = move || {
            event_loop.block_on(async {
                let _ = stopping.wait_for(Option::is_some).await;
                loop {
                    let until = *stopping.borrow();
                    if until.is_none_or(|until| Instant::now() >= until) || !busy() {
                        return;
                    }
                    sleep(STOP_POLL).await;
                }
            });
            // A name lookup may still be blocking a thread of its own; nobody waits for it.
            event_loop.shutdown_background();
        };
        let thread = Builder::new().name("odradek-client".to_owned()).spawn(run).map_err(refused)?;
        let id = thread.thread().id();
        let forks = FORKS.load(Ordering::Relaxed);
        Ok(Self { handle, stop, thread: Mutex::new(Some(thread)), id, forks })
    }

    /// Starts a task on the thread. After [`IoThread::stop`] it is dropped unrun; `None` in a forked child.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        (!self.forked()).then(|| self.handle.spawn(task).abort_handle())
    }

    /// Runs work on another thread, of which there are few: name lookups and compression.
    pub fn spawn_work(&self, work: impl FnOnce() + Send + 'static) {
        if !self.forked() {
            drop(self.handle.spawn_blocking(work));
        }
    }

    /// True in a child of the process that started the thread.
    #[must_use]
    pub fn forked(&self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.forks
    }

    /// True once it has been told to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Tells the thread to end when nothing is under way, after `grace` at the latest, and waits for that. Idempotent.
    ///
    /// In a forked child it does nothing; on the thread itself it does not wait.
    pub fn stop(&self, grace: Duration) {
        if self.forked() {
            return;
        }
        self.ask_to_stop(grace);
        if current().id() == self.id {
            return;
        }
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic there is a bug that has been reported where it happened; closing goes on.
            let _ = thread.join();
        }
    }

    fn ask_to_stop(&self, grace: Duration) {
        let asked = Instant::now() + grace;
        self.stop.send_modify(|until| *until = Some(until.map_or(asked, |until| until.min(asked))));
    }
}

impl Drop for IoThread {
    /// Doesn't wait: whoever drops may hold a lock (Python's) that a task on the thread wants.
    fn drop(&mut self) {
        if !self.forked() {
            self.ask_to_stop(Duration::ZERO);
        }
    }
}
