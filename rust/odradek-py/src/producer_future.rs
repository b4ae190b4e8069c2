//! Futures of sent records, and how their fate reaches Python. Documented in `_native.pyi`.
//!
//! A future is a batch's shared state, an index and a timestamp: no lock and no list a record. Only a callback or an `await`
//! hangs something on the batch; what becomes of that is in [`crate::producer_calls`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use odradek_core::client::ClientError;
use odradek_core::client::producer::delivery::BatchState;
use odradek_core::client::producer::many::{Run, Runs};
use odradek_core::client::producer::{Producer, Shared};
use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString};

use crate::arguments::Seconds;
use crate::error;
use crate::producer_calls::{Call, hang, log_failure, start_dispatcher};

/// The exception of an error that several futures share.
pub fn from_client(error: &ClientError) -> PyErr {
    error::from_client(error.clone())
}

/// How long a thread waits before it looks whether a signal came.
const SLICE: Duration = Duration::from_millis(50);

/// Blocks without the interpreter lock until `poll` gives something, the deadline, or an exception of a signal handler.
pub fn block<T: Send>(
    py: Python<'_>,
    deadline: Option<Instant>,
    poll: impl Fn(Instant) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    loop {
        let slice = Instant::now() + SLICE;
        let until = deadline.map_or(slice, |deadline| deadline.min(slice));
        if let Some(value) = py.detach(|| poll(until)) {
            return Ok(Some(value));
        }
        py.check_signals()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// The deadline of a timeout in seconds; `None` = never.
pub fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(seconds) = timeout else { return Ok(None) };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout is not a number"));
    }
    let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Ok(Instant::now().checked_add(wait))
}

static METADATA: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn metadata<'py>(py: Python<'py>, state: &BatchState, offset: i64, timestamp_ms: i64) -> PyResult<Bound<'py, PyAny>> {
    let class =
        METADATA.get_or_try_init(py, || py.import("odradek.types")?.getattr("RecordMetadata").map(Bound::unbind))?;
    class.bind(py).call1((PyString::new(py, &state.queue.topic), state.queue.index, offset, timestamp_ms))
}

/// One record's place in a batch.
#[derive(Clone)]
pub struct Slot {
    /// The batch.
    pub state: Arc<BatchState>,
    /// Its place in it.
    pub index: u32,
    /// The time it was given.
    pub timestamp_ms: i64,
}

impl Slot {
    /// The batch is waited for: it lingers no longer.
    fn hurry(&self) {
        if let Some(shared) = self.state.queue.producer() {
            shared.hurry(&self.state);
        }
    }

    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        outcome(py, &self.state, self.index, self.timestamp_ms)
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        if self.state.is_done() {
            return Ok(());
        }
        // A producer that is gone has ended all its batches: nothing is left to wait for.
        let Some(shared) = self.state.queue.producer() else { return Ok(()) };
        shared.check_fork().map_err(|error| from_client(&error))?;
        let until = deadline(timeout)?;
        if timeout != Some(0.0) {
            py.detach(|| shared.hurry(&self.state));
        }
        match block(py, until, |until| self.state.wait_until(until).then_some(()))? {
            Some(()) => Ok(()),
            None => {
                let queue = &self.state.queue;
                let what = format!("a record sent to {}-{}", queue.topic, queue.index);
                Err(timed_out(what, timeout))
            }
        }
    }
}

/// The exception of a wait that took too long.
pub fn timed_out(what: String, timeout: Option<f64>) -> PyErr {
    from_client(&ClientError::TimedOut { what, after_ms: (timeout.unwrap_or(0.0).max(0.0) * 1000.0) as u64 })
}

/// The metadata of a record, or its exception.
pub fn outcome<'py>(
    py: Python<'py>,
    state: &BatchState,
    index: u32,
    timestamp_ms: i64,
) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
    Ok(match state.record(index) {
        Some(Ok(delivered)) => {
            Ok(metadata(py, state, delivered.offset, delivered.append_time_ms.unwrap_or(timestamp_ms))?)
        }
        Some(Err(error)) => Err(from_client(error)),
        None => Err(from_client(&ClientError::Closed)),
    })
}

/// The fate of one record sent by `odradek.Producer`. Immutable, thread-safe, cheap: it shares its batch's state.
#[pyclass(frozen, name = "DeliveryFuture", module = "odradek._native")]
pub struct DeliveryFuture {
    pub slot: Slot,
}

#[pymethods]
impl DeliveryFuture {
    /// Wait and return where the record was written. Its batch lingers no longer once somebody waits for it.
    ///
    /// Args:
    ///     timeout: seconds; None = as long as it takes (`delivery_timeout_ms` at most).
    ///
    /// Raises:
    ///     TimeoutError: not delivered yet, or given up after `delivery_timeout_ms`. KafkaError: the broker refused it.
    ///     ClosedError: the producer was closed before it was delivered. RecordTooLargeError, DisconnectedError, ...
    /// Blocks without the GIL; Ctrl-C works.
    #[pyo3(signature = (timeout=None))]
    fn result<'py>(&self, py: Python<'py>, timeout: Option<Seconds>) -> PyResult<Bound<'py, PyAny>> {
        let timeout = timeout.map(|Seconds(seconds)| seconds);
        self.slot.wait(py, timeout)?;
        self.slot.outcome(py)?
    }

    /// Wait and return why the record failed; None if it was written. As `result` otherwise.
    #[pyo3(signature = (timeout=None))]
    fn exception<'py>(&self, py: Python<'py>, timeout: Option<Seconds>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let timeout = timeout.map(|Seconds(seconds)| seconds);
        self.slot.wait(py, timeout)?;
        Ok(self.slot.outcome(py)?.err().map(|error| error.into_value(py).into_bound(py).into_any()))
    }

    /// Return whether the record's fate is known.
    fn done(&self) -> bool {
        self.slot.state.is_done()
    }

    /// Call `function(future)` once it is done: on the producer's delivery thread, or here if it is done already.
    ///
    /// What it raises is logged.
    fn add_done_callback(slf: &Bound<'_, Self>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let call = Call::Done(function.clone().unbind(), slf.clone().into_any().unbind());
        if !hang(&slf.get().slot, call) {
            if let Err(error) = function.call1((slf,)) {
                log_failure(slf.py(), error);
            }
            return Ok(());
        }
        match slf.get().slot.state.queue.producer() {
            Some(shared) => start_dispatcher(slf.py(), &shared),
            None => Ok(()),
        }
    }

    fn __repr__(&self) -> String {
        describe("DeliveryFuture", &self.slot)
    }
}

fn describe(class: &str, slot: &Slot) -> String {
    let queue = &slot.state.queue;
    let state = match slot.state.record(slot.index).filter(|_| slot.state.is_done()) {
        None => "pending".to_owned(),
        Some(Ok(delivered)) => format!("offset={}", delivered.offset),
        Some(Err(error)) => format!("failed: {error}"),
    };
    format!("<{class} {}-{} {state}>", queue.topic, queue.index)
}

/// The fate of one record sent by `odradek.aio.Producer`: `metadata = await future`. May be awaited more than once.
#[pyclass(frozen, name = "AsyncDeliveryFuture", module = "odradek._native")]
pub struct AsyncDeliveryFuture {
    pub slot: Slot,
}

#[pymethods]
impl AsyncDeliveryFuture {
    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let waiting = loop_future(py)?;
        if self.slot.state.is_done() || !hang(&self.slot, Call::Loop(waiting.clone().unbind())) {
            resolve(&waiting, self.slot.outcome(py)?)?;
        } else {
            self.slot.hurry();
        }
        waiting.call_method0("__await__")
    }

    /// Return where the record was written.
    ///
    /// Raises:
    ///     asyncio.InvalidStateError: not delivered yet. Else as `DeliveryFuture.result`.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if !self.slot.state.is_done() {
            let error = py.import("asyncio")?.getattr("InvalidStateError")?;
            return Err(PyErr::from_value(error.call1(("the record is not delivered yet; await the future",))?));
        }
        self.slot.outcome(py)?
    }

    /// Return why the record failed; None if it was written. As `result` otherwise.
    fn exception<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.slot.state.is_done() {
            return Ok(self.slot.outcome(py)?.err().map(|error| error.into_value(py).into_bound(py).into_any()));
        }
        self.result(py).map(|_| None)
    }

    /// Return whether the record's fate is known.
    fn done(&self) -> bool {
        self.slot.state.is_done()
    }

    fn __repr__(&self) -> String {
        describe("AsyncDeliveryFuture", &self.slot)
    }
}

/// A pending future of the running loop.
pub fn loop_future(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let running =
        RUNNING.get_or_try_init(py, || py.import("asyncio")?.getattr("get_running_loop").map(Bound::unbind))?;
    running.bind(py).call0()?.call_method0("create_future")
}

/// Ends a loop's future, unless it was cancelled.
pub fn resolve(waiting: &Bound<'_, PyAny>, outcome: Result<Bound<'_, PyAny>, PyErr>) -> PyResult<()> {
    if waiting.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match outcome {
        Ok(value) => waiting.call_method1("set_result", (value,))?,
        Err(error) => waiting.call_method1("set_exception", (error,))?,
    };
    Ok(())
}

/// Batches of a `send_many` that are not done.
pub struct Countdown {
    left: AtomicUsize,
    then: Py<PyAny>,
    many: Py<ManyFuture>,
    is_loop_future: bool,
}

impl Countdown {
    /// Counts a batch; true with the last one.
    pub fn is_over(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Makes the call.
    pub fn finish(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_loop_future {
            resolve(self.then.bind(py), self.many.get().outcomes(py).map(Bound::into_any))
        } else {
            self.then.call1(py, (&self.many,)).map(drop)
        }
    }
}

/// The fate of all records of one `send_many` or `send_arrow`. `len()` says how many there are.
#[pyclass(frozen, name = "ManyFuture", module = "odradek._native")]
pub struct ManyFuture {
    runs: Mutex<Runs>,
    timestamp_ms: i64,
    shared: Arc<Shared>,
}

impl ManyFuture {
    /// Of no record yet.
    pub fn new(producer: &Producer, timestamp_ms: i64) -> Self {
        Self { runs: Mutex::default(), timestamp_ms, shared: Arc::clone(producer.shared()) }
    }

    /// Where its records were put, to add more.
    pub fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock()
    }

    /// The time that its records were given.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn states(&self) -> Vec<Arc<BatchState>> {
        self.runs.lock().as_slice().iter().map(|run| Arc::clone(&run.state)).collect()
    }

    fn outcomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for run in self.runs.lock().as_slice().iter() {
            for index in run.first..run.first + run.count {
                list.append(outcome(py, &run.state, index, self.timestamp_ms)??)?;
            }
        }
        Ok(list)
    }

    fn first_error(&self) -> Option<PyErr> {
        let runs = self.runs.lock();
        let failed = |run: &Run| {
            (run.first..run.first + run.count).find_map(|index| match run.state.record(index) {
                Some(Err(error)) => Some(error.clone()),
                _ => None,
            })
        };
        let error = runs.as_slice().iter().find_map(failed);
        drop(runs);
        error.map(|error| from_client(&error))
    }

    /// Hangs a countdown on every batch; false if all are done.
    fn count_down(slf: &Bound<'_, Self>, then: Py<PyAny>, is_loop_future: bool) -> bool {
        let states = slf.get().states();
        let left = AtomicUsize::new(states.len() + 1);
        let countdown = Arc::new(Countdown { left, then, many: slf.clone().unbind(), is_loop_future });
        for state in states {
            let slot = Slot { state, index: 0, timestamp_ms: 0 };
            if is_loop_future {
                slot.hurry();
            }
            if !hang(&slot, Call::Many(Arc::clone(&countdown))) {
                countdown.left.fetch_sub(1, Ordering::AcqRel);
            }
        }
        countdown.left.fetch_sub(1, Ordering::AcqRel) > 1
    }
}

#[pymethods]
impl ManyFuture {
    /// Wait until every record's fate is known; raises TimeoutError after `timeout` seconds. Makes no list.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Seconds>) -> PyResult<()> {
        let timeout = timeout.map(|Seconds(seconds)| seconds);
        let until = deadline(timeout)?;
        for state in self.states() {
            if state.is_done() {
                continue;
            }
            py.detach(|| self.shared.hurry(&state));
            if block(py, until, |until| state.wait_until(until).then_some(()))?.is_none() {
                let runs = self.runs.lock();
                let left = runs.as_slice().iter().filter(|run| !run.state.is_done()).map(|run| u64::from(run.count));
                let what = format!("{} records of a send_many", left.sum::<u64>());
                drop(runs);
                return Err(timed_out(what, timeout));
            }
        }
        Ok(())
    }

    /// Wait and return where each record was written, in the order in which they were given.
    ///
    /// Raises:
    ///     As `DeliveryFuture.result`, for the first record that failed.
    #[pyo3(signature = (timeout=None))]
    fn result<'py>(&self, py: Python<'py>, timeout: Option<Seconds>) -> PyResult<Bound<'py, PyList>> {
        self.wait(py, timeout)?;
        self.outcomes(py)
    }

    /// Wait and return why the first of those records failed that did; None if all were written.
    #[pyo3(signature = (timeout=None))]
    fn exception<'py>(&self, py: Python<'py>, timeout: Option<Seconds>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.wait(py, timeout)?;
        Ok(self.first_error().map(|error| error.into_value(py).into_bound(py).into_any()))
    }

    /// Return whether every record's fate is known.
    fn done(&self) -> bool {
        self.runs.lock().as_slice().iter().all(|run| run.state.is_done())
    }

    /// Call `function(future)` once all are done, as `DeliveryFuture.add_done_callback`.
    fn add_done_callback(slf: &Bound<'_, Self>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if Self::count_down(slf, function.clone().unbind(), false) {
            return start_dispatcher(py, &slf.get().shared);
        }
        if let Err(error) = function.call1((slf,)) {
            log_failure(py, error);
        }
        Ok(())
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let waiting = loop_future(py)?;
        if !Self::count_down(slf, waiting.clone().unbind(), true) {
            resolve(&waiting, slf.get().outcomes(py).map(Bound::into_any))?;
        }
        waiting.call_method0("__await__")
    }

    fn __len__(&self) -> usize {
        self.runs.lock().as_slice().iter().map(|run| run.count as usize).sum()
    }

    fn __repr__(&self) -> String {
        let state = if self.done() { "done" } else { "pending" };
        format!("<ManyFuture {} records {state}>", self.__len__())
    }
}
