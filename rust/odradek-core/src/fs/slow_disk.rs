//! A disk for tests (feature `faulty-fs`): which pages of a file it alone has, and a gate that its reads wait at until
//! the test opens it.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

const PAGE_BYTES: u64 = 4096;
/// Long enough that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Gate {
    is_shut: bool,
    waiting: usize,
}

/// Where reads of what is not in memory pass.
#[derive(Default)]
pub struct SlowDisk {
    gate: Mutex<Gate>,
    changed: Condvar,
}

impl SlowDisk {
    /// From now on its reads wait.
    pub fn shut(&self) {
        self.gate.lock().is_shut = true;
    }

    /// Lets all reads through, those that wait and those to come.
    pub fn open(&self) {
        self.gate.lock().is_shut = false;
        self.changed.notify_all();
    }

    /// Blocks until `count` reads wait at the gate.
    ///
    /// # Errors
    /// `TimedOut` when they don't come.
    pub fn wait_for_reads(&self, count: usize) -> io::Result<()> {
        let mut gate = self.gate.lock();
        let waited = self.changed.wait_while_for(&mut gate, |gate| gate.waiting < count, PATIENCE);
        if waited.timed_out() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// A read passes, when it may.
    pub(super) fn pass(&self) {
        let mut gate = self.gate.lock();
        gate.waiting += 1;
        self.changed.notify_all();
        self.changed.wait_while(&mut gate, |gate| gate.is_shut);
        gate.waiting -= 1;
    }
}

/// The pages of a file that are on the disk only.
#[derive(Debug, Default, Clone)]
pub(super) struct ColdPages(BTreeSet<u64>);

fn pages(position: u64, len: usize) -> std::ops::Range<u64> {
    position / PAGE_BYTES..(position + len as u64).div_ceil(PAGE_BYTES)
}

impl ColdPages {
    /// All of a file of `len` bytes but the first `kept`.
    pub fn behind(kept: usize, len: usize) -> Self {
        Self((pages(0, kept).end..pages(0, len).end).collect())
    }

    /// How many of the bytes from `position` on are in memory, without a gap.
    pub fn cached(&self, position: u64, len: usize) -> usize {
        match self.0.range(pages(position, len)).next() {
            Some(page) => (page * PAGE_BYTES).saturating_sub(position) as usize,
            None => len,
        }
    }

    /// Those of a range come into memory.
    pub fn bring_in(&mut self, position: u64, len: usize) {
        for page in pages(position, len) {
            self.0.remove(&page);
        }
    }
}
