//! The events that Python's loop finds besides requests, once its doorbell has rung.

use parking_lot::Mutex;

/// Events kept until Python takes them; older ones go first, for a reader that never comes. [`GATHERED`] ones are all
/// kept: their number is bounded by that of the groups, and requests wait for them.
const KEPT_EVENTS: usize = 1024;

/// The kind of an event that names a group of which Python should take what was gathered (`rounds`).
pub const GATHERED: &str = "gathered";

/// What happened that Python should log or act on.
#[derive(Default)]
pub struct Events {
    list: Mutex<Vec<(String, String)>>,
}

impl Events {
    /// Adds an event. The caller rings the doorbell.
    pub fn push(&self, kind: &str, text: String) {
        let mut list = self.list.lock();
        if kind != GATHERED {
            let mut others = list.iter().enumerate().filter(|(_, (kind, _))| kind != GATHERED).map(|(at, _)| at);
            if let Some(oldest) = others.next()
                && others.count() + 1 == KEPT_EVENTS
            {
                list.remove(oldest);
            }
        }
        list.push((kind.to_owned(), text));
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// Takes all events, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.list.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_but_none_that_a_group_waits_for() {
        let events = Events::default();
        for number in 0..KEPT_EVENTS + 3 {
            events.push(GATHERED, format!("group {number}"));
            events.push("log_dir_offline", format!("{number}"));
        }
        events.push(GATHERED, "the last".to_owned());
        assert!(!events.is_empty());
        let taken = events.take();
        let of_groups = taken.iter().filter(|(kind, _)| kind == GATHERED).count();
        assert_eq!((of_groups, taken.len()), (KEPT_EVENTS + 4, KEPT_EVENTS + 4 + KEPT_EVENTS));
        assert_eq!(taken.iter().find(|(kind, _)| kind != GATHERED).map(|(_, text)| text.as_str()), Some("3"));
        assert!(events.is_empty());
    }
}
