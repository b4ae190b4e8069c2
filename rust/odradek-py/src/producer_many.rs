//! Many records in one call: `send_many` over lists, `send_arrow` over rows. What one record takes: [`crate::producer`].

use odradek_core::client::producer::accumulator::NewRecord;
use odradek_core::client::producer::many::End;
use odradek_core::client::producer::topics::Topic;
use odradek_core::record::reader::Header;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::arguments::{PartitionNumber, TimestampMs, class_of};
use crate::producer::{Arguments, Opened, Tried, checked};
use crate::producer_arrow::ArrowRows;
use crate::producer_future::{ManyFuture, from_client};
use crate::producer_record::HeaderList;

/// Records between two looks whether a signal came.
const CHUNK: usize = 16_384;

/// What a `send_many` was called with, beside the topic.
pub struct Asked<'a, 'py> {
    /// Values.
    pub values: &'a Bound<'py, PyTuple>,
    /// As many keys, if there are any.
    pub keys: Option<&'a Bound<'py, PyTuple>>,
    /// Partition, if the caller chose it.
    pub partition: Option<PartitionNumber>,
    /// Headers, if any.
    pub headers: &'a [Header<'a>],
}

/// A tuple of what can be iterated, so that nobody can change it meanwhile.
pub fn listed<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    if let Ok(tuple) = values.cast::<PyTuple>() {
        return Ok(tuple.clone());
    }
    if let Ok(list) = values.cast::<PyList>() {
        return Ok(list.to_tuple());
    }
    if values.is_instance_of::<PyString>() || values.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("values and keys are sequences of records, not one"));
    }
    let list = PyList::empty(values.py());
    let each = values.try_iter().map_err(|_| {
        PyTypeError::new_err(format!("values and keys are sequences of records; {} is none", class_of(values)))
    })?;
    for value in each {
        list.append(value?)?;
    }
    Ok(list.to_tuple())
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
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Tried>> {
        self.producer.check().map_err(|error| from_client(&error))?;
        let partition = partition.map(checked).transpose()?;
        let headers = headers.map(HeaderList::of).transpose()?.unwrap_or_default();
        let headers = headers.views()?;
        let Some(topic) = self.producer.topic(name) else { return Ok(Some(Tried::NeedsTopic(0))) };
        let producer = &self.producer;
        let topic: &Topic = &topic;
        let end = if partition.is_none() && self.convert.partitioner.is_some() {
            rows.send_chosen(producer, topic, many, &headers, |record| self.convert.partition(py, topic, record))
        } else {
            py.detach(|| rows.send(producer, topic, many, &headers, partition))
        };
        end.map(|end| missing(&end, partition))
    }

    /// Sends from `start` on; returns where it stands, and what is missing.
    pub fn send_some<'py>(
        &self,
        name: &Bound<'py, PyString>,
        many: &ManyFuture,
        asked: &Asked<'_, 'py>,
        start: usize,
    ) -> PyResult<(usize, Option<Tried>)> {
        let Asked { values, keys, partition, headers } = *asked;
        if let Some(keys) = keys
            && keys.len() != values.len()
        {
            let text = format!("{} keys for {} values; give as many of each", keys.len(), values.len());
            return Err(PyValueError::new_err(text));
        }
        let mut at = start;
        while at < values.len() {
            if self.convert.is_plain() {
                let (taken, tried) = self.send_plain(name, many, asked, at);
                at += taken;
                match tried {
                    Ok(None) if taken > 0 => {
                        name.py().check_signals().map_err(|error| partly(name.py(), error, at, values.len()))?;
                        continue;
                    }
                    Ok(None) => {}
                    Ok(tried) => return Ok((at, tried)),
                    Err(error) => return Err(partly(name.py(), error, at, values.len())),
                }
            }
            let value = values.get_item(at)?;
            let key = keys.map(|keys| keys.get_item(at)).transpose()?;
            let key = key.as_ref().filter(|key| !key.is_none());
            let timestamp_ms = Some(TimestampMs(many.timestamp_ms()));
            let arguments = Arguments { value: &value, key, partition, headers, timestamp_ms };
            match self.send(name, &arguments, |_, _| Ok(None)) {
                Ok(Tried::Placed(placed, _)) => many.runs().add(&placed.state, placed.index),
                Ok(tried) => return Ok((at, Some(tried))),
                Err(error) => return Err(partly(name.py(), error, at, values.len())),
            }
            at += 1;
        }
        Ok((values.len(), None))
    }

    /// Sends records as long as they are `bytes` or None, [`CHUNK`] at most; returns how many, and what is missing.
    fn send_plain(
        &self,
        name: &Bound<'_, PyString>,
        many: &ManyFuture,
        asked: &Asked<'_, '_>,
        start: usize,
    ) -> (usize, PyResult<Option<Tried>>) {
        let Asked { values, keys, headers, .. } = *asked;
        let ready = || -> PyResult<_> {
            self.producer.check().map_err(|error| from_client(&error))?;
            Ok((asked.partition.map(checked).transpose()?, self.producer.topic(name.to_str()?)))
        };
        let (partition, topic) = match ready() {
            Ok((partition, Some(topic))) => (partition, topic),
            Ok((_, None)) => return (0, Ok(Some(Tried::NeedsTopic(0)))),
            Err(error) => return (0, Err(error)),
        };
        let mut places = start..values.len().min(start.saturating_add(CHUNK));
        let next = || {
            let at = places.next()?;
            let value = plain(values, at)?;
            let key = match keys {
                Some(keys) => plain(keys, at)?,
                None => None,
            };
            Some(NewRecord { timestamp_ms: many.timestamp_ms(), key, value, headers })
        };
        let (taken, end) = self.producer.send_row(&topic, partition, next, &mut many.runs());
        (taken, end.map(|end| missing(&end, partition)).map_err(|error| from_client(&error)))
    }
}

/// The bytes of an item that is `bytes`, a null for None; `None` for anything else.
#[inline]
fn plain<'a>(items: &'a Bound<'_, PyTuple>, at: usize) -> Option<Option<&'a [u8]>> {
    let item = items.get_borrowed_item(at).ok()?;
    match item.extract::<&'a [u8]>() {
        Ok(bytes) => Some(Some(bytes)),
        Err(_) => item.is_none().then_some(None),
    }
}

/// What the end of a row says is missing.
fn missing(end: &End, partition: Option<usize>) -> Option<Tried> {
    match end {
        End::Done => None,
        End::NeedsRoom(bytes) => Some(Tried::NeedsRoom(*bytes)),
        End::NoSuchPartition => Some(Tried::NeedsTopic(partition.unwrap_or(0) + 1)),
    }
}
