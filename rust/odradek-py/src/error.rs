//! The only map from core errors to Python exceptions. The classes live in `odradek/errors.py`.

use odradek_core::compress::{CompressError, DecompressError};
use odradek_core::engine::error::EngineError;
use odradek_core::log::error::LogError;
use odradek_core::record::batch::BatchError;
use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};

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

/// The exception of bytes that are no valid batch.
pub fn from_batch(error: &BatchError) -> PyErr {
    CorruptBatchError::new_err(error.to_string())
}

/// The exception of records that can't become a batch: the caller's mistake.
pub fn invalid_batch(error: &BatchError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The exception of bytes that can't be decompressed.
pub fn from_decompress(error: &DecompressError) -> PyErr {
    CorruptBatchError::new_err(error.to_string())
}

/// The exception of a compression that was asked for wrongly, or failed for lack of memory.
pub fn from_compress(error: &CompressError) -> PyErr {
    match error {
        CompressError::Encoder { .. } => InternalError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}
