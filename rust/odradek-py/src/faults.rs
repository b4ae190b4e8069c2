//! `Faults`: what tests ask a broker to do wrong. Documented in `_native.pyi`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use odradek_core::net::faults::{Effect, FaultTable};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// How often a wait looks for Ctrl-C.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// The fault table of one engine.
#[pyclass(frozen, name = "Faults", module = "odradek._native")]
pub struct PyFaults {
    table: Arc<FaultTable>,
}

impl PyFaults {
    /// Wraps a table.
    pub fn new(table: Arc<FaultTable>) -> Self {
        Self { table }
    }
}

#[pymethods]
impl PyFaults {
    #[pyo3(signature = (api_key, effect, value, times))]
    fn add(&self, api_key: i16, effect: &str, value: i64, times: Option<u64>) -> PyResult<u64> {
        let effect = match effect {
            "delay" => {
                let ms = u64::try_from(value).map_err(|_| PyValueError::new_err(format!("a delay of {value} ms")))?;
                Effect::Delay(Duration::from_millis(ms))
            }
            "fail" => {
                let code = i16::try_from(value).map_err(|_| PyValueError::new_err(format!("error code {value}")))?;
                Effect::Fail(code)
            }
            "drop_before" => Effect::DropBefore,
            "drop_after" => Effect::DropAfter,
            _ => return Err(PyValueError::new_err(format!("no such effect: {effect}"))),
        };
        Ok(self.table.add(api_key, effect, times))
    }

    fn remove(&self, rule: u64) {
        self.table.remove(rule);
    }

    fn clear(&self) {
        self.table.clear();
    }

    fn set_paused(&self, paused: bool) {
        self.table.set_paused(paused);
    }

    fn hits(&self, rule: u64) -> Option<u64> {
        self.table.hits(rule)
    }

    fn wait_for_hits(&self, py: Python<'_>, rule: u64, hits: u64, timeout_ms: u64) -> PyResult<bool> {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            if py.detach(|| self.table.wait_for_hits(rule, hits, rest.min(SIGNAL_CHECK))) {
                return Ok(true);
            }
            if rest.is_zero() || self.table.hits(rule).is_none() {
                return Ok(false);
            }
            py.check_signals()?;
        }
    }
}

/// Adds this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFaults>()
}
