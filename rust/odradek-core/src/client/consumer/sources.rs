//! Brokers as sources of records: what is under way to each, on which lane, and when it may be asked again. No I/O.
//!
//! A broker holds a Fetch that finds nothing, for `fetch.max.wait.ms`, and answers nothing else on that connection
//! meanwhile. Whatever becomes possible in that time (a partition whose buffer was full, a seek, a resumed or a new
//! partition) must not stand behind it: it goes over a second lane, in fetches without a session that are never held.

use std::time::{Duration, Instant};

use super::session::Session;
use crate::client::cluster::Channel;
use crate::client::settings::ClientSettings;

/// Which of the fetches to a broker; each lane has one under way at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The fetch session's, with all that may be asked for when it is sent. The broker may hold it.
    Session,
    /// Past a session's fetch that the broker may be holding. Answered at once; its connection is made when first needed.
    Prompt,
}

impl Lane {
    /// The connection of its own that it has.
    pub fn channel(self) -> Channel {
        match self {
            Self::Session => Channel::Data,
            Self::Prompt => Channel::Prompt,
        }
    }
}

/// One lane to one broker.
#[derive(Default)]
pub(super) struct Source {
    /// `None` on the prompt lane, and while a fetch is under way: it has the session.
    pub session: Option<Session>,
    /// A fetch is under way.
    pub busy: bool,
    /// The fetch under way is one that the broker may hold.
    pub held: bool,
    /// Nothing before then.
    pub retry_at: Option<Instant>,
    /// Turn among the sources: lower ones come first.
    pub turn: u64,
    failures: u32,
}

impl Source {
    /// Nothing asked yet.
    pub fn new(lane: Lane) -> Self {
        Self { session: (lane == Lane::Session).then(Session::default), ..Self::default() }
    }

    /// Notes that a fetch failed as a whole.
    pub fn failed(&mut self, now: Instant, client: &ClientSettings) {
        let wait = client.retry_backoff.saturating_mul(1 << self.failures.min(10)).min(client.retry_backoff_max);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait);
    }

    /// Notes that a fetch was answered by a broker that wants to be left alone for so long.
    pub fn succeeded(&mut self, now: Instant, throttle_ms: i32) {
        let throttle = u64::try_from(throttle_ms).ok().filter(|&throttle| throttle > 0);
        (self.failures, self.retry_at) = (0, throttle.map(|throttle| now + Duration::from_millis(throttle)));
    }
}
