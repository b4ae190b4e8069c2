//! What every log in a data directory shares: the file system, the clock, whether the directory is still trusted, and
//! the files that wait to be removed. Not the list of partitions: that is `manager`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::error::LogError;
use crate::clock::Clock;
use crate::fs::FileSystem;

/// Shared by all logs of one data directory. Once offline, it stays so for the life of the process.
pub struct LogDir {
    /// The data directory.
    pub path: PathBuf,
    /// Its files.
    pub fs: Arc<dyn FileSystem>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    offline: OnceLock<String>,
    doomed: Mutex<Vec<Doomed>>,
}

/// A file or folder, already renamed out of the way, and when it may go.
struct Doomed {
    due_ms: i64,
    path: PathBuf,
    is_dir: bool,
}

impl LogDir {
    /// A directory that is online.
    #[must_use]
    pub fn new(path: PathBuf, fs: Arc<dyn FileSystem>, clock: Arc<dyn Clock>, producer_id_expiration_ms: i64) -> Self {
        Self { path, fs, clock, producer_id_expiration_ms, offline: OnceLock::new(), doomed: Mutex::new(Vec::new()) }
    }

    /// Why the directory is offline, if it is.
    #[must_use]
    pub fn offline_reason(&self) -> Option<&str> {
        self.offline.get().map(String::as_str)
    }

    /// Refuses when offline.
    ///
    /// # Errors
    /// [`LogError::LogDirOffline`] with the first failure.
    pub fn check_online(&self) -> Result<(), LogError> {
        match self.offline.get() {
            Some(reason) => Err(LogError::LogDirOffline(reason.clone())),
            None => Ok(()),
        }
    }

    /// Wraps the result of something that changes files: a failure takes the directory offline, because after a failed
    /// write or fsync nobody knows what the disk holds, and a retry that succeeds would be a lie.
    pub fn changed<T>(&self, action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|source| {
            let error = io_error(action, path, source);
            let _ = self.offline.set(error.to_string());
            error
        })
    }

    /// Removes a file or folder (renamed out of the way before) once `delay_ms` has passed.
    pub fn remove_later(&self, path: PathBuf, is_dir: bool, delay_ms: i64) {
        let due_ms = self.clock.now_ms().saturating_add(delay_ms.max(0));
        self.doomed.lock().push(Doomed { due_ms, path, is_dir });
    }

    /// Removes what is due. What can't be removed stays on disk and is removed when the log is next loaded.
    pub fn remove_due(&self) {
        let now = self.clock.now_ms();
        let due: Vec<Doomed> = {
            let mut doomed = self.doomed.lock();
            let (due, rest) = doomed.drain(..).partition(|entry| entry.due_ms <= now);
            *doomed = rest;
            due
        };
        for entry in due {
            let _ = if entry.is_dir { self.fs.remove_dir_all(&entry.path) } else { self.fs.remove_file(&entry.path) };
        }
    }
}

/// An [`LogError::Io`] that names the file.
#[must_use]
pub fn io_error(action: &'static str, path: &Path, source: io::Error) -> LogError {
    LogError::Io { action, path: path.display().to_string(), source }
}
