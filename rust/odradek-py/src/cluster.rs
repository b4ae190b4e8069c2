//! `ClusterClient`: requests that Python builds, over the client's transport. Documented in `_native.pyi`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use odradek_core::client::queue::{Outcome, RequestQueue};
use odradek_core::client::{Channel, ClientSettings, Cluster, MetadataView, Node};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::from_client;

/// Numbers that stand for a role instead of a broker.
const ANY: i32 = -1;
const CONTROLLER: i32 = -2;

fn node_of(node: i32) -> PyResult<Node> {
    match node {
        ANY => Ok(Node::Any),
        CONTROLLER => Ok(Node::Controller),
        0.. => Ok(Node::Id(node)),
        _ => Err(PyValueError::new_err(format!("node={node} is neither an id nor -1 (any) nor -2 (controller)"))),
    }
}

fn channel_of(channel: u8) -> PyResult<Channel> {
    match channel {
        0 => Ok(Channel::Data),
        1 => Ok(Channel::Control),
        2 => Ok(Channel::Coordinator),
        _ => Err(PyValueError::new_err(format!("channel={channel} is none of 0, 1 and 2"))),
    }
}

type BrokerRow = (i32, String, u16, Option<String>);
type PartitionRow = (i32, i32, Vec<i32>, Vec<i32>, i16);
type TopicRow = (String, [u8; 16], i16, bool, Vec<PartitionRow>);
type Snapshot = (u64, Option<String>, i32, Vec<BrokerRow>, Vec<TopicRow>);

fn snapshot(view: &MetadataView) -> Snapshot {
    let brokers = view.brokers.iter();
    let brokers = brokers.map(|(&id, broker)| (id, broker.host.clone(), broker.port, broker.rack.clone()));
    let topics = view.topics.values().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (replicas, isr) = (partition.replicas.clone(), partition.isr.clone());
            (partition.leader, partition.leader_epoch, replicas, isr, partition.error)
        });
        (topic.name.to_string(), topic.id.into_bytes(), topic.error, topic.internal, partitions.collect())
    });
    (view.version, view.cluster_id.clone(), view.controller, brokers.collect(), topics.collect())
}

/// The client's transport.
#[pyclass(frozen, name = "ClusterClient", module = "odradek._native")]
pub struct PyClusterClient {
    queue: RequestQueue,
}

impl PyClusterClient {
    /// The cluster, for classes that share its connections.
    pub fn cluster(&self) -> &std::sync::Arc<Cluster> {
        self.queue.cluster()
    }
}

#[pymethods]
impl PyClusterClient {
    #[new]
    fn new(settings: BTreeMap<String, String>) -> PyResult<Self> {
        let settings = ClientSettings::parse(&settings).map_err(from_client)?;
        let queue = Cluster::open(settings).and_then(RequestQueue::new).map_err(from_client)?;
        Ok(Self { queue })
    }

    fn completion_fd(&self) -> i32 {
        self.queue.completions().fd()
    }

    fn take_completions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let taken = PyList::empty(py);
        for (token, outcome) in self.queue.completions().take() {
            let result = match outcome {
                Outcome::Answer(body) => PyBytes::new(py, &body).into_any(),
                Outcome::Versions(rows) => rows.into_pyobject(py)?.into_any(),
                Outcome::Refreshed => py.None().into_bound(py),
                Outcome::Failed(error) => from_client(error).into_value(py).into_bound(py).into_any(),
            };
            taken.append((token, result))?;
        }
        Ok(taken)
    }

    fn request(
        &self,
        node: i32,
        channel: u8,
        api_key: i16,
        api_version: i16,
        body: &[u8],
        timeout_ms: u64,
    ) -> PyResult<u64> {
        let (node, channel) = (node_of(node)?, channel_of(channel)?);
        let body = Bytes::copy_from_slice(body);
        let timeout = Duration::from_millis(timeout_ms);
        self.queue.request(node, channel, (api_key, api_version), body, timeout).map_err(from_client)
    }

    fn versions(&self, node: i32, channel: u8, timeout_ms: u64) -> PyResult<u64> {
        let (node, channel) = (node_of(node)?, channel_of(channel)?);
        self.queue.versions(node, channel, Duration::from_millis(timeout_ms)).map_err(from_client)
    }

    fn refresh_metadata(&self, timeout_ms: u64) -> PyResult<u64> {
        self.queue.refresh(Duration::from_millis(timeout_ms)).map_err(from_client)
    }

    fn cancel(&self, token: u64) {
        self.queue.cancel(token);
    }

    fn metadata(&self) -> Snapshot {
        snapshot(&self.cluster().metadata())
    }

    fn metadata_version(&self) -> u64 {
        self.cluster().metadata().version
    }

    fn request_refresh(&self) {
        self.cluster().request_refresh();
    }

    fn watch_topics(&self, names: Vec<String>) {
        names.iter().for_each(|name| self.cluster().watch_topic(name));
    }

    fn unwatch_topics(&self, names: Vec<String>) {
        names.iter().for_each(|name| self.cluster().unwatch_topic(name));
    }

    fn watch_all(&self, yes: bool) {
        self.cluster().watch_all_topics(yes);
    }

    fn silent(&self) -> Vec<String> {
        self.cluster().silent()
    }

    fn learn_broker(&self, node: i32, host: &str, port: u16) {
        self.cluster().learn_broker(node, host, port);
    }

    fn close(&self, py: Python<'_>, grace_ms: u64) {
        py.detach(|| self.cluster().close(Duration::from_millis(grace_ms)));
    }
}

/// Tells the core that this process is the child of a fork.
#[pyfunction]
fn note_fork() {
    odradek_core::client::runtime::note_fork();
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(note_fork, module)?)?;
    module.add_class::<PyClusterClient>()
}
