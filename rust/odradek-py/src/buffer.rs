//! When the interpreter lock is let go.

use pyo3::Python;
use pyo3::marker::Ungil;

/// Below this many bytes the work takes less time than giving the lock up and taking it back may.
const WORTH_DETACHING_BYTES: usize = 8 * 1024;

/// Does `work` on `bytes` bytes, without the interpreter lock if they are many.
pub fn run<T: Ungil>(py: Python<'_>, bytes: usize, work: impl FnOnce() -> T + Ungil) -> T {
    if bytes < WORTH_DETACHING_BYTES { work() } else { py.detach(work) }
}
