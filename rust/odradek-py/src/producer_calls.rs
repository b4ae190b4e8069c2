//! Calls into Python when a record's fate is known: callbacks, and the futures of an event loop.
//!
//! A call hangs on the record's batch ([`hang`]) and comes back through the producer's completions to [`dispatch`], which runs
//! on the producer's delivery thread (`dispatcher.py`) or on the loop's. Calls are made in the order of the answers.

use std::sync::Arc;
use std::time::Instant;

use odradek_core::client::producer::Shared;
use odradek_core::client::producer::delivery::{BatchState, Completion};
use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use crate::producer_future::{Countdown, Slot, block, from_client, outcome, resolve, timed_out};

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
    /// False once the producer is closed and the last call is made.
    fn dispatch(&self, py: Python<'_>) -> bool {
        self.shared.take_here();
        dispatch(py, &self.shared)
    }
}

/// Waits until the calls of all that is delivered so far are made; at once on the thread that makes them.
pub fn wait_for_calls(py: Python<'_>, shared: &Shared, until: Option<Instant>, timeout: Option<f64>) -> PyResult<()> {
    let reached = Arc::new((Mutex::new(false), Condvar::new()));
    let told = Arc::clone(&reached);
    let tell = move || {
        *told.0.lock() = true;
        told.1.notify_all();
    };
    if !shared.mark(Box::new(tell)) {
        return Ok(());
    }
    let waited = block(py, until, |until| {
        let mut done = reached.0.lock();
        if !*done {
            reached.1.wait_until(&mut done, until);
        }
        // Who closes the producer waits for the calls; nobody may be left to reach the mark.
        (*done || shared.is_closing()).then_some(())
    })?;
    let what = "flushing (all records are delivered, but callbacks for them are still running)";
    waited.ok_or_else(|| timed_out(what.to_owned(), timeout))
}

/// Makes the calls that are due; false once the producer is closed and the last one is made.
pub fn dispatch(py: Python<'_>, shared: &Shared) -> bool {
    let mut open = true;
    for (_, completion) in shared.completions.take() {
        match completion {
            Completion::Mark(reached) => reached(),
            Completion::End => open = false,
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
    open
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
            if countdown.is_over() {
                countdown.finish(py)?;
            }
        }
    }
    Ok(())
}

/// Logs what a callback raised.
pub fn log_failure(py: Python<'_>, error: PyErr) {
    let log = || -> PyResult<()> {
        let module = py.import("odradek.client.producer.dispatcher")?;
        module.getattr("log_failure")?.call1((error.value(py),))?;
        Ok(())
    };
    // Logging itself failed: at interpreter exit, as a rule. There is nobody left to tell.
    let _ = log();
}
