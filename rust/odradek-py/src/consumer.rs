//! `Fetcher`: the consumer's data path as Python holds it. Documented in `_native.pyi`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use odradek_core::client::consumer::chunk::Chunk;
use odradek_core::client::consumer::{FetchSettings, Fetcher, Next};
use odradek_core::log::types::TopicPartition;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arrow_batch::PyArrowBatch;
use crate::cluster::PyClusterClient;
use crate::consumer_record::{PyConsumerRecord, RecordSink};
use crate::error::{from_client, from_fetch};

/// How long a wait goes on before it looks for Ctrl-C.
const SIGNAL_SLICE: Duration = Duration::from_millis(50);

type Place = (String, i32);

fn name((topic, partition): Place) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}

fn place(name: &TopicPartition) -> (&str, i32) {
    (&name.topic, name.partition)
}

fn not_assigned(name: &TopicPartition) -> PyErr {
    PyValueError::new_err(format!("{name} is not assigned to this consumer; assign or subscribe to it first"))
}

/// Reads assigned partitions ahead of its polls.
#[pyclass(frozen, name = "Fetcher", module = "odradek._native")]
pub struct PyFetcher {
    fetcher: Fetcher,
}

impl PyFetcher {
    /// Waits for a chunk; `None` when the time is over or `wakeup` was called (true).
    fn wait(&self, py: Python<'_>, deadline: Instant) -> PyResult<(Option<Chunk>, bool)> {
        loop {
            let until = deadline.min(Instant::now() + SIGNAL_SLICE);
            match py.detach(|| self.fetcher.next(until)).map_err(from_client)? {
                Next::Chunk(chunk) => return Ok((Some(chunk), false)),
                Next::Woken => return Ok((None, true)),
                Next::Nothing => {
                    py.check_signals()?;
                    if Instant::now() >= deadline {
                        return Ok((None, false));
                    }
                }
            }
        }
    }
}

impl PyFetcher {
    fn set_paused(&self, partitions: Vec<Place>, paused: bool) -> PyResult<()> {
        let names: Vec<_> = partitions.into_iter().map(name).collect();
        let unknown = self.fetcher.set_paused(&names, paused).map_err(from_client)?;
        unknown.map_or(Ok(()), |name| Err(not_assigned(&name)))
    }
}

fn deadline(timeout_ms: u64) -> Instant {
    let now = Instant::now();
    // A wait of a thousand years need not be exact.
    now.checked_add(Duration::from_millis(timeout_ms)).unwrap_or(now + Duration::from_secs(1 << 30))
}

#[pymethods]
impl PyFetcher {
    #[new]
    fn new(client: &PyClusterClient, settings: BTreeMap<String, String>) -> PyResult<Self> {
        let settings = FetchSettings::parse(&settings).map_err(from_client)?;
        Ok(Self { fetcher: Fetcher::new(Arc::clone(client.cluster()), settings).map_err(from_client)? })
    }

    fn assign(&self, partitions: Vec<(String, i32, i64)>) -> PyResult<()> {
        let wanted: Vec<_> =
            partitions.into_iter().map(|(topic, partition, position)| (name((topic, partition)), position)).collect();
        self.fetcher.assign(&wanted).map_err(from_client)
    }

    #[pyo3(
        signature = (topic, partition, offset, leader_epoch=-1),
        text_signature = "($self, topic, partition, offset, leader_epoch=-1)"
    )]
    fn set_position(&self, topic: String, partition: i32, offset: i64, leader_epoch: i32) -> PyResult<()> {
        let name = name((topic, partition));
        let assigned = self.fetcher.set_position(&name, offset, leader_epoch).map_err(from_client)?;
        if assigned { Ok(()) } else { Err(not_assigned(&name)) }
    }

    fn position(&self, topic: String, partition: i32) -> PyResult<i64> {
        let name = name((topic, partition));
        let position = self.fetcher.position(&name).map_err(from_client)?;
        position.map(|(offset, _)| offset).ok_or_else(|| not_assigned(&name))
    }

    fn positions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut rows = Vec::new();
        self.fetcher
            .each(|name, partition| {
                if partition.position >= 0 {
                    rows.push((name.clone(), (partition.position, partition.epoch)));
                }
            })
            .map_err(from_client)?;
        let positions = PyDict::new(py);
        for (name, row) in &rows {
            positions.set_item(place(name), *row)?;
        }
        Ok(positions)
    }

    fn troubles(&self) -> PyResult<Vec<(String, i32, f64, String)>> {
        let (now, mut rows) = (Instant::now(), Vec::new());
        self.fetcher
            .each(|name, partition| {
                if let Some((since, why)) = partition.trouble() {
                    let seconds = now.saturating_duration_since(since).as_secs_f64();
                    rows.push((name.topic.to_string(), name.partition, seconds, why.to_owned()));
                }
            })
            .map_err(from_client)?;
        Ok(rows)
    }

    fn pause(&self, partitions: Vec<Place>) -> PyResult<()> {
        self.set_paused(partitions, true)
    }

    fn resume(&self, partitions: Vec<Place>) -> PyResult<()> {
        self.set_paused(partitions, false)
    }

    fn paused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut paused = Vec::new();
        self.fetcher
            .each(|name, partition| {
                if partition.paused {
                    paused.push(name.clone());
                }
            })
            .map_err(from_client)?;
        PyList::new(py, paused.iter().map(place))
    }

    fn poll<'py>(&self, py: Python<'py>, timeout_ms: u64, max_records: usize) -> PyResult<Bound<'py, PyList>> {
        let deadline = deadline(timeout_ms);
        let mut sink = RecordSink::new(py);
        while sink.records.is_empty() && max_records > 0 {
            let (Some(chunk), _) = self.wait(py, deadline)? else { break };
            let collected = self.fetcher.collect(chunk, max_records, &mut sink, |work| py.detach(work));
            if let Some(error) = sink.failure.take() {
                return Err(error);
            }
            collected.map_err(|error| from_fetch(py, &error))?;
        }
        PyList::new(py, sink.records)
    }

    fn poll_arrow(&self, py: Python<'_>, timeout_ms: u64, max_records: usize) -> PyResult<PyArrowBatch> {
        let deadline = deadline(timeout_ms);
        let mut columns = self.fetcher.columns(max_records);
        while columns.is_empty() && max_records > 0 {
            let (Some(chunk), _) = self.wait(py, deadline)? else { break };
            py.detach(|| self.fetcher.collect(chunk, max_records, &mut columns, |work| work()))
                .map_err(|error| from_fetch(py, &error))?;
        }
        if columns.is_empty() {
            columns.idle();
        }
        py.detach(|| PyArrowBatch::new(columns))
    }

    fn confirm(&self) {
        self.fetcher.confirm();
    }

    fn take_back(&self) {
        self.fetcher.take_back();
    }

    fn wakeup(&self) {
        self.fetcher.wakeup();
    }

    fn ready_fd(&self) -> i32 {
        self.fetcher.ready_fd()
    }

    fn lag<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let lags = PyDict::new(py);
        for (name, lag) in &self.fetcher.lag().map_err(from_client)? {
            lags.set_item(place(name), *lag)?;
        }
        Ok(lags)
    }

    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = PyDict::new(py);
        for (name, value) in self.fetcher.metrics() {
            metrics.set_item(name, value)?;
        }
        Ok(metrics)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.fetcher.close());
    }
}

/// Adds this file's names, and those of the classes that polls return, to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyConsumerRecord>()?;
    module.add_class::<PyArrowBatch>()?;
    module.add_class::<PyFetcher>()
}
