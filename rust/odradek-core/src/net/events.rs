//! The events that Python's loop finds besides requests, once its doorbell has rung.

use parking_lot::Mutex;

/// Events kept until Python takes them; older ones go first, for a reader that never comes.
const KEPT_EVENTS: usize = 1024;

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
