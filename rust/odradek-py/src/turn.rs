//! `Turn`: one thread at a time in a client that is not made for several. Documented in `_native.pyi`.
//!
//! A `with` statement takes it and gives it back in native code, behind which Python looks for Ctrl-C only once the
//! statement is there to give it back: a turn that Python code takes can be left held for ever by a Ctrl-C in between.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::error::used_twice;

static THREADS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// This thread's number, from 1.
    static ME: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Whose turn it is.
#[pyclass(frozen, module = "odradek._native")]
pub struct Turn {
    /// The number of the thread that is in a call; 0 = none.
    holder: AtomicU64,
    /// Its calls, one in another. Only the holder touches it.
    depth: AtomicUsize,
}

impl Turn {
    fn take(&self) -> PyResult<()> {
        let me = ME.with(|me| *me);
        match self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {}
            Err(holder) if holder == me => {}
            Err(_) => return Err(used_twice()),
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self) {
        if self.depth.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.holder.store(0, Ordering::Release);
        }
    }
}

#[pymethods]
impl Turn {
    #[new]
    fn new() -> Self {
        Self { holder: AtomicU64::new(0), depth: AtomicUsize::new(0) }
    }

    fn __enter__(&self) -> PyResult<()> {
        self.take()
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.give_back();
    }

    /// Return what a `with` statement takes the turn by, and calls `begin` in it.
    fn call(turn: Py<Self>, begin: Py<PyAny>) -> TurnCall {
        TurnCall { turn, begin }
    }
}

/// One call, in its turn, with a beginning of its own.
#[pyclass(frozen, module = "odradek._native")]
pub struct TurnCall {
    turn: Py<Turn>,
    begin: Py<PyAny>,
}

#[pymethods]
impl TurnCall {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let turn = self.turn.get();
        turn.take()?;
        self.begin.call0(py).map(drop).inspect_err(|_| turn.give_back())
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.turn.get().give_back();
    }
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Turn>()?;
    module.add_class::<TurnCall>()
}
