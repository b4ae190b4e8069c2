//! Futures of sent records, and how their fate reaches Python. Documented in `_native.pyi`.
//!
//! A future is a batch's shared state, an index and a timestamp: no lock and no list a record. Only a callback or an `await`
//! hangs something on the batch; that comes back through the producer's completions to [`dispatch`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use odradek_core::client::ClientError;
use odradek_core::client::producer::accumulator::Accumulator;
use odradek_core::client::producer::delivery::{BatchState, Completion};
use odradek_core::client::producer::{Producer, Shared};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString};

use crate::error;

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
    /// For those who wait: the batch lingers no longer.
    pub shared: Arc<Shared>,
}

impl Slot {
    fn hurry(&self) {
        let accumulator: &Accumulator = &self.shared.accumulator;
        accumulator.hurry(&self.state);
    }

    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        outcome(py, &self.state, self.index, self.timestamp_ms)
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        if self.state.is_done() {
            return Ok(());
        }
        let producer_forked = self.shared.check_fork();
        producer_forked.map_err(|error| from_client(&error))?;
        let until = deadline(timeout)?;
        if timeout != Some(0.0) {
            self.hurry();
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
fn outcome<'py>(
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

/// A future for threads.
#[pyclass(frozen, name = "DeliveryFuture", module = "odradek._native")]
pub struct DeliveryFuture {
    pub slot: Slot,
}

#[pymethods]
impl DeliveryFuture {
    #[pyo3(signature = (timeout=None))]
    fn result<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        self.slot.wait(py, timeout)?;
        self.slot.outcome(py)?
    }

    #[pyo3(signature = (timeout=None))]
    fn exception<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.slot.wait(py, timeout)?;
        Ok(self.slot.outcome(py)?.err().map(|error| error.into_value(py).into_bound(py).into_any()))
    }

    fn done(&self) -> bool {
        self.slot.state.is_done()
    }

    fn add_done_callback(slf: &Bound<'_, Self>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let call = Call::Done(function.clone().unbind(), slf.clone().into_any().unbind());
        if !hang(&slf.get().slot, call) {
            if let Err(error) = function.call1((slf,)) {
                log_failure(slf.py(), error);
            }
            return Ok(());
        }
        start_dispatcher(slf.py(), &slf.get().slot.shared)
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

/// A future for an asyncio loop: `await` it.
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

    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if !self.slot.state.is_done() {
            let error = py.import("asyncio")?.getattr("InvalidStateError")?;
            return Err(PyErr::from_value(error.call1(("the record is not delivered yet; await the future",))?));
        }
        self.slot.outcome(py)?
    }

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
fn resolve(waiting: &Bound<'_, PyAny>, outcome: Result<Bound<'_, PyAny>, PyErr>) -> PyResult<()> {
    if waiting.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match outcome {
        Ok(value) => waiting.call_method1("set_result", (value,))?,
        Err(error) => waiting.call_method1("set_exception", (error,))?,
    };
    Ok(())
}

/// What is to happen when a record's fate is known.
pub enum Call {
    /// `on_delivery(metadata | None, error | None)`
    Delivery(Py<PyAny>),
    /// `function(future)`
    Done(Py<PyAny>, Py<PyAny>),
    /// A loop's future gets the outcome.
    Loop(Py<PyAny>),
    /// One of several batches is done; the last one calls.
    Many(Arc<Countdown>),
}

/// Batches of a `send_many` that are not done.
pub struct Countdown {
    left: AtomicUsize,
    then: Py<PyAny>,
    many: Py<ManyFuture>,
    is_loop_future: bool,
}

type Hung = Vec<(u32, i64, Call)>;

/// Hangs a call on the record's batch; false if the batch is done.
pub fn hang(slot: &Slot, call: Call) -> bool {
    slot.state.watch(|watcher| {
        let list = watcher.get_or_insert_with(|| Box::new(Hung::new()));
        if let Some(list) = list.downcast_mut::<Hung>() {
            list.push((slot.index, slot.timestamp_ms, call));
        }
    })
}

/// Starts the thread that makes calls, once a producer.
pub fn start_dispatcher(py: Python<'_>, shared: &Arc<Shared>) -> PyResult<()> {
    if shared.first_watch() {
        let fd = shared.completions.fd();
        let drain = Dispatcher { shared: Arc::clone(shared) };
        py.import("odradek.client.producer.dispatcher")?.getattr("start")?.call1((drain, fd))?;
    }
    Ok(())
}

/// Makes the calls that are due: on the dispatcher's thread, or on the loop's.
#[pyclass(frozen, name = "Dispatcher", module = "odradek._native")]
pub struct Dispatcher {
    pub shared: Arc<Shared>,
}

#[pymethods]
impl Dispatcher {
    /// False once the producer is closed and nothing is left.
    fn dispatch(&self, py: Python<'_>) -> PyResult<bool> {
        dispatch(py, &self.shared)
    }
}

/// Makes the calls that are due; false once the producer is closed and nothing was there.
pub fn dispatch(py: Python<'_>, shared: &Shared) -> PyResult<bool> {
    let taken = shared.completions.take();
    let some = !taken.is_empty();
    for (_, completion) in taken {
        match completion {
            Completion::Batch(state, watcher) => {
                let Ok(list) = watcher.downcast::<Hung>() else { continue };
                for (index, timestamp_ms, call) in *list {
                    if let Err(error) = make(py, &state, index, timestamp_ms, call) {
                        log_failure(py, error);
                    }
                }
            }
            Completion::Other(watcher, result) => {
                let Ok(waiting) = watcher.downcast::<Py<PyAny>>() else { continue };
                let outcome = result.map(|()| py.None().into_bound(py)).map_err(|error| from_client(&error));
                if let Err(error) = resolve(waiting.bind(py), outcome) {
                    log_failure(py, error);
                }
            }
        }
    }
    Ok(some || !shared.is_closing())
}

fn make(py: Python<'_>, state: &BatchState, index: u32, timestamp_ms: i64, call: Call) -> PyResult<()> {
    match call {
        Call::Delivery(function) => {
            match outcome(py, state, index, timestamp_ms)? {
                Ok(metadata) => function.call1(py, (metadata, py.None()))?,
                Err(error) => function.call1(py, (py.None(), error))?,
            };
        }
        Call::Done(function, future) => {
            function.call1(py, (future,))?;
        }
        Call::Loop(waiting) => resolve(waiting.bind(py), outcome(py, state, index, timestamp_ms)?)?,
        Call::Many(countdown) => {
            if countdown.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                countdown.finish(py)?;
            }
        }
    }
    Ok(())
}

impl Countdown {
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_loop_future {
            resolve(self.then.bind(py), self.many.get().outcomes(py).map(Bound::into_any))
        } else {
            self.then.call1(py, (&self.many,)).map(drop)
        }
    }
}

fn log_failure(py: Python<'_>, error: PyErr) {
    let log = || -> PyResult<()> {
        let module = py.import("odradek.client.producer.dispatcher")?;
        module.getattr("log_failure")?.call1((error.value(py),))?;
        Ok(())
    };
    // Logging itself failed: at interpreter exit, as a rule. There is nobody left to tell.
    let _ = log();
}

/// Records of one batch that follow each other in a `send_many`.
struct Run {
    state: Arc<BatchState>,
    first: u32,
    count: u32,
}

/// The future of a `send_many`.
#[pyclass(frozen, name = "ManyFuture", module = "odradek._native")]
pub struct ManyFuture {
    runs: Mutex<Vec<Run>>,
    timestamp_ms: i64,
    shared: Arc<Shared>,
}

impl ManyFuture {
    /// Of no record yet.
    pub fn new(producer: &Producer, timestamp_ms: i64) -> Self {
        Self { runs: Mutex::default(), timestamp_ms, shared: Arc::clone(producer.shared()) }
    }

    /// Adds the record that was put at `index` of a batch.
    pub fn add(&self, state: Arc<BatchState>, index: u32) {
        let mut runs = self.runs.lock();
        match runs.last_mut() {
            Some(run) if Arc::ptr_eq(&run.state, &state) && run.first + run.count == index => run.count += 1,
            _ => runs.push(Run { state, first: index, count: 1 }),
        }
    }

    /// The time that its records were given.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    fn states(&self) -> Vec<Arc<BatchState>> {
        self.runs.lock().iter().map(|run| Arc::clone(&run.state)).collect()
    }

    fn outcomes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for run in self.runs.lock().iter() {
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
        let error = runs.iter().find_map(failed);
        drop(runs);
        error.map(|error| from_client(&error))
    }

    /// Hangs a countdown on every batch; false if all are done.
    fn count_down(slf: &Bound<'_, Self>, then: Py<PyAny>, is_loop_future: bool) -> bool {
        let states = slf.get().states();
        let left = AtomicUsize::new(states.len() + 1);
        let countdown = Arc::new(Countdown { left, then, many: slf.clone().unbind(), is_loop_future });
        for state in states {
            let slot = Slot { state, index: 0, timestamp_ms: 0, shared: Arc::clone(&slf.get().shared) };
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
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let until = deadline(timeout)?;
        for state in self.states() {
            if state.is_done() {
                continue;
            }
            self.shared.accumulator.hurry(&state);
            if block(py, until, |until| state.wait_until(until).then_some(()))?.is_none() {
                let runs = self.runs.lock();
                let left = runs.iter().filter(|run| !run.state.is_done()).map(|run| u64::from(run.count));
                let what = format!("{} records of a send_many", left.sum::<u64>());
                drop(runs);
                return Err(timed_out(what, timeout));
            }
        }
        Ok(())
    }

    #[pyo3(signature = (timeout=None))]
    fn result<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyList>> {
        self.wait(py, timeout)?;
        self.outcomes(py)
    }

    #[pyo3(signature = (timeout=None))]
    fn exception<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.wait(py, timeout)?;
        Ok(self.first_error().map(|error| error.into_value(py).into_bound(py).into_any()))
    }

    fn done(&self) -> bool {
        self.runs.lock().iter().all(|run| run.state.is_done())
    }

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
        self.runs.lock().iter().map(|run| run.count as usize).sum()
    }

    fn __repr__(&self) -> String {
        let state = if self.done() { "done" } else { "pending" };
        format!("<ManyFuture {} records {state}>", self.__len__())
    }
}
