//! `NativeProducer`: `odradek.Producer` is a Python subclass that adds no frame to `send`. Documented in `_native.pyi`.
//!
//! `send` holds the interpreter lock unless it has to wait: a record costs less than giving the lock up would.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use odradek_core::client::ClientError;
use odradek_core::client::producer::accumulator::{NewRecord, Placed};
use odradek_core::client::producer::delivery::{Completion, Watcher};
use odradek_core::client::producer::pool::{Buffer, Room};
use odradek_core::client::producer::topics::Topic;
use odradek_core::client::producer::{Producer, Sent};
use odradek_core::clock::{Clock, SystemClock};
use odradek_core::record::reader::Header;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::arguments::{Callback, PartitionNumber, Seconds, TimestampMs, topic_name};
use crate::producer_arrow::ArrowRows;
use crate::producer_calls::{Call, Dispatcher, dispatch, hang, start_dispatcher, wait_for_calls};
use crate::producer_future::{
    AsyncDeliveryFuture, DeliveryFuture, ManyFuture, Slot, block, deadline, from_client, timed_out,
};
use crate::producer_many::{Asked, listed, partly};
use crate::producer_record::{Convert, HeaderList, payload};

/// What is set once by `_open`.
pub struct Opened {
    /// The core's producer.
    pub producer: Producer,
    /// The user's serializers and partitioner.
    pub convert: Convert,
    on_delivery: Option<Py<PyAny>>,
}

/// The native half of both producers. `odradek.Producer` subclasses it, so that `send` has no Python frame.
// Its name is what errors and `help` show; the module has it as `NativeProducer`.
#[pyclass(frozen, subclass, weakref, name = "Producer", module = "odradek._native")]
pub struct NativeProducer {
    opened: OnceLock<Opened>,
}

/// What `send` is called with, beside the topic.
pub struct Arguments<'a, 'py> {
    /// Value.
    pub value: &'a Bound<'py, PyAny>,
    /// Key; `None` = null.
    pub key: Option<&'a Bound<'py, PyAny>>,
    /// Partition, if the caller chose it.
    pub partition: Option<PartitionNumber>,
    /// Headers, if any.
    pub headers: &'a [Header<'a>],
    /// Timestamp, if not now.
    pub timestamp_ms: Option<TimestampMs>,
}

/// What a send came to that is not to wait.
pub enum Tried {
    /// Taken, with its timestamp.
    Placed(Placed, i64),
    /// The buffer lacks so many bytes.
    NeedsRoom(usize),
    /// The topic is unknown, or has fewer partitions than so many.
    NeedsTopic(usize),
}

/// `partition`, `headers`, `timestamp_ms` and `on_delivery` of a `_try_send`.
type Rest<'py> = (Option<PartitionNumber>, Option<Bound<'py, PyAny>>, Option<TimestampMs>, Option<Callback<'py>>);

/// Where the I/O thread puts a topic that a thread waits for.
type Found = (Mutex<Option<Result<Arc<Topic>, ClientError>>>, Condvar);

impl NativeProducer {
    #[inline]
    fn opened(&self) -> PyResult<&Opened> {
        self.opened.get().ok_or_else(|| PyRuntimeError::new_err("Producer.__init__ has not run"))
    }
}

impl Opened {
    fn slot(&self, placed: Placed, timestamp_ms: i64) -> Slot {
        if self.producer.shared().is_closing() {
            // Another thread closed the producer between the check and the append.
            self.producer.fail_rest();
        }
        Slot { state: placed.state, index: placed.index, timestamp_ms }
    }

    /// Serializes, chooses the partition and appends, waiting with `wait` for what is missing until it gives up.
    #[inline]
    pub fn send<'py>(
        &self,
        name: &Bound<'py, PyString>,
        arguments: &Arguments<'_, 'py>,
        mut wait: impl FnMut(&str, &Tried) -> PyResult<Option<Option<Buffer>>>,
    ) -> PyResult<Tried> {
        let py = name.py();
        self.producer.check().map_err(|error| from_client(&error))?;
        let topic_name = name.to_str()?;
        let serialized_value = self.convert.value(topic_name, arguments.value)?;
        let serialized_key = arguments.key.map(|key| self.convert.key(topic_name, key)).transpose()?.flatten();
        let (mut value_copy, mut key_copy) = (Vec::new(), Vec::new());
        let value = payload(serialized_value.as_ref().unwrap_or(arguments.value), "value", &mut value_copy)?;
        let key_object = serialized_key.as_ref().or(arguments.key);
        let key = match key_object {
            Some(key) => payload(key, "key", &mut key_copy)?,
            None => None,
        };
        let timestamp_ms = match arguments.timestamp_ms {
            None => SystemClock.now_ms(),
            Some(TimestampMs(given)) if given >= 0 => given,
            Some(TimestampMs(given)) => {
                return Err(PyValueError::new_err(format!("timestamp_ms is {given}; it can't be below 0")));
            }
        };
        let record = NewRecord { timestamp_ms, key, value, headers: arguments.headers };
        self.producer.check_size(&record).map_err(|error| from_client(&error))?;
        let mut spare = None;
        loop {
            let append = |topic: &Topic| self.append(py, topic, arguments.partition, &record, &mut spare);
            let tried = self.producer.with_topic(topic_name, append).unwrap_or(Ok(Tried::NeedsTopic(0)))?;
            if matches!(tried, Tried::Placed(..)) {
                return Ok(tried);
            }
            match wait(topic_name, &tried)? {
                None => return Ok(tried),
                Some(buffer) => spare = buffer,
            }
        }
    }

    #[inline]
    fn append(
        &self,
        py: Python<'_>,
        topic: &Topic,
        partition: Option<PartitionNumber>,
        record: &NewRecord<'_>,
        spare: &mut Option<Buffer>,
    ) -> PyResult<Tried> {
        let partition = match partition {
            Some(given) => Some(checked(given)?),
            None => self.convert.partition(py, topic, record)?,
        };
        match self.producer.send(topic, partition, record, spare).map_err(|error| from_client(&error))? {
            Sent::Placed(placed) => {
                let shared = self.producer.shared();
                if placed.tell && shared.tell() {
                    py.detach(|| shared.work());
                }
                Ok(Tried::Placed(placed, record.timestamp_ms))
            }
            Sent::NeedsRoom(bytes) => Ok(Tried::NeedsRoom(bytes)),
            Sent::NoSuchPartition => Ok(Tried::NeedsTopic(partition.unwrap_or(0) + 1)),
        }
    }

    /// Blocks for what a send lacks, until `until`.
    fn wait(&self, py: Python<'_>, topic: &str, tried: &Tried, until: Instant) -> PyResult<Option<Buffer>> {
        match tried {
            Tried::Placed(..) => Ok(None),
            Tried::NeedsRoom(bytes) => self.wait_for_room(py, *bytes, until).map(Some),
            Tried::NeedsTopic(partitions) => {
                self.find_topic(py, topic, *partitions, until)?;
                Ok(None)
            }
        }
    }

    fn wait_for_room(&self, py: Python<'_>, bytes: usize, until: Instant) -> PyResult<Buffer> {
        let accumulator = &self.producer.shared().accumulator;
        let ticket = accumulator.pool.wait(bytes, None);
        accumulator.signal.recheck();
        let waited = block(py, Some(until), |until| match ticket.wait_until(until) {
            Room::Waiting => None,
            room => Some(room),
        });
        match waited {
            Ok(Some(Room::Granted)) => Ok(accumulator.pool.take_granted(&ticket)),
            Ok(Some(_)) => Err(from_client(&ClientError::Closed)),
            Ok(None) => {
                accumulator.pool.cancel(&ticket);
                Err(from_client(&self.buffer_full()))
            }
            Err(signal) => {
                accumulator.pool.cancel(&ticket);
                Err(signal)
            }
        }
    }

    fn buffer_full(&self) -> ClientError {
        let settings = &self.producer.shared().settings;
        let (bytes, wait) = (settings.buffer_memory, settings.max_block.as_millis());
        let detail = format!(
            "buffer_memory, {bytes} bytes, stayed full for max_block_ms, {wait}: the brokers take records more slowly than \
             they are sent, or not at all; the record was not taken"
        );
        ClientError::BufferFull { detail }
    }

    fn find_topic(&self, py: Python<'_>, name: &str, partitions: usize, until: Instant) -> PyResult<Arc<Topic>> {
        let found: Arc<Found> = Arc::default();
        let result = Arc::clone(&found);
        self.producer.find_topic(name, partitions, until, move |topic| {
            *result.0.lock() = Some(topic);
            result.1.notify_all();
        });
        let shared = self.producer.shared();
        // The I/O thread keeps to the deadline itself, and knows better what was missing.
        let topic = block(py, None, |until| {
            let mut slot = found.0.lock();
            if slot.is_none() {
                found.1.wait_until(&mut slot, until);
            }
            slot.take().or_else(|| shared.is_closing().then_some(Err(ClientError::Closed)))
        })?;
        topic.unwrap_or(Err(ClientError::Closed)).map_err(|error| from_client(&error))
    }

    fn placed(&self, py: Python<'_>, slot: &Slot, on_delivery: Option<&Callback<'_>>) -> PyResult<bool> {
        let function = match (on_delivery, &self.on_delivery) {
            (Some(Callback(function)), _) => function.clone().unbind(),
            (None, Some(function)) => function.clone_ref(py),
            (None, None) => return Ok(false),
        };
        if !hang(slot, Call::Delivery(function.clone_ref(py))) {
            // It was done before anybody could hang a call on it; it goes the same way as the others.
            let state = Arc::clone(&slot.state);
            let watcher: Watcher = Box::new(vec![(slot.index, slot.timestamp_ms, Call::Delivery(function))]);
            self.producer.shared().completions.push(0, Completion::Batch(state, watcher));
        }
        Ok(true)
    }
}

pub fn checked(PartitionNumber(partition): PartitionNumber) -> PyResult<usize> {
    usize::try_from(partition)
        .map_err(|_| PyValueError::new_err(format!("partition is {partition}; it can't be below 0")))
}

#[pymethods]
impl NativeProducer {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { opened: OnceLock::new() }
    }

    #[pyo3(signature = (texts, *, key_serializer=None, value_serializer=None, partitioner=None, on_delivery=None))]
    fn _open(
        &self,
        py: Python<'_>,
        texts: BTreeMap<String, String>,
        key_serializer: Option<Py<PyAny>>,
        value_serializer: Option<Py<PyAny>>,
        partitioner: Option<Py<PyAny>>,
        on_delivery: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let producer = py.detach(|| Producer::open(&texts)).map_err(|error| from_client(&error))?;
        let convert = Convert { key_serializer, value_serializer, partitioner };
        self.opened
            .set(Opened { producer, convert, on_delivery })
            .map_err(|_| PyRuntimeError::new_err("Producer.__init__ runs once"))
    }

    #[doc = include_str!("producer_send.txt")]
    #[pyo3(signature = (topic, value, key=None, *, partition=None, headers=None, timestamp_ms=None, on_delivery=None))]
    #[allow(clippy::too_many_arguments)] // the public signature
    fn send<'py>(
        &self,
        py: Python<'py>,
        topic: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        key: Option<&Bound<'py, PyAny>>,
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'py, PyAny>>,
        timestamp_ms: Option<TimestampMs>,
        on_delivery: Option<Callback<'py>>,
    ) -> PyResult<DeliveryFuture> {
        let opened = self.opened()?;
        let headers = headers.map(HeaderList::of).transpose()?.unwrap_or_default();
        let arguments = Arguments { value, key, partition, headers: &headers.views()?, timestamp_ms };
        let mut until = None;
        let tried = opened.send(topic_name(topic)?, &arguments, |name, tried| {
            let until = *until.get_or_insert_with(|| Instant::now() + opened.producer.shared().settings.max_block);
            opened.wait(py, name, tried, until).map(Some)
        })?;
        let Tried::Placed(placed, timestamp_ms) = tried else { return Err(from_client(&ClientError::Closed)) };
        let slot = opened.slot(placed, timestamp_ms);
        if opened.placed(py, &slot, on_delivery.as_ref())? {
            start_dispatcher(py, opened.producer.shared())?;
        }
        Ok(DeliveryFuture { slot })
    }

    fn _try_send<'py>(
        &self,
        py: Python<'py>,
        topic: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        key: Option<&Bound<'py, PyAny>>,
        rest: Rest<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let opened = self.opened()?;
        let (partition, headers, timestamp_ms, on_delivery) = rest;
        let headers = headers.as_ref().map(HeaderList::of).transpose()?.unwrap_or_default();
        let arguments = Arguments { value, key, partition, headers: &headers.views()?, timestamp_ms };
        match opened.send(topic_name(topic)?, &arguments, |_, _| Ok(None))? {
            Tried::Placed(placed, timestamp_ms) => {
                let slot = opened.slot(placed, timestamp_ms);
                opened.placed(py, &slot, on_delivery.as_ref())?;
                Ok(Bound::new(py, AsyncDeliveryFuture { slot })?.into_any())
            }
            Tried::NeedsRoom(bytes) => Ok((bytes.max(1) as i64).into_pyobject(py)?.into_any()),
            Tried::NeedsTopic(partitions) => Ok((-(partitions as i64)).into_pyobject(py)?.into_any()),
        }
    }

    /// Send a record for each of `values`, with the key at the same place; `headers` and the time are those of all.
    ///
    /// Raises:
    ///     As `send`; a note on the exception says how many records were taken before it.
    #[pyo3(signature = (topic, values, keys=None, *, partition=None, headers=None, timestamp_ms=None))]
    #[allow(clippy::too_many_arguments)] // the public signature
    fn send_many<'py>(
        &self,
        py: Python<'py>,
        topic: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        keys: Option<&Bound<'py, PyAny>>,
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'py, PyAny>>,
        timestamp_ms: Option<TimestampMs>,
    ) -> PyResult<ManyFuture> {
        let opened = self.opened()?;
        let many = self._start_many(timestamp_ms)?;
        let (values, keys) = (listed(values)?, keys.map(listed).transpose()?);
        let headers = headers.map(HeaderList::of).transpose()?.unwrap_or_default();
        let asked = Asked { values: &values, keys: keys.as_ref(), partition, headers: &headers.views()? };
        let until = Instant::now() + opened.producer.shared().settings.max_block;
        let mut start = 0;
        while start < values.len() {
            let (next, tried) = opened.send_some(topic_name(topic)?, &many, &asked, start)?;
            start = next;
            if let Some(tried) = tried
                && let Err(error) = opened.wait_for(py, topic_name(topic)?.to_str()?, &tried, until)
            {
                return Err(partly(py, error, start, values.len()));
            }
        }
        Ok(many)
    }

    #[doc = include_str!("producer_send_arrow.txt")]
    #[pyo3(signature = (topic, table, *, value="value", key=None, partition=None, headers=None, timestamp_ms=None))]
    #[allow(clippy::too_many_arguments)] // the public signature
    fn send_arrow<'py>(
        &self,
        py: Python<'py>,
        topic: &Bound<'py, PyAny>,
        table: &Bound<'py, PyAny>,
        value: &str,
        key: Option<&str>,
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'py, PyAny>>,
        timestamp_ms: Option<TimestampMs>,
    ) -> PyResult<ManyFuture> {
        let opened = self.opened()?;
        let many = self._start_many(timestamp_ms)?;
        let rows = ArrowRows::of(table, value, key)?;
        let name = topic_name(topic)?.to_str()?;
        let until = Instant::now() + opened.producer.shared().settings.max_block;
        loop {
            let waited = match opened.send_rows(py, name, &rows, &many, partition, headers) {
                Ok(None) => return Ok(many),
                Ok(Some(tried)) => opened.wait_for(py, name, &tried, until),
                Err(error) => Err(error),
            };
            if let Err(error) = waited {
                let (sent, count) = rows.progress();
                return Err(partly(py, error, sent, count));
            }
        }
    }

    #[staticmethod]
    #[pyo3(signature = (table, value, key=None))]
    fn _arrow_rows(table: &Bound<'_, PyAny>, value: &str, key: Option<&str>) -> PyResult<ArrowRows> {
        ArrowRows::of(table, value, key)
    }

    #[pyo3(signature = (many, topic, rows, partition, headers))]
    fn _send_rows(
        &self,
        py: Python<'_>,
        many: &ManyFuture,
        topic: &Bound<'_, PyAny>,
        rows: &ArrowRows,
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let opened = self.opened()?;
        opened.send_rows(py, topic_name(topic)?.to_str()?, rows, many, partition, headers).map(|tried| lacks(&tried))
    }

    #[staticmethod]
    fn _listed<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        listed(values)
    }

    #[pyo3(signature = (timestamp_ms=None))]
    fn _start_many(&self, timestamp_ms: Option<TimestampMs>) -> PyResult<ManyFuture> {
        if let Some(TimestampMs(given)) = timestamp_ms
            && given < 0
        {
            return Err(PyValueError::new_err(format!("timestamp_ms is {given}; it can't be below 0")));
        }
        Ok(ManyFuture::new(
            &self.opened()?.producer,
            timestamp_ms.map_or_else(|| SystemClock.now_ms(), |given| given.0),
        ))
    }

    #[pyo3(signature = (many, topic, values, keys, start, partition, headers))]
    #[allow(clippy::too_many_arguments)] // what send_many is called with, and where it stands
    fn _send_some<'py>(
        &self,
        many: &ManyFuture,
        topic: &Bound<'py, PyAny>,
        values: &Bound<'py, PyTuple>,
        keys: Option<&Bound<'py, PyTuple>>,
        start: usize,
        partition: Option<PartitionNumber>,
        headers: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(usize, i64)> {
        let opened = self.opened()?;
        let headers = headers.map(HeaderList::of).transpose()?.unwrap_or_default();
        let asked = Asked { values, keys, partition, headers: &headers.views()? };
        let (next, tried) = opened.send_some(topic_name(topic)?, many, &asked, start)?;
        Ok((next, lacks(&tried)))
    }

    fn _when_room(&self, size: usize, waiting: Py<PyAny>) -> PyResult<()> {
        let shared = Arc::clone(self.opened()?.producer.shared());
        let told = Arc::clone(&shared);
        let on_grant = move || told.completions.push(0, Completion::Other(Box::new(waiting), Ok(())));
        shared.accumulator.pool.wait(size, Some(Box::new(on_grant)));
        shared.accumulator.signal.recheck();
        Ok(())
    }

    fn _when_topic(&self, topic: &str, partitions: usize, timeout: f64, waiting: Py<PyAny>) -> PyResult<()> {
        let opened = self.opened()?;
        let told = Arc::clone(opened.producer.shared());
        let until = deadline(Some(timeout))?.unwrap_or_else(Instant::now);
        opened.producer.find_topic(topic, partitions, until, move |found| {
            told.completions.push(0, Completion::Other(Box::new(waiting), found.map(drop)));
        });
        Ok(())
    }

    fn _when_flushed(&self, waiting: Py<PyAny>) -> PyResult<()> {
        let producer = &self.opened()?.producer;
        let told = Arc::clone(producer.shared());
        let mark = producer.flush();
        let on_flushed = move || told.completions.push(0, Completion::Other(Box::new(waiting), Ok(())));
        producer.shared().accumulator.outstanding.when_flushed(mark, Box::new(on_flushed));
        Ok(())
    }

    /// Send everything now and wait until each record sent before is delivered or has failed.
    ///
    /// `on_delivery` and done callbacks of those records have returned by then, as with Kafka's own client. Called from one
    /// of them, it waits for the records only.
    ///
    /// Raises:
    ///     TimeoutError: after `timeout` seconds; says how many records are left, or that callbacks are. They stay under way.
    /// Blocks without the GIL; Ctrl-C works.
    #[pyo3(signature = (timeout=None))]
    fn flush(&self, py: Python<'_>, timeout: Option<Seconds>) -> PyResult<()> {
        let timeout = timeout.map(|Seconds(seconds)| seconds);
        let producer = &self.opened()?.producer;
        producer.shared().check_fork().map_err(|error| from_client(&error))?;
        let until = deadline(timeout)?;
        let mark = producer.flush();
        let outstanding = &producer.shared().accumulator.outstanding;
        match block(py, until, |until| outstanding.wait_until(mark, until).then_some(()))? {
            Some(()) => wait_for_calls(py, producer.shared(), until, timeout),
            None => {
                let left = outstanding.records_before(mark);
                Err(timed_out(format!("flushing ({left} records are not delivered yet)"), timeout))
            }
        }
    }

    /// Return the topic's partitions; waits for metadata as `send` does, or `timeout` seconds.
    #[pyo3(signature = (topic, timeout=None))]
    fn partitions_for(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyAny>,
        timeout: Option<Seconds>,
    ) -> PyResult<Vec<usize>> {
        let (topic, timeout) = (topic_name(topic)?.to_str()?, timeout.map(|Seconds(seconds)| seconds));
        let opened = self.opened()?;
        opened.producer.check().map_err(|error| from_client(&error))?;
        let until = deadline(timeout)?.unwrap_or_else(|| Instant::now() + opened.producer.shared().settings.max_block);
        let count = match opened.producer.topic(topic) {
            Some(known) => known.queues().len(),
            None => opened.find_topic(py, topic, 0, until)?.queues().len(),
        };
        Ok((0..count).collect())
    }

    /// Return the producer's numbers: totals since it was opened, means, and what is under way. Units end the names.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let shared = self.opened()?.producer.shared();
        let dict = PyDict::new(py);
        for (name, value) in shared.metrics.rows() {
            dict.set_item(name, value)?;
        }
        let pool = &shared.accumulator.pool;
        dict.set_item("buffer_total_bytes", shared.settings.buffer_memory as f64)?;
        dict.set_item("buffer_available_bytes", pool.available() as f64)?;
        dict.set_item("waiting_threads", pool.waiting() as f64)?;
        dict.set_item("batches_outstanding", shared.accumulator.outstanding.count() as f64)?;
        Ok(dict)
    }

    fn _records_left(&self) -> PyResult<u64> {
        let outstanding = &self.opened()?.producer.shared().accumulator.outstanding;
        Ok(outstanding.records_before(outstanding.mark()))
    }

    fn _stop_taking(&self) -> bool {
        let takes = |opened: &Opened| opened.producer.shared().check_fork().is_ok() && opened.producer.stop_taking();
        self.opened.get().is_some_and(takes)
    }

    fn _shut(&self, py: Python<'_>) {
        if let Some(opened) = self.opened.get() {
            py.detach(|| opened.producer.close());
            opened.producer.shared().completions.push(0, Completion::End);
        }
    }

    fn _is_open(&self) -> bool {
        self.opened.get().is_some_and(|opened| opened.producer.check().is_ok())
    }

    fn _completion_fd(&self) -> PyResult<i32> {
        Ok(self.opened()?.producer.shared().completions.fd())
    }

    fn _dispatch(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(dispatch(py, self.opened()?.producer.shared()))
    }

    fn _max_block(&self) -> PyResult<f64> {
        Ok(self.opened()?.producer.shared().settings.max_block.as_secs_f64())
    }
}

/// What is missing, as a number: 0 = nothing, above 0 room for so many bytes, below 0 the topic with -n - 1 partitions.
fn lacks(tried: &Option<Tried>) -> i64 {
    match tried {
        Some(Tried::NeedsRoom(bytes)) => (*bytes).max(1) as i64,
        Some(Tried::NeedsTopic(partitions)) => -(*partitions as i64) - 1,
        _ => 0,
    }
}

impl Opened {
    fn wait_for(&self, py: Python<'_>, topic: &str, tried: &Tried, until: Instant) -> PyResult<()> {
        // The room waited for is given back at once: the next try asks for what it needs then.
        self.wait(py, topic, tried, until).map(drop)
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NativeProducer", module.py().get_type::<NativeProducer>())?;
    module.add_class::<DeliveryFuture>()?;
    module.add_class::<AsyncDeliveryFuture>()?;
    module.add_class::<ManyFuture>()?;
    module.add_class::<ArrowRows>()?;
    module.add_class::<Dispatcher>()
}
