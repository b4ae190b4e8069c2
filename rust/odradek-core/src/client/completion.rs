//! How results reach Python: a list of (token, result) and a descriptor that is readable while it holds something.
//!
//! The descriptor is written only when the list was empty: one wake a burst, however many results it brings.

use std::io;

use parking_lot::Mutex;

use crate::doorbell::Doorbell;

/// The list. Thread-safe.
pub struct Completions<T> {
    list: Mutex<Vec<(u64, T)>>,
    bell: Doorbell,
}

impl<T> Completions<T> {
    /// An empty list.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { list: Mutex::new(Vec::new()), bell: Doorbell::new()? })
    }

    /// Adds a result.
    pub fn push(&self, token: u64, result: T) {
        let mut list = self.list.lock();
        let was_empty = list.is_empty();
        list.push((token, result));
        if was_empty {
            // Under the lock: else a taker between the two could leave the bell ringing for nothing.
            self.bell.ring();
        }
    }

    /// Takes all results, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<(u64, T)> {
        let mut list = self.list.lock();
        if !list.is_empty() {
            self.bell.silence();
        }
        std::mem::take(&mut *list)
    }

    /// Readable while there is something to take; for an event loop.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.bell.raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable(completions: &Completions<u8>) -> bool {
        let mut fds = [PollFd::new(&completions.bell, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("poll") == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_results_wait() {
        let completions = Completions::new().expect("a descriptor");
        assert!(!readable(&completions));
        completions.push(1, b'a');
        completions.push(2, b'b');
        assert!(readable(&completions));
        assert_eq!(completions.take(), [(1, b'a'), (2, b'b')]);
        assert!(!readable(&completions));
        assert!(completions.take().is_empty());
    }
}
