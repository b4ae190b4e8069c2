//! A Python record as bytes: serializers, bytes-like objects, headers, and a partitioner written in Python.

use odradek_core::client::producer::accumulator::NewRecord;
use odradek_core::client::producer::topics::Topic;
use odradek_core::record::reader::Header;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString};

/// Functions of the user's; nothing is called where there is none.
pub struct Convert {
    pub key_serializer: Option<Py<PyAny>>,
    pub value_serializer: Option<Py<PyAny>>,
    pub partitioner: Option<Py<PyAny>>,
}

impl Convert {
    /// True if a record needs none of them.
    pub fn is_plain(&self) -> bool {
        self.key_serializer.is_none() && self.value_serializer.is_none() && self.partitioner.is_none()
    }

    /// The value as its serializer makes it; `None` = as it is. A null stays one.
    #[inline]
    pub fn value<'py>(&self, topic: &str, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.value_serializer {
            Some(function) if !value.is_none() => serialize(function, "value", topic, value).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`Convert::value`], for the key.
    #[inline]
    pub fn key<'py>(&self, topic: &str, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.key_serializer {
            Some(function) if !key.is_none() => serialize(function, "key", topic, key).map(Some),
            _ => Ok(None),
        }
    }

    /// The partition that the user's function says.
    #[inline]
    pub fn partition(&self, py: Python<'_>, topic: &Topic, record: &NewRecord<'_>) -> PyResult<Option<usize>> {
        let Some(function) = &self.partitioner else { return Ok(None) };
        let bytes = |bytes: Option<&[u8]>| bytes.map(|bytes| PyBytes::new(py, bytes));
        let count = topic.queues().len();
        let said = function.call1(py, (&*topic.name, bytes(record.key), bytes(record.value), count))?;
        let partition: i64 = said.extract(py).map_err(|_| {
            PyTypeError::new_err(format!("the partitioner returned {said} for topic {}; it must be int", topic.name))
        })?;
        match usize::try_from(partition) {
            Ok(partition) if partition < count => Ok(Some(partition)),
            _ => Err(PyValueError::new_err(format!(
                "the partitioner returned {partition} for topic {}, which has partitions 0 to {}",
                topic.name,
                count.saturating_sub(1)
            ))),
        }
    }
}

fn serialize<'py>(
    function: &Py<PyAny>,
    what: &str,
    topic: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    function.bind(py).call1((object,)).map_err(|cause| {
        let message = format!("the {what} serializer failed for topic {topic}: {cause}; the record was not sent");
        let made = || -> PyResult<PyErr> {
            let class = py.import("odradek.errors")?.getattr("SerializationError")?;
            let keywords = PyDict::new(py);
            keywords.set_item("topic", topic)?;
            let error = PyErr::from_value(class.call((message,), Some(&keywords))?);
            error.set_cause(py, Some(cause));
            Ok(error)
        };
        made().unwrap_or_else(|error| error)
    })
}

/// As `what` of [`payload`]: headers have no serializer.
const HEADER: &str = "a header's value";

/// The bytes of a bytes-like object; `None` for None. Mutable ones are copied into `copy`, for they may change meanwhile.
#[inline]
pub fn payload<'a>(object: &'a Bound<'_, PyAny>, what: &str, copy: &'a mut Vec<u8>) -> PyResult<Option<&'a [u8]>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes()));
    }
    if object.is_none() {
        return Ok(None);
    }
    let Ok(buffer) = PyBuffer::<u8>::get(object) else {
        let class = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        let is_text = object.is_instance_of::<PyString>();
        let hint = match (what, is_text) {
            (HEADER, _) => if is_text { "; encode it" } else { "" }.to_owned(),
            (_, true) => format!("; encode it, or give Producer {what}_serializer='str'"),
            (_, false) => format!("; give Producer a {what}_serializer"),
        };
        return Err(PyTypeError::new_err(format!("{what} is {class}; it must be bytes-like or None{hint}")));
    };
    *copy = buffer.to_vec(object.py())?;
    Ok(Some(copy))
}

/// Headers as they were given: a sequence of (name, bytes | None), or a mapping.
#[derive(Default)]
pub struct HeaderList<'py>(Vec<(Bound<'py, PyString>, Option<Bound<'py, PyBytes>>)>);

impl<'py> HeaderList<'py> {
    /// Reads them.
    pub fn of(headers: &Bound<'py, PyAny>) -> PyResult<Self> {
        let pairs = match headers.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.into_any(),
            Err(_) => headers.clone(),
        };
        let read = |pair: PyResult<Bound<'py, PyAny>>| {
            let pair = pair?;
            let (name, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = pair.extract()?;
            let name = name.cast_into::<PyString>()?;
            if value.is_none() {
                return Ok((name, None));
            }
            let mut copy = Vec::new();
            let bytes = payload(&value, HEADER, &mut copy)?;
            Ok((name, bytes.map(|bytes| PyBytes::new(value.py(), bytes))))
        };
        let listed: PyResult<Vec<_>> = pairs.try_iter().and_then(|pairs| pairs.map(read).collect());
        listed.map(Self).map_err(|error: PyErr| {
            PyTypeError::new_err(format!(
                "headers are pairs of a str and bytes-like or None, in a sequence or a mapping: {error}"
            ))
        })
    }

    /// Views of them.
    pub fn views(&self) -> PyResult<Vec<Header<'_>>> {
        if self.0.is_empty() {
            return Ok(Vec::new()); // the usual case, in every send
        }
        self.0
            .iter()
            .map(|(name, value)| {
                Ok(Header { key: name.to_str()?.as_bytes(), value: value.as_ref().map(|value| value.as_bytes()) })
            })
            .collect()
    }
}
