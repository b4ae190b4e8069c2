//! Requests that Python builds and whose answers it reads: each gets a token, under which its result is completed.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::cluster::{Channel, Cluster, Node};
use super::completion::Completions;
use super::error::ClientError;

/// What a token's work came to.
#[derive(Debug)]
pub enum Outcome {
    /// A response after its header.
    Answer(Bytes),
    /// (API key, lowest, highest version), by key.
    Versions(Vec<(i16, i16, i16)>),
    /// The metadata is fresh.
    Refreshed,
    /// Why there is none of these.
    Failed(ClientError),
}

/// Requests under way. After the cluster is closed, what is still under way is never completed.
pub struct RequestQueue {
    cluster: Arc<Cluster>,
    completions: Arc<Completions<Outcome>>,
    under_way: Arc<Mutex<HashMap<u64, AbortHandle>>>,
    next_token: AtomicU64,
}

impl RequestQueue {
    /// A queue of its own over a cluster.
    ///
    /// # Errors
    /// [`ClientError::System`] when the process is out of descriptors.
    pub fn new(cluster: Arc<Cluster>) -> Result<Self, ClientError> {
        let refused = |error| ClientError::System { detail: format!("no descriptor for completions: {error}") };
        let completions = Arc::new(Completions::new().map_err(refused)?);
        Ok(Self { cluster, completions, under_way: Arc::default(), next_token: AtomicU64::new(1) })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Where results arrive.
    #[must_use]
    pub fn completions(&self) -> &Completions<Outcome> {
        &self.completions
    }

    /// Sends an encoded request; see [`Cluster::call_raw`].
    ///
    /// # Errors
    /// [`ClientError::Closed`], [`ClientError::Forked`]; all others are completed.
    pub fn request(
        &self,
        node: Node,
        channel: Channel,
        api: (i16, i16),
        body: Bytes,
        timeout: Duration,
    ) -> Result<u64, ClientError> {
        let cluster = Arc::clone(&self.cluster);
        self.start(async move {
            let answer = cluster.call_raw(node, channel, api.0, api.1, vec![body], timeout, true).await;
            answer.map_or_else(Outcome::Failed, Outcome::Answer)
        })
    }

    /// Asks what a broker serves; see [`Cluster::versions`].
    ///
    /// # Errors
    /// As [`RequestQueue::request`].
    pub fn versions(&self, node: Node, channel: Channel, timeout: Duration) -> Result<u64, ClientError> {
        let cluster = Arc::clone(&self.cluster);
        self.start(async move {
            let versions = cluster.versions(node, channel, Instant::now() + timeout).await;
            versions.map_or_else(Outcome::Failed, |versions| Outcome::Versions(versions.rows()))
        })
    }

    /// Refreshes the metadata; see [`Cluster::refreshed`].
    ///
    /// # Errors
    /// As [`RequestQueue::request`].
    pub fn refresh(&self, timeout: Duration) -> Result<u64, ClientError> {
        let cluster = Arc::clone(&self.cluster);
        self.start(async move {
            let view = cluster.refreshed(Instant::now() + timeout).await;
            view.map_or_else(Outcome::Failed, |_| Outcome::Refreshed)
        })
    }

    /// Gives a token up: its result is not wanted. What was sent stays sent.
    pub fn cancel(&self, token: u64) {
        if let Some(task) = self.under_way.lock().remove(&token) {
            task.abort();
        }
    }

    fn start(&self, work: impl Future<Output = Outcome> + Send + 'static) -> Result<u64, ClientError> {
        self.cluster.check_fork()?;
        if self.cluster.is_closed() {
            return Err(ClientError::Closed);
        }
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let (completions, under_way) = (Arc::clone(&self.completions), Arc::clone(&self.under_way));
        // Held until the task is on the list: it takes itself off at its end.
        let mut list = self.under_way.lock();
        let task = self.cluster.spawn_abortable(async move {
            let outcome = work.await;
            under_way.lock().remove(&token);
            completions.push(token, outcome);
        });
        list.extend(task.map(|task| (token, task)));
        Ok(token)
    }
}
