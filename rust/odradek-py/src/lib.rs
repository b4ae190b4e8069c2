//! The `odradek._native` module: registers what the other files define, nothing else.

mod arguments;
mod arrow_batch;
mod buffer;
mod cluster;
mod compress;
mod consumer;
mod consumer_record;
mod engine;
mod error;
mod faults;
mod index;
mod producer;
mod producer_arrow;
mod producer_calls;
mod producer_future;
mod producer_many;
mod producer_record;
mod record;
mod turn;

use pyo3::prelude::*;

/// `release` or `debug`.
#[pyfunction]
fn build_profile() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

#[pymodule(gil_used = false)]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(build_profile, module)?)?;
    compress::register(module)?;
    index::register(module)?;
    record::register(module)?;
    faults::register(module)?;
    engine::register(module)?;
    cluster::register(module)?;
    producer::register(module)?;
    consumer::register(module)?;
    turn::register(module)
}
