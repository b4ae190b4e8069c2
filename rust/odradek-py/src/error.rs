//! The only map from core errors to Python exceptions. The classes live in `odradek/errors.py`.

use odradek_core::client::ClientError as CoreClientError;
use odradek_core::client::consumer::FetchError;
use odradek_core::compress::{CompressError, DecompressError};
use odradek_core::engine::error::EngineError;
use odradek_core::log::error::LogError;
use odradek_core::record::batch::BatchError;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

mod classes {
    #![allow(missing_docs)]
    use pyo3::import_exception;

    import_exception!(odradek.errors, BufferFullError);
    import_exception!(odradek.errors, ClientError);
    import_exception!(odradek.errors, ClosedError);
    import_exception!(odradek.errors, ConfigError);
    import_exception!(odradek.errors, CorruptBatchError);
    import_exception!(odradek.errors, CorruptRecordError);
    import_exception!(odradek.errors, DataDirLockedError);
    import_exception!(odradek.errors, DisconnectedError);
    import_exception!(odradek.errors, ForkedError);
    import_exception!(odradek.errors, InternalError);
    import_exception!(odradek.errors, KafkaError);
    import_exception!(odradek.errors, LogDirOfflineError);
    import_exception!(odradek.errors, NoBrokersAvailableError);
    import_exception!(odradek.errors, NoOffsetForPartitionError);
    import_exception!(odradek.errors, NotLeaderOrFollowerError);
    import_exception!(odradek.errors, OffsetOutOfRangeError);
    import_exception!(odradek.errors, RecordTooLargeError);
    import_exception!(odradek.errors, RemoteProtocolError);
    import_exception!(odradek.errors, StorageError);
    import_exception!(odradek.errors, TimeoutError);
    import_exception!(odradek.errors, UnsupportedVersionError);
    import_exception!(odradek.errors, UsageError);
}

use classes::{
    BufferFullError, ClientError, ClosedError, ConfigError, CorruptBatchError, CorruptRecordError, DataDirLockedError,
    DisconnectedError, ForkedError, InternalError, KafkaError, LogDirOfflineError, NoBrokersAvailableError,
    NoOffsetForPartitionError, NotLeaderOrFollowerError, OffsetOutOfRangeError, RecordTooLargeError,
    RemoteProtocolError, StorageError, TimeoutError, UnsupportedVersionError, UsageError,
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

/// The exception of a client's error; that of an error code is its own class of `odradek.errors`.
pub fn from_client(error: CoreClientError) -> PyErr {
    let text = error.to_string();
    match error {
        CoreClientError::NoBrokers { .. } => NoBrokersAvailableError::new_err(text),
        CoreClientError::Unreachable { .. } | CoreClientError::Disconnected { .. } => DisconnectedError::new_err(text),
        CoreClientError::TimedOut { .. } => TimeoutError::new_err(text),
        CoreClientError::Broker { code, .. } => from_code(code, text),
        CoreClientError::Protocol { .. } => RemoteProtocolError::new_err(text),
        CoreClientError::Unsupported { .. } => UnsupportedVersionError::new_err(text),
        CoreClientError::TooLarge { .. } => RecordTooLargeError::new_err(text),
        CoreClientError::BufferFull { .. } => BufferFullError::new_err(text),
        CoreClientError::Closed => ClosedError::new_err(text),
        CoreClientError::Forked => ForkedError::new_err(text),
        CoreClientError::Setting { .. } => ConfigError::new_err(text),
        CoreClientError::Batch { .. } => CorruptBatchError::new_err(text),
        _ => ClientError::new_err(text),
    }
}

/// The exception of an error code that a broker answered.
pub fn from_code(code: i16, text: String) -> PyErr {
    Python::attach(|py| {
        let made = py.get_type::<KafkaError>().call_method1("of", (code, text));
        made.map_or_else(|error| error, PyErr::from_value)
    })
}

/// The exception of a call while another thread is in one.
pub fn used_twice() -> PyErr {
    UsageError::new_err("another thread is in a call of this consumer; give each thread a consumer of its own")
}

/// The exception of a bug of ours.
pub fn internal(text: String) -> PyErr {
    InternalError::new_err(text)
}

/// The exception of a partition's error; it carries `topic`, `partition` and `offset`.
pub fn from_fetch(py: Python<'_>, error: &FetchError) -> PyErr {
    let text = error.to_string();
    let mut made = match error {
        FetchError::Client(error) => return from_client(error.clone()),
        FetchError::Corrupt { next_offset, .. } => {
            with_attribute(py, CorruptRecordError::new_err(text), "next_offset", *next_offset)
        }
        FetchError::OutOfRange { .. } => Ok(OffsetOutOfRangeError::new_err(text)),
        FetchError::NoOffset { .. } => Ok(NoOffsetForPartitionError::new_err(text)),
        FetchError::Broker { code, .. } => Ok(from_code(*code, text)),
        _ => Ok(InternalError::new_err(text)),
    };
    if let Some((name, offset)) = error.place() {
        made = made
            .and_then(|error| with_attribute(py, error, "topic", &*name.topic))
            .and_then(|error| with_attribute(py, error, "partition", name.partition))
            .and_then(|error| with_attribute(py, error, "offset", offset));
    }
    made.unwrap_or_else(|failed| failed)
}

fn with_attribute<'py>(py: Python<'py>, error: PyErr, name: &str, value: impl IntoPyObject<'py>) -> PyResult<PyErr> {
    error.value(py).setattr(name, value)?;
    Ok(error)
}
