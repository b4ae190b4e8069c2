//! The only map from core errors to Python exceptions. The classes live in `odradek/errors.py`.

use odradek_core::engine::error::EngineError;
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

use classes::{
    ConfigError, CorruptBatchError, DataDirLockedError, InternalError, LogDirOfflineError, NotLeaderOrFollowerError,
    OffsetOutOfRangeError, StorageError,
};

/// The exception of a log's error.
pub fn from_log(error: &LogError) -> PyErr {
    let text = error.to_string();
    match error {
        LogError::Locked(_) => DataDirLockedError::new_err(text),
        LogError::LogDirOffline(_) => LogDirOfflineError::new_err(text),
        LogError::OffsetOutOfRange { .. } => OffsetOutOfRangeError::new_err(text),
        LogError::Batch(_) => CorruptBatchError::new_err(text),
        LogError::Closed(_) => NotLeaderOrFollowerError::new_err(text),
        _ => StorageError::new_err(text),
    }
}

/// The exception of the engine's error. System errors keep their errno, so that `OSError` subclasses come out right.
pub fn from_engine(error: EngineError) -> PyErr {
    let text = error.to_string();
    match error {
        EngineError::Log(error) => from_log(&error),
        EngineError::Setting { .. } | EngineError::MissingSetting(_) => ConfigError::new_err(text),
        EngineError::NotHosted { .. } => NotLeaderOrFollowerError::new_err(text),
        EngineError::Io { source, .. } => match source.raw_os_error() {
            Some(errno) => PyOSError::new_err((errno, text)),
            None => PyOSError::new_err(text),
        },
        _ => InternalError::new_err(text),
    }
}
