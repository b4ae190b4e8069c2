//! `Engine` and `ControlRequest`: the broker's Rust side as Python holds it. Documented in `_native.pyi`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use odradek_core::engine::{
    Awaited, BrokerInfo, CommittedOffset, ControlRequest, Engine, Gathered, Kept, KnownMember, PartitionInfo, TopicInfo,
};
use odradek_core::topic_pattern;
use odradek_core::wire::join_group::JoinRequest;
use odradek_core::wire::sync_group::SyncRequest;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};
use uuid::Uuid;

use crate::error::from_engine;
use crate::faults::PyFaults;

/// A listening socket on its way from one engine to the next.
#[pyclass(frozen, name = "Listener", module = "odradek._native")]
pub struct PyListener {
    socket: Mutex<Option<OwnedFd>>,
}

/// One request that Python has to answer.
#[pyclass(frozen, name = "ControlRequest", module = "odradek._native")]
pub struct PyControlRequest {
    request: ControlRequest,
}

#[pymethods]
impl PyControlRequest {
    #[getter]
    fn token(&self) -> u64 {
        self.request.token
    }

    #[getter]
    fn api_key(&self) -> i16 {
        self.request.api_key
    }

    #[getter]
    fn api_version(&self) -> i16 {
        self.request.api_version
    }

    #[getter]
    fn correlation_id(&self) -> i32 {
        self.request.correlation_id
    }

    #[getter]
    fn client_id(&self) -> Option<&str> {
        self.request.client_id.as_deref()
    }

    #[getter]
    fn connection_id(&self) -> u64 {
        self.request.connection_id
    }

    #[getter]
    fn peer_host(&self) -> &str {
        &self.request.peer_host
    }

    #[getter]
    fn fault_code(&self) -> i16 {
        self.request.fault_code
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.request.body)
    }
}

type BrokerRow = (i32, String, i32, Option<String>);
type PartitionRow = (i32, i32, i32, Vec<i32>, Vec<i32>, Vec<i32>);
type TopicRow = (String, [u8; 16], bool, Vec<PartitionRow>);

type CommitRow = (String, i32, i64, i32, String, i64, Cow<'static, [u8]>);

fn commit_rows((topic, offsets): (Arc<str>, HashMap<i32, CommittedOffset>)) -> impl Iterator<Item = CommitRow> {
    offsets.into_iter().map(move |(partition, one)| {
        let topic_id = Cow::Owned(one.topic_id.as_bytes().to_vec());
        (topic.to_string(), partition, one.offset, one.leader_epoch, one.metadata.into(), one.timestamp_ms, topic_id)
    })
}

type GatheredRows<'py> = (Vec<Bound<'py, PyTuple>>, Vec<Bound<'py, PyTuple>>);

/// Cuts the rows from the requests as they came. All could be read when they were kept.
fn gathered_rows<'py>(py: Python<'py>, gathered: &Gathered) -> PyResult<GatheredRows<'py>> {
    let joins = gathered.joins.iter().filter_map(|kept| Some(join_row(py, kept, &kept.join()?)));
    let syncs = gathered.syncs.iter().filter_map(|kept| Some(sync_row(py, kept, &kept.sync()?)));
    Ok((joins.collect::<PyResult<_>>()?, syncs.collect::<PyResult<_>>()?))
}

fn named_blobs<'py, 'a>(py: Python<'py>, blobs: &[(&'a str, &[u8])]) -> Vec<(&'a str, Bound<'py, PyBytes>)> {
    blobs.iter().map(|(name, blob)| (*name, PyBytes::new(py, blob))).collect()
}

fn join_row<'py>(py: Python<'py>, kept: &Kept, request: &JoinRequest<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let row = (
        kept.token,
        kept.api_version,
        request.member,
        request.instance,
        request.protocol_type,
        named_blobs(py, &request.protocols),
        request.session_timeout_ms,
        request.rebalance_timeout_ms,
        kept.client_id.as_deref(),
        &*kept.peer_host,
    );
    row.into_pyobject(py)
}

fn sync_row<'py>(py: Python<'py>, kept: &Kept, request: &SyncRequest<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let row = (
        kept.token,
        kept.api_version,
        request.member,
        request.instance,
        request.generation,
        request.protocol_type,
        request.protocol,
        named_blobs(py, &request.assignments),
    );
    row.into_pyobject(py)
}

fn topic_info((name, id, internal, partitions): TopicRow) -> TopicInfo {
    let partitions = partitions
        .into_iter()
        .map(|(index, leader, leader_epoch, replicas, isr, offline)| PartitionInfo {
            index,
            leader,
            leader_epoch,
            replicas,
            isr,
            offline,
        })
        .collect();
    TopicInfo { name: name.into(), id: Uuid::from_bytes(id), internal, partitions }
}

/// The broker's Rust side.
#[pyclass(frozen, name = "Engine", module = "odradek._native")]
pub struct PyEngine {
    engine: Engine,
}

#[pymethods]
impl PyEngine {
    #[new]
    fn new(py: Python<'_>, settings: HashMap<String, String>) -> PyResult<Self> {
        let engine = py.detach(|| Engine::open(&settings)).map_err(from_engine)?;
        Ok(Self { engine })
    }

    #[getter]
    fn cluster_id(&self) -> &str {
        self.engine.cluster_id()
    }

    fn partitions_on_disk(&self, py: Python<'_>) -> Vec<(String, i32, Option<[u8; 16]>)> {
        py.detach(|| self.engine.partitions_on_disk())
            .into_iter()
            .map(|(tp, id)| (tp.topic.to_string(), tp.partition, id.map(Uuid::into_bytes)))
            .collect()
    }

    fn host_partitions(
        &self,
        py: Python<'_>,
        topic: &str,
        topic_id: [u8; 16],
        config: HashMap<String, String>,
        partitions: Vec<(i32, i32, u32)>,
    ) -> PyResult<()> {
        py.detach(|| self.engine.host_partitions(topic, Uuid::from_bytes(topic_id), &config, &partitions))
            .map_err(from_engine)
    }

    fn configure_topic(&self, py: Python<'_>, topic: &str, config: HashMap<String, String>) -> PyResult<()> {
        py.detach(|| self.engine.configure_topic(topic, &config)).map_err(from_engine)
    }

    fn delete_partitions(&self, py: Python<'_>, topic: &str, partitions: Vec<i32>) -> PyResult<()> {
        py.detach(|| self.engine.delete_partitions(topic, &partitions)).map_err(from_engine)
    }

    fn publish_brokers(&self, brokers: Vec<BrokerRow>, controller_id: i32) {
        let brokers =
            brokers.into_iter().map(|(node_id, host, port, rack)| BrokerInfo { node_id, host, port, rack }).collect();
        self.engine.publish_brokers(brokers, controller_id);
    }

    fn publish_topics(&self, topics: Vec<TopicRow>) {
        self.engine.publish_topics(topics.into_iter().map(topic_info).collect());
    }

    fn withdraw_topics(&self, names: Vec<String>) {
        self.engine.withdraw_topics(&names);
    }

    fn publish_apis(&self, apis: Vec<(i16, i16, i16)>) {
        self.engine.publish_apis(&apis);
    }

    fn settle_group(&self, group: String, generation: i32, members: Vec<(String, Option<String>)>, partition: i32) {
        self.engine.settle_group(group, generation, members, partition);
    }

    fn unsettle_group(&self, group: &str) -> BTreeMap<String, u64> {
        self.engine.unsettle_group(group)
    }

    fn silences(&self, group: &str) -> BTreeMap<String, u64> {
        self.engine.silences(group)
    }

    #[pyo3(signature = (group, *, hold))]
    fn take_commits(&self, py: Python<'_>, group: &str, hold: bool) -> Vec<CommitRow> {
        py.detach(|| self.engine.take_commits(group, hold)).into_iter().flat_map(commit_rows).collect()
    }

    fn release_commits(&self, group: &str) {
        self.engine.release_commits(group);
    }

    fn know_members(&self, group: &str, protocol_type: String, members: Vec<KnownMember>) {
        self.engine.know_members(group, protocol_type, members);
    }

    #[pyo3(signature = (group, generation, protocol, *, joins_of, sync_of))]
    fn gather(
        &self,
        group: &str,
        generation: i32,
        protocol: Option<String>,
        joins_of: Vec<String>,
        sync_of: Option<String>,
    ) {
        let joins_of = joins_of.into_iter().collect();
        self.engine.gather(group, Awaited { generation, protocol, joins_of, sync_of });
    }

    fn take_gathered<'py>(&self, py: Python<'py>, group: &str) -> PyResult<GatheredRows<'py>> {
        gathered_rows(py, &self.engine.take_gathered(group))
    }

    fn forget_members<'py>(&self, py: Python<'py>, group: &str) -> PyResult<GatheredRows<'py>> {
        gathered_rows(py, &self.engine.forget_members(group))
    }

    #[staticmethod]
    fn matching_names(py: Python<'_>, expression: &str, names: Vec<String>) -> PyResult<Vec<String>> {
        py.detach(|| topic_pattern::matching(expression, names))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn bind(&self, py: Python<'_>, host: &str, port: u16) -> PyResult<u16> {
        py.detach(|| self.engine.bind(host, port)).map_err(from_engine)
    }

    fn listener(&self) -> PyResult<PyListener> {
        Ok(PyListener { socket: Mutex::new(Some(self.engine.listener().map_err(from_engine)?)) })
    }

    fn adopt(&self, listener: &PyListener) -> PyResult<u16> {
        let socket = listener.socket.lock().take();
        let socket = socket.ok_or_else(|| PyValueError::new_err("another engine has adopted this listener"))?;
        self.engine.adopt(socket).map_err(from_engine)
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.engine.start()).map_err(from_engine)
    }

    fn control_fd(&self) -> i32 {
        self.engine.control_fd()
    }

    fn take_requests(&self, limit: usize) -> Vec<PyControlRequest> {
        self.engine.take_requests(limit).into_iter().map(|request| PyControlRequest { request }).collect()
    }

    fn respond(&self, token: u64, body: &[u8]) {
        self.engine.respond(token, Bytes::copy_from_slice(body));
    }

    fn respond_all(&self, py: Python<'_>, answers: Vec<(u64, PyBackedBytes)>) {
        let answers = answers.into_iter().map(|(token, body)| (token, Bytes::copy_from_slice(&body)));
        let answers: Vec<_> = answers.collect();
        py.detach(|| self.engine.respond_all(answers));
    }

    fn reroute(&self, token: u64) {
        self.engine.reroute(token);
    }

    fn disconnect(&self, token: u64) {
        self.engine.disconnect(token);
    }

    fn append(&self, py: Python<'_>, topic: &str, partition: i32, batches: &[u8]) -> PyResult<(i64, i64)> {
        let batches = Bytes::copy_from_slice(batches);
        py.detach(|| self.engine.append(topic, partition, batches)).map_err(from_engine)
    }

    fn read<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        partition: i32,
        offset: i64,
        max_bytes: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.engine.read(topic, partition, offset, max_bytes)).map_err(from_engine)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn offsets(&self, topic: &str, partition: i32) -> PyResult<(i64, i64, i64)> {
        self.engine.offsets(topic, partition).map_err(from_engine)
    }

    fn log_sizes(&self, py: Python<'_>) -> Vec<(String, i32, u64)> {
        let sizes = py.detach(|| self.engine.log_sizes());
        sizes.into_iter().map(|(topic, partition, bytes)| (topic.to_string(), partition, bytes)).collect()
    }

    fn take_events(&self) -> Vec<(String, String)> {
        self.engine.take_events()
    }

    fn metrics(&self) -> BTreeMap<&'static str, u64> {
        self.engine.metrics()
    }

    fn faults(&self) -> PyFaults {
        PyFaults::new(self.engine.faults())
    }

    fn stop(&self, py: Python<'_>, grace_ms: u64) -> PyResult<()> {
        if grace_ms > 3_600_000 {
            return Err(PyValueError::new_err(format!("grace_ms={grace_ms} is over an hour")));
        }
        py.detach(|| self.engine.stop(Duration::from_millis(grace_ms)));
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.engine.close()).map_err(from_engine)
    }
}

/// Adds this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyControlRequest>()?;
    module.add_class::<PyListener>()?;
    module.add_class::<PyEngine>()
}
