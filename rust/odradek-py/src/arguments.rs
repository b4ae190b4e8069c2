//! Arguments of the producer's methods that are plain numbers or functions: their names are in the errors.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The name of an object's class, for errors.
pub fn class_of(given: &Bound<'_, PyAny>) -> String {
    given.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

fn wrong(what: &str, given: &Bound<'_, PyAny>, allowed: &str) -> PyErr {
    PyTypeError::new_err(format!("{what} is {}; it must be {allowed}", class_of(given)))
}

/// A number; one beyond the range keeps its own error, which says so.
fn number<'a, 'py, T>(given: Borrowed<'a, 'py, PyAny>, what: &str, allowed: &str) -> PyResult<T>
where
    T: FromPyObject<'a, 'py, Error = PyErr>,
{
    given.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyTypeError>(given.py()) { wrong(what, &given, allowed) } else { error }
    })
}

/// `partition`.
#[derive(Clone, Copy)]
pub struct PartitionNumber(pub i32);

impl<'py> FromPyObject<'_, 'py> for PartitionNumber {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        number(given, "partition", "int or None").map(Self)
    }
}

/// `timestamp_ms`.
#[derive(Clone, Copy)]
pub struct TimestampMs(pub i64);

impl<'py> FromPyObject<'_, 'py> for TimestampMs {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        number(given, "timestamp_ms", "int, ms since 1970, or None").map(Self)
    }
}

/// `timeout`.
#[derive(Clone, Copy)]
pub struct Seconds(pub f64);

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        number(given, "timeout", "a number of seconds, or None").map(Self)
    }
}

/// `on_delivery`.
pub struct Callback<'py>(pub Bound<'py, PyAny>);

impl<'py> FromPyObject<'_, 'py> for Callback<'py> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if given.is_callable() {
            Ok(Self(given.to_owned()))
        } else {
            Err(wrong("on_delivery", &given, "callable or None"))
        }
    }
}

/// A topic's name.
pub fn topic_name<'a, 'py>(topic: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    topic.cast::<PyString>().map_err(|_| wrong("topic", topic, "str"))
}
