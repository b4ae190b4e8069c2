//! `ConsumerRecord`, and the sink that makes them while a chunk is walked. Documented in `_native.pyi`.
//!
//! Key and value are copied out at once: reading both costs less so than through a view, and a record that is kept for long
//! does not keep the answer of some MiB that it came in. Headers are copied as bytes and taken apart when asked for.

use odradek_core::client::consumer::{FetchedRecord, Run, Sink};
use odradek_core::record::reader::Headers;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

use crate::error::from_batch;
use crate::record::headers_out;

const CREATE_TIME: &str = "CreateTime";
const LOG_APPEND_TIME: &str = "LogAppendTime";

enum HeadersOf {
    None,
    /// As they came: number and bytes.
    Raw(i32, Box<[u8]>),
    /// As they were given.
    Made(Py<PyTuple>),
}

/// One record as `Fetcher.poll` returns it. Immutable, hashable, can be pickled.
///
/// Key and value are bytes objects of their own: a record that is kept keeps nothing else in memory.
#[pyclass(frozen, name = "ConsumerRecord", module = "odradek._native")]
pub struct PyConsumerRecord {
    #[pyo3(get)]
    topic: Py<PyString>,
    #[pyo3(get)]
    partition: i32,
    #[pyo3(get)]
    offset: i64,
    #[pyo3(get)]
    timestamp_ms: i64,
    /// Epoch of the leader that appended the record; -1 = not known.
    #[pyo3(get)]
    leader_epoch: i32,
    #[pyo3(get)]
    key: Option<Py<PyBytes>>,
    #[pyo3(get)]
    value: Option<Py<PyBytes>>,
    log_append_time: bool,
    headers: HeadersOf,
}

fn size(py: Python<'_>, bytes: Option<&Py<PyBytes>>) -> isize {
    bytes.map_or(-1, |bytes| isize::try_from(bytes.bind(py).as_bytes().len()).unwrap_or(isize::MAX))
}

#[pymethods]
impl PyConsumerRecord {
    #[new]
    #[pyo3(
        signature = (
            topic, partition, offset, timestamp_ms=-1, timestamp_type=CREATE_TIME, key=None, value=None, headers=None,
            leader_epoch=-1
        ),
        text_signature = "(topic, partition, offset, timestamp_ms=-1, timestamp_type='CreateTime', key=None, value=None, headers=None, leader_epoch=-1)"
    )]
    #[allow(clippy::too_many_arguments)] // they are the record's fields, by keyword
    fn new(
        topic: Py<PyString>,
        partition: i32,
        offset: i64,
        timestamp_ms: i64,
        timestamp_type: &str,
        key: Option<Py<PyBytes>>,
        value: Option<Py<PyBytes>>,
        headers: Option<Py<PyTuple>>,
        leader_epoch: i32,
    ) -> PyResult<Self> {
        let log_append_time = match timestamp_type {
            CREATE_TIME => false,
            LOG_APPEND_TIME => true,
            other => {
                let text = format!("timestamp type '{other}' is neither CreateTime nor LogAppendTime");
                return Err(PyValueError::new_err(text));
            }
        };
        let headers = headers.map_or(HeadersOf::None, HeadersOf::Made);
        Ok(Self { topic, partition, offset, timestamp_ms, leader_epoch, key, value, log_append_time, headers })
    }

    /// `CreateTime`: the producer's clock; `LogAppendTime`: the broker's.
    #[getter]
    fn timestamp_type(&self) -> &'static str {
        if self.log_append_time { LOG_APPEND_TIME } else { CREATE_TIME }
    }

    /// (name, value) pairs in their order; read from the record's bytes at each access.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match &self.headers {
            HeadersOf::None => Ok(PyTuple::empty(py)),
            HeadersOf::Made(made) => Ok(made.bind(py).clone()),
            HeadersOf::Raw(count, raw) => {
                headers_out(py, Headers::parse(raw, *count).map_err(|error| from_batch(&error))?)
            }
        }
    }

    /// Where it is from.
    #[getter]
    fn topic_partition<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        CLASS.import(py, "odradek.types", "TopicPartition")?.call1((&self.topic, self.partition))
    }

    /// Bytes of the key, -1 for null.
    #[getter]
    fn key_size(&self, py: Python<'_>) -> isize {
        size(py, self.key.as_ref())
    }

    /// Bytes of the value, -1 for null.
    #[getter]
    fn value_size(&self, py: Python<'_>) -> isize {
        size(py, self.value.as_ref())
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let headers = self.headers(py)?;
        let (topic, key, value) = (&self.topic, &self.key, &self.value);
        let kind = self.timestamp_type();
        (topic, self.partition, self.offset, self.timestamp_ms, kind, key, value, headers, self.leader_epoch)
            .into_pyobject(py)
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        self.__getnewargs__(py)?.eq(other.__getnewargs__(py)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.__getnewargs__(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let bytes = |bytes: &Option<Py<PyBytes>>| match bytes {
            None => Ok("None".to_owned()),
            Some(bytes) => bytes.bind(py).repr().map(|text| text.to_string()),
        };
        Ok(format!(
            "ConsumerRecord(topic={}, partition={}, offset={}, timestamp_ms={}, timestamp_type='{}', key={}, value={}, headers={}, leader_epoch={})",
            self.topic.bind(py).repr()?,
            self.partition,
            self.offset,
            self.timestamp_ms,
            self.timestamp_type(),
            bytes(&self.key)?,
            bytes(&self.value)?,
            self.headers(py)?.repr()?,
            self.leader_epoch,
        ))
    }
}

/// Makes records under the interpreter lock.
pub struct RecordSink<'py> {
    py: Python<'py>,
    topic: Option<Bound<'py, PyString>>,
    partition: i32,
    leader_epoch: i32,
    log_append_time: bool,
    /// Those made so far.
    pub records: Vec<Bound<'py, PyConsumerRecord>>,
    /// What ended the making of more.
    pub failure: Option<PyErr>,
}

impl<'py> RecordSink<'py> {
    /// An empty one.
    pub fn new(py: Python<'py>) -> Self {
        Self {
            py,
            topic: None,
            partition: -1,
            leader_epoch: -1,
            log_append_time: false,
            records: Vec::new(),
            failure: None,
        }
    }
}

impl Sink for RecordSink<'_> {
    fn begin(&mut self, run: &Run<'_>) {
        self.topic = Some(PyString::intern(self.py, &run.partition.topic));
        self.partition = run.partition.partition;
        self.leader_epoch = run.leader_epoch;
        self.log_append_time = run.log_append_time;
        self.records.reserve(run.records);
    }

    #[inline]
    fn record(&mut self, record: &FetchedRecord<'_>) {
        let Some(topic) = &self.topic else { return };
        let bytes = |bytes: Option<&[u8]>| bytes.map(|bytes| PyBytes::new(self.py, bytes).unbind());
        let headers = match record.headers.len() {
            0 => HeadersOf::None,
            // A record's size keeps the number within 31 bits.
            count => HeadersOf::Raw(count as i32, Box::from(record.headers.raw())),
        };
        let made = PyConsumerRecord {
            topic: topic.clone().unbind(),
            partition: self.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            leader_epoch: self.leader_epoch,
            key: bytes(record.key),
            value: bytes(record.value),
            log_append_time: self.log_append_time,
            headers,
        };
        match Bound::new(self.py, made) {
            Ok(made) => self.records.push(made),
            Err(error) => self.failure = Some(error),
        }
    }

    fn has_room(&self) -> bool {
        self.failure.is_none()
    }
}
