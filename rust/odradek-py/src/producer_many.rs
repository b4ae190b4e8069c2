//! Many records in one call: `send_many` over lists, `send_arrow` over rows. What one record takes: [`crate::producer`].

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::producer::{Arguments, Opened, Tried, checked};
use crate::producer_arrow::{ArrowRows, Stop};
use crate::producer_future::{ManyFuture, from_client};
use crate::producer_record::HeaderList;

/// A list as it is, anything else that can be iterated as a new one.
pub fn listed<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    if let Ok(list) = values.cast::<PyList>() {
        return Ok(list.clone());
    }
    if values.is_instance_of::<PyString>() || values.is_instance_of::<pyo3::types::PyBytes>() {
        return Err(PyTypeError::new_err("values and keys are sequences of records, not one"));
    }
    let list = PyList::empty(values.py());
    for value in values.try_iter()? {
        list.append(value?)?;
    }
    Ok(list)
}

/// Says how far a `send_many` came before it failed.
pub fn partly(py: Python<'_>, error: PyErr, taken: usize, count: usize) -> PyErr {
    let note = format!("{taken} of the {count} records of this send_many were taken and are being sent");
    let _ = error.value(py).call_method1("add_note", (note,));
    error
}

impl Opened {
    /// Sends rows without the interpreter lock, unless a function of the user's chooses the partition.
    pub fn send_rows(
        &self,
        py: Python<'_>,
        name: &str,
        rows: &ArrowRows,
        many: &ManyFuture,
        partition: Option<i32>,
        headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Tried>> {
        self.producer.check().map_err(|error| from_client(&error))?;
        let partition = partition.map(checked).transpose()?;
        let headers = headers.map(HeaderList::of).transpose()?;
        let headers = headers.as_ref().map(HeaderList::views).transpose()?.unwrap_or_default();
        let Some(topic) = self.producer.topic(name) else { return Ok(Some(Tried::NeedsTopic(0))) };
        let producer = &self.producer;
        let stop = if partition.is_none() && self.convert.partitioner.is_some() {
            rows.send(producer, &topic, many, &headers, |record| self.convert.partition(py, &topic, record))
        } else {
            py.detach(|| rows.send(producer, &topic, many, &headers, |_| Ok(partition)))
        };
        Ok(match stop? {
            Stop::Done => None,
            Stop::NeedsRoom(bytes) => Some(Tried::NeedsRoom(bytes)),
            Stop::NoSuchPartition => Some(Tried::NeedsTopic(partition.unwrap_or(0) + 1)),
        })
    }

    #[allow(clippy::too_many_arguments)] // what send_many is called with, and where it stands
    pub fn send_some<'py>(
        &self,
        name: &Bound<'py, PyString>,
        many: &ManyFuture,
        values: &Bound<'py, PyList>,
        keys: Option<&Bound<'py, PyList>>,
        start: usize,
        partition: Option<i32>,
        headers: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(usize, Option<Tried>)> {
        if let Some(keys) = keys
            && keys.len() != values.len()
        {
            let text = format!("{} keys for {} values; give as many of each", keys.len(), values.len());
            return Err(PyValueError::new_err(text));
        }
        for at in start..values.len() {
            let value = values.get_item(at)?;
            let key = keys.map(|keys| keys.get_item(at)).transpose()?;
            let key = key.as_ref().filter(|key| !key.is_none());
            let timestamp_ms = Some(many.timestamp_ms());
            let arguments = Arguments { value: &value, key, partition, headers, timestamp_ms };
            match self.send(name, &arguments, |_, _| Ok(None)) {
                Ok(Tried::Placed(placed, _)) => many.add(placed.state, placed.index),
                Ok(tried) => return Ok((at, Some(tried))),
                Err(error) => return Err(partly(name.py(), error, at, values.len())),
            }
        }
        Ok((values.len(), None))
    }
}
