//! The few threads that wait for the disk so that the I/O threads need not.
//!
//! An I/O thread reads only what is in the page cache ([`Reach::Cache`](crate::fs::Reach)). What is not, it leaves here:
//! a helper brings it into the page cache, and the connection's task tries again. A helper holds no lock of the log, no
//! records and nothing of the connection, so a partition may be deleted, cut or moved meanwhile; the next try finds out.
//!
//! A connection has one [`ColdRead`] at most, so what waits here is bounded by the connections. Helpers start when they
//! are needed, end when they were idle for a while, and nobody waits for one that the disk doesn't answer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::Builder;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::fs::{Cold, Reach};

/// Helpers of a broker at most; also how many reads the disk is given at once.
const MAX_HELPERS: usize = 8;
/// How long a helper without work stays.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// What became of a cold read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmed {
    /// It was brought into the page cache.
    Yes,
    /// The disk failed, or there is no helper: whoever needs the bytes has to read them itself.
    No,
}

/// How far the attempts of one request reach: not to the disk, unless that leads nowhere.
pub struct Attempts {
    reach: Reach,
    left: u32,
}

impl Attempts {
    /// After `most` of them that found something cold the next one waits for the disk itself: what was warmed is driven
    /// out again before it can be used.
    #[must_use]
    pub fn at_most(most: u32) -> Self {
        Self { reach: Reach::Cache, left: most }
    }

    /// How far the next one reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Takes note of what became of the cold ranges that an attempt found.
    pub fn note(&mut self, warmed: Warmed) {
        self.left = self.left.saturating_sub(1);
        if warmed == Warmed::No || self.left == 0 {
            self.reach = Reach::Disk;
        }
    }
}

struct Job {
    ranges: Vec<Cold>,
    done: oneshot::Sender<Warmed>,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    helpers: usize,
    idle: usize,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    work: Condvar,
}

/// The helpers of one broker, and what waits for them.
#[derive(Default)]
pub struct ColdReads {
    shared: Arc<Shared>,
}

/// What one connection waits for. Dropping it gives up a read that has not begun.
pub struct ColdRead(oneshot::Receiver<Warmed>);

impl Future for ColdRead {
    type Output = Warmed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Warmed> {
        Pin::new(&mut self.0).poll(cx).map(|done| done.unwrap_or(Warmed::No))
    }
}

impl ColdReads {
    /// Has the ranges brought into the page cache.
    #[must_use]
    pub fn begin(&self, ranges: Vec<Cold>) -> ColdRead {
        let (done, read) = oneshot::channel();
        let mut inner = self.shared.inner.lock();
        // A job that is dropped, not queued, is one that failed.
        if !inner.is_closed {
            let more = inner.idle <= inner.jobs.len() && inner.helpers < MAX_HELPERS;
            if more && self.start_helper(inner.helpers) {
                inner.helpers += 1;
            }
            if inner.helpers > 0 {
                inner.jobs.push_back(Job { ranges, done });
                self.shared.work.notify_one();
            }
        }
        ColdRead(read)
    }

    fn start_helper(&self, number: usize) -> bool {
        let shared = Arc::clone(&self.shared);
        Builder::new().name(format!("odradek-cold-{number}")).spawn(move || shared.help()).is_ok()
    }

    /// Gives up what waits and lets the helpers go. One that waits for the disk ends when the disk answers.
    pub fn close(&self) {
        let mut inner = self.shared.inner.lock();
        inner.is_closed = true;
        inner.jobs.clear();
        self.shared.work.notify_all();
    }
}

impl Drop for ColdReads {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn help(&self) {
        while let Some(job) = self.next_job() {
            // Who asked may have gone.
            if job.done.is_closed() {
                continue;
            }
            let is_warm = job.ranges.iter().all(|range| range.warm().is_ok());
            let _ = job.done.send(if is_warm { Warmed::Yes } else { Warmed::No });
        }
    }

    /// Waits for work; `None` when there will be none for this helper.
    fn next_job(&self) -> Option<Job> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            inner.idle += 1;
            let waited = if inner.is_closed { None } else { Some(self.work.wait_for(&mut inner, IDLE_LIMIT)) };
            inner.idle -= 1;
            if inner.jobs.is_empty() && (inner.is_closed || waited.is_none_or(|waited| waited.timed_out())) {
                inner.helpers -= 1;
                return None;
            }
        }
    }
}
