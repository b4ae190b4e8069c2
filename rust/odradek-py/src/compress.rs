//! `crc32c`, `compress` and `decompress`. Documented in `odradek/record.py`.

use odradek_core::compress::Compression;
use odradek_core::record::crc32c;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer;
use crate::error::{from_compress, from_decompress};

/// The codec of a name.
pub fn codec(name: &str) -> PyResult<Compression> {
    Compression::ALL.into_iter().find(|codec| codec.name() == name).ok_or_else(|| {
        PyValueError::new_err(format!("compression '{name}' is not one of none, gzip, snappy, lz4, zstd"))
    })
}

#[pyfunction]
#[pyo3(name = "crc32c")]
fn checksum(py: Python<'_>, data: &[u8]) -> u32 {
    buffer::run(py, data.len(), || crc32c::crc32c(data))
}

#[pyfunction]
#[pyo3(signature = (codec, data, level=None))]
fn compress<'py>(py: Python<'py>, codec: &str, data: &[u8], level: Option<i32>) -> PyResult<Bound<'py, PyBytes>> {
    let codec = self::codec(codec)?;
    let mut out = Vec::new();
    buffer::run(py, data.len(), || codec.compress(data, level, &mut out)).map_err(|error| from_compress(&error))?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
fn decompress<'py>(py: Python<'py>, codec: &str, data: &[u8], limit: usize) -> PyResult<Bound<'py, PyBytes>> {
    let codec = self::codec(codec)?;
    let mut out = Vec::new();
    buffer::run(py, data.len(), || codec.decompress(data, limit, &mut out)).map_err(|error| from_decompress(&error))?;
    Ok(PyBytes::new(py, &out))
}

/// Adds this file's names to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(checksum, module)?)?;
    module.add_function(wrap_pyfunction!(compress, module)?)?;
    module.add_function(wrap_pyfunction!(decompress, module)?)
}
