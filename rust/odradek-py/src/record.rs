//! `encode_batch`, `decode_batches`, `Record` and `RecordBatch`. Documented in `odradek/record.py`.

use odradek_core::record::batch::{BatchHeader, check_crc};
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::reader::{Header, Headers, RecordView, Records, payload};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence, PyString, PyTuple};

use crate::buffer;
use crate::compress::codec;
use crate::error::{from_batch, invalid_batch};

/// One decoded record.
#[pyclass(frozen, get_all, name = "Record", module = "odradek._native")]
pub struct PyRecord {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Py<PyBytes>>,
    value: Option<Py<PyBytes>>,
    headers: Py<PyTuple>,
}

impl PyRecord {
    fn new(py: Python<'_>, header: &BatchHeader, view: RecordView<'_>) -> PyResult<Self> {
        let bytes = |bytes: Option<&[u8]>| bytes.map(|bytes| PyBytes::new(py, bytes).unbind());
        Ok(Self {
            offset: header.offset_of(&view).map_err(|error| from_batch(&error))?,
            timestamp_ms: header.timestamp_of(&view).map_err(|error| from_batch(&error))?,
            key: bytes(view.key),
            value: bytes(view.value),
            headers: headers_out(py, view.headers)?.unbind(),
        })
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (self.offset, self.timestamp_ms, &self.key, &self.value, &self.headers).into_pyobject(py)
    }
}

#[pymethods]
impl PyRecord {
    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        self.fields(py)?.eq(other.fields(py)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.fields(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let names = ["offset", "timestamp_ms", "key", "value", "headers"];
        Ok(format!("Record({})", described(&names, &self.fields(py)?)?))
    }
}

/// One decoded batch.
#[pyclass(frozen, get_all, name = "RecordBatch", module = "odradek._native")]
pub struct PyRecordBatch {
    base_offset: i64,
    last_offset: i64,
    partition_leader_epoch: i32,
    compression: &'static str,
    timestamp_type: &'static str,
    is_transactional: bool,
    is_control: bool,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    crc: u32,
    size_bytes: usize,
    records: Py<PyList>,
}

#[pymethods]
impl PyRecordBatch {
    fn __repr__(&self, py: Python<'_>) -> String {
        let (base, last, size) = (self.base_offset, self.last_offset, self.size_bytes);
        let (compression, count) = (self.compression, self.records.bind(py).len());
        format!(
            "<RecordBatch base_offset={base} last_offset={last} compression={compression} records={count} size_bytes={size}>"
        )
    }
}

fn described(names: &[&str], values: &Bound<'_, PyTuple>) -> PyResult<String> {
    let parts: PyResult<Vec<String>> =
        names.iter().zip(values).map(|(name, value)| Ok(format!("{name}={}", value.repr()?))).collect();
    Ok(parts?.join(", "))
}

/// Headers as Python sees them: (name, value) pairs; a name that is not UTF-8 is shown with replacement characters.
pub fn headers_out<'py>(py: Python<'py>, headers: Headers<'_>) -> PyResult<Bound<'py, PyTuple>> {
    if headers.len() == 0 {
        return Ok(PyTuple::empty(py));
    }
    let headers = headers.map(|header| {
        let value = header.value.map(|value| PyBytes::new(py, value));
        (PyString::new(py, &String::from_utf8_lossy(header.key)), value)
    });
    PyTuple::new(py, headers.collect::<Vec<_>>())
}

type NullableBytes<'py> = Option<Bound<'py, PyBytes>>;

fn headers_in<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyString>, NullableBytes<'py>)>> {
    let headers = headers.cast::<PySequence>()?;
    if headers.len()? == 0 {
        return Ok(Vec::new());
    }
    headers.try_iter()?.map(|header| header?.extract()).collect()
}

fn push(builder: &mut BatchBuilder, record: &Bound<'_, PyAny>) -> PyResult<()> {
    let (timestamp_ms, key, value, headers): (i64, NullableBytes<'_>, NullableBytes<'_>, Bound<'_, PyAny>) =
        record.extract()?;
    let headers = headers_in(&headers)?;
    let mut names = Vec::with_capacity(headers.len());
    for (name, value) in &headers {
        names.push(Header { key: name.to_str()?.as_bytes(), value: value.as_ref().map(|value| value.as_bytes()) });
    }
    builder
        .push(
            timestamp_ms,
            key.as_ref().map(|key| key.as_bytes()),
            value.as_ref().map(|value| value.as_bytes()),
            names.into_iter(),
        )
        .map_err(|error| invalid_batch(&error))
}

fn is_log_append_time(timestamp_type: &str) -> PyResult<bool> {
    match timestamp_type {
        "CreateTime" => Ok(false),
        "LogAppendTime" => Ok(true),
        other => {
            Err(PyValueError::new_err(format!("timestamp type '{other}' is neither CreateTime nor LogAppendTime")))
        }
    }
}

#[pyfunction]
#[pyo3(signature = (
    records, *, base_offset=0, compression="none", level=None, producer_id=-1, producer_epoch=-1, base_sequence=-1,
    timestamp_type="CreateTime", is_transactional=false, is_control=false, partition_leader_epoch=-1
), text_signature = "(records, *, base_offset=0, compression='none', level=None, producer_id=-1, producer_epoch=-1, base_sequence=-1, timestamp_type='CreateTime', is_transactional=False, is_control=False, partition_leader_epoch=-1)")]
#[allow(clippy::too_many_arguments)] // they are the header's fields, by keyword
fn encode_batch<'py>(
    py: Python<'py>,
    records: &Bound<'py, PySequence>,
    base_offset: i64,
    compression: &str,
    level: Option<i32>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    timestamp_type: &str,
    is_transactional: bool,
    is_control: bool,
    partition_leader_epoch: i32,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset,
        partition_leader_epoch,
        compression: codec(compression)?,
        level,
        log_append_time: is_log_append_time(timestamp_type)?,
        transactional: is_transactional,
        control: is_control,
        producer_id,
        producer_epoch,
        base_sequence,
        ..BatchOptions::default()
    });
    for record in records.try_iter()? {
        push(&mut builder, &record?)?;
    }
    let batch = buffer::run(py, builder.uncompressed_bytes(), || builder.finish());
    Ok(PyBytes::new(py, &batch.map_err(|error| invalid_batch(&error))?))
}

/// Decodes the first batch of `data`; returns it with what follows it.
fn decode_batch<'py, 'a>(py: Python<'py>, data: &'a [u8], limit: usize) -> PyResult<(PyRecordBatch, &'a [u8])> {
    let (header, batch, rest) = BatchHeader::split_first(data).map_err(|error| from_batch(&error))?;
    let mut scratch = Vec::new();
    let records = buffer::run(py, batch.len(), || {
        check_crc(&header, batch)?;
        header.check_offsets()?;
        Records::new(payload(&header, batch, limit, &mut scratch)?, header.record_count)
    })
    .map_err(|error| from_batch(&error))?;
    let list = PyList::empty(py);
    for record in records {
        let record = record.map_err(|error| from_batch(&error))?;
        list.append(Bound::new(py, PyRecord::new(py, &header, record)?)?)?;
    }
    let batch = PyRecordBatch {
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        partition_leader_epoch: header.partition_leader_epoch,
        compression: header.compression().map_err(|error| from_batch(&error))?.name(),
        timestamp_type: if header.is_log_append_time() { "LogAppendTime" } else { "CreateTime" },
        is_transactional: header.is_transactional(),
        is_control: header.is_control(),
        base_timestamp_ms: header.base_timestamp,
        max_timestamp_ms: header.max_timestamp,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        crc: header.crc,
        size_bytes: header.size(),
        records: list.unbind(),
    };
    Ok((batch, rest))
}

#[pyfunction]
#[pyo3(signature = (data, *, limit=268_435_456))]
fn decode_batches<'py>(py: Python<'py>, data: &[u8], limit: usize) -> PyResult<Bound<'py, PyList>> {
    let batches = PyList::empty(py);
    let mut rest = data;
    while !rest.is_empty() {
        let (batch, after) = decode_batch(py, rest, limit)?;
        batches.append(Bound::new(py, batch)?)?;
        rest = after;
    }
    Ok(batches)
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyRecord>()?;
    module.add_class::<PyRecordBatch>()?;
    module.add_function(wrap_pyfunction!(encode_batch, module)?)?;
    module.add_function(wrap_pyfunction!(decode_batches, module)?)
}
