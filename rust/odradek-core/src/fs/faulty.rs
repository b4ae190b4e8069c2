//! A file system that fails or forgets on purpose (feature `faulty-fs`): the n-th open, read, write or sync fails, and
//! [`FaultyFileSystem::crash_image`] gives what a disk would hold after the power went. Nor need it be quick: what was
//! [evicted](FaultyFileSystem::evict) is read from a [`SlowDisk`].
//!
//! It keeps every file in memory twice: as the process sees it, and as it was last synced. Names, and renames, are durable
//! once their folder was synced. That is the least a file system promises, so what survives here survives anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::slow_disk::{ColdPages, SlowDisk};
use super::{DirEntry, FileSystem, LockGuard, LogFile};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening or making a file.
    Open,
    /// Reading from one.
    Read,
    /// Writing to one; the first half of the bytes arrives.
    Write,
    /// Making one, or a folder, durable.
    Sync,
    /// Renaming or removing.
    Rename,
}

/// One file: as seen, and as durable.
#[derive(Debug, Default, Clone)]
struct Contents {
    live: Vec<u8>,
    durable: Vec<u8>,
    cold: ColdPages,
}

type Shared = Arc<Mutex<Contents>>;

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Shared>,
    dirs: BTreeSet<PathBuf>,
    /// The names that would survive a crash.
    durable_names: BTreeMap<PathBuf, Shared>,
    /// Calls left before an operation fails, and with what.
    faults: BTreeMap<Operation, (usize, io::ErrorKind)>,
    calls: BTreeMap<Operation, usize>,
}

/// An in-memory file system with faults. Clones share their files.
#[derive(Clone, Default)]
pub struct FaultyFileSystem {
    state: Arc<Mutex<State>>,
    disk: Arc<SlowDisk>,
}

struct FaultyFile {
    state: Arc<Mutex<State>>,
    disk: Arc<SlowDisk>,
    contents: Shared,
}

impl State {
    /// Counts a call and says whether it is the one to fail.
    fn check(&mut self, operation: Operation) -> io::Result<()> {
        *self.calls.entry(operation).or_default() += 1;
        match self.faults.get_mut(&operation) {
            Some((0, kind)) => Err((*kind).into()),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl FaultyFileSystem {
    /// An empty file system without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// After `calls` more calls, every call of `operation` fails with `kind`.
    pub fn fail_after(&self, operation: Operation, calls: usize, kind: io::ErrorKind) {
        self.state.lock().faults.insert(operation, (calls, kind));
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// Calls of `operation` so far.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> usize {
        self.state.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Leaves what was written so far on the disk only: the page cache keeps the first `kept` bytes of each file.
    pub fn evict(&self, kept: usize) {
        for contents in self.state.lock().files.values() {
            let mut contents = contents.lock();
            contents.cold = ColdPages::behind(kept, contents.live.len());
        }
    }

    /// Where reads of what was evicted wait, if a test wants them to.
    #[must_use]
    pub fn disk(&self) -> &SlowDisk {
        &self.disk
    }

    /// What is left when the power goes now. `torn` of the bytes that were written and not synced survive at the end of
    /// each durable file, as the page cache may have written some of them back.
    #[must_use]
    pub fn crash_image(&self, torn: usize) -> Self {
        let state = self.state.lock();
        let mut image = State { dirs: state.dirs.clone(), ..State::default() };
        for (path, shared) in &state.durable_names {
            let contents = shared.lock();
            let mut bytes = contents.durable.clone();
            if let Some(unsynced) = contents.live.get(bytes.len()..) {
                bytes.extend_from_slice(&unsynced[..torn.min(unsynced.len())]);
            }
            let survivor =
                Arc::new(Mutex::new(Contents { live: bytes.clone(), durable: bytes, ..Contents::default() }));
            image.files.insert(path.clone(), Arc::clone(&survivor));
            image.durable_names.insert(path.clone(), survivor);
        }
        Self { state: Arc::new(Mutex::new(image)), disk: Arc::default() }
    }
}

impl LogFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.state.lock().check(Operation::Read)?;
        let is_cold = self.contents.lock().cold.cached(position, buf.len()) < buf.len();
        if is_cold {
            self.disk.pass();
        }
        let mut contents = self.contents.lock();
        contents.cold.bring_in(position, buf.len());
        let Some(rest) = usize::try_from(position).ok().and_then(|from| contents.live.get(from..)) else {
            return Ok(0);
        };
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn read_cached_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let cached = self.contents.lock().cold.cached(position, buf.len());
        match cached {
            0 if !buf.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            _ => self.read_at(&mut buf[..cached], position),
        }
    }

    fn write_all_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let fault = self.state.lock().check(Operation::Write);
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        if fault.is_err() {
            bytes.truncate(bytes.len() / 2);
        }
        let start = usize::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut contents = self.contents.lock();
        let end = start + bytes.len();
        if contents.live.len() < end {
            contents.live.resize(end, 0);
        }
        contents.live[start..end].copy_from_slice(&bytes);
        contents.cold.bring_in(position, bytes.len());
        fault
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().check(Operation::Write)?;
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.contents.lock().live.resize(len, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().live.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        self.state.lock().check(Operation::Sync)?;
        let mut contents = self.contents.lock();
        contents.durable = contents.live.clone();
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn not_found<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl FileSystem for FaultyFileSystem {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state.lock();
        state.check(Operation::Open)?;
        let contents = match state.files.get(path) {
            Some(contents) => Arc::clone(contents),
            None if create && path.parent().is_some_and(|dir| state.dirs.contains(dir)) => {
                let contents = Shared::default();
                state.files.insert(path.to_path_buf(), Arc::clone(&contents));
                contents
            }
            None => return not_found(),
        };
        Ok(Arc::new(FaultyFile { state: Arc::clone(&self.state), disk: Arc::clone(&self.disk), contents }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Open)?;
        if state.dirs.insert(path.to_path_buf()) { Ok(()) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.state.lock().dirs.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        if !state.dirs.contains(dir) {
            return not_found();
        }
        let entry = |path: &PathBuf, is_dir| {
            let name = path.strip_prefix(dir).ok().filter(|rest| rest.components().count() == 1)?;
            Some(DirEntry { name: name.to_str()?.to_owned(), is_dir })
        };
        let files = state.files.keys().filter_map(|path| entry(path, false));
        Ok(files.chain(state.dirs.iter().filter_map(|path| entry(path, true))).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Rename)?;
        if let Some(contents) = state.files.remove(from) {
            state.files.insert(to.to_path_buf(), contents);
            return Ok(());
        }
        if !state.dirs.remove(from) {
            return not_found();
        }
        state.dirs.insert(to.to_path_buf());
        let moved = |path: &PathBuf| Some(to.join(path.strip_prefix(from).ok()?));
        let State { files, durable_names, .. } = &mut *state;
        for names in [files, durable_names] {
            *names =
                std::mem::take(names).into_iter().map(|(path, file)| (moved(&path).unwrap_or(path), file)).collect();
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Rename)?;
        if state.files.remove(path).is_some() { Ok(()) } else { not_found() }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Rename)?;
        state.files.retain(|file, _| !file.starts_with(path));
        state.durable_names.retain(|file, _| !file.starts_with(path));
        state.dirs.retain(|dir| !dir.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Sync)?;
        state.durable_names.retain(|path, _| path.parent() != Some(dir));
        let named: Vec<_> = state
            .files
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, contents)| (path.clone(), Arc::clone(contents)))
            .collect();
        state.durable_names.extend(named);
        Ok(())
    }

    fn sync_all(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check(Operation::Sync)?;
        state.durable_names = state.files.clone();
        for contents in state.files.values() {
            let mut contents = contents.lock();
            contents.durable = contents.live.clone();
        }
        Ok(())
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        match self.state.lock().files.get(path) {
            Some(contents) => Ok(contents.lock().live.len() as u64),
            None => not_found(),
        }
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        self.file_len(path).map(|_| 0)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        self.open(path, true)?;
        Ok(Some(Box::new(())))
    }
}
