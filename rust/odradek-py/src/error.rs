//! The only map from core errors to Python exceptions. The classes live in `odradek/errors.py`.

use odradek_core::log::error::LogError;
use pyo3::PyErr;
use pyo3::exceptions::PyOSError;

mod classes {
    #![allow(missing_docs)]
    use pyo3::import_exception;

    import_exception!(odradek.errors, ConfigError);
    import_exception!(odradek.errors, CorruptBatchError);
    import_exception!(odradek.errors, DataDirLockedError);
    import_exception!(odradek.errors, InternalError);
    import_exception!(odradek.errors, LogDirOfflineError);
    import_exception!(odradek.errors, NotLeaderOrFollowerError);
    import_exception!(odradek.errors, OffsetOutOfRangeError);
    import_exception!(odradek.errors, StorageError);
}

pub use classes::*;
