//! The `odradek._native` module: registers what the other files define, nothing else.

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod odradek_native {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
