//! `encode_index` and `index_lookup`. Documented in `odradek/record.py`.

use odradek_core::log::index_image;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::from_log;

#[pyfunction]
fn encode_index<'py>(py: Python<'py>, entries: Vec<(i64, i64)>, base_offset: i64) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = index_image::encode(entries, base_offset).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &bytes))
}

#[pyfunction]
fn index_lookup(index: &[u8], base_offset: i64, target: i64) -> PyResult<(i64, u32)> {
    index_image::lookup(index, base_offset, target).map_err(|error| from_log(&error))
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(encode_index, module)?)?;
    module.add_function(wrap_pyfunction!(index_lookup, module)?)
}
