//! The eventfd that tells Python's loop to look, and the events it finds besides requests.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

/// Events kept until Python takes them; older ones go first, for a reader that never comes.
const KEPT_EVENTS: usize = 1024;

/// Readable while there is something to take. The engine owns the descriptor.
pub struct Doorbell {
    fd: OwnedFd,
}

impl Doorbell {
    /// A silent one.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        // The counter can only be full when it is readable anyway.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor silent.
    pub fn silence(&self) {
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
    }

    /// For `loop.add_reader`.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What happened that Python should log or act on.
#[derive(Default)]
pub struct Events {
    list: Mutex<Vec<(String, String)>>,
}

impl Events {
    /// Adds an event. The caller rings the doorbell.
    pub fn push(&self, kind: &str, text: String) {
        let mut list = self.list.lock();
        if list.len() == KEPT_EVENTS {
            list.remove(0);
        }
        list.push((kind.to_owned(), text));
    }

    /// Takes all events, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.list.lock())
    }
}
