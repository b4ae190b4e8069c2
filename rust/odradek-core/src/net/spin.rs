//! Looking for the next request for a moment instead of sleeping, where that has been seen to pay.
//!
//! A client that sends one request after the other's answer costs two wake-ups a request, and they are most of its time.
//! So when a connection's last requests each came within [`MOMENT`] of the answer before, and nobody else on its thread
//! does anything, the next one is waited for awake for that long. When it doesn't come, the connection sleeps as any other
//! does until it has been quick again for twice as many requests as before: a client that is slow, or gets no CPU because
//! of us, hardly meets it again. An idle connection never spins.

use std::io;
use std::time::{Duration, Instant};

/// How soon the next request has to come, and how long it is waited for awake. Longer than a wake-up on another core
/// takes in a virtual machine, else it would never be found that none is needed.
const MOMENT: Duration = Duration::from_micros(50);
/// Requests in a row that have to come that soon, at first and at most.
const QUICK_REQUESTS: u32 = 8;
const MAX_QUICK_REQUESTS: u32 = 1 << 14;
/// Successes in a row after which earlier failures are forgiven.
const FORGIVING_SUCCESSES: u32 = 100;

/// What one connection has seen.
#[derive(Debug)]
pub struct Spin {
    /// Quick requests in a row.
    quick: u32,
    /// How many it takes.
    needed: u32,
    successes: u32,
    asleep_since: Option<Instant>,
}

impl Default for Spin {
    fn default() -> Self {
        Self { quick: 0, needed: QUICK_REQUESTS, successes: 0, asleep_since: None }
    }
}

impl Spin {
    /// True when the next request may well come within [`MOMENT`].
    #[must_use]
    pub fn pays(&self) -> bool {
        self.quick >= self.needed
    }

    /// Calls `fill` until it says something else than [`io::ErrorKind::WouldBlock`], for a [`MOMENT`] at most: `None`.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn wait(&mut self, mut fill: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
        let since = Instant::now();
        loop {
            match fill() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if since.elapsed() >= MOMENT {
                        self.failed();
                        return Ok(None);
                    }
                    std::hint::spin_loop();
                }
                filled => {
                    self.succeeded();
                    return filled.map(Some);
                }
            }
        }
    }

    fn succeeded(&mut self) {
        self.asleep_since = None;
        self.successes += 1;
        if self.successes >= FORGIVING_SUCCESSES {
            self.successes = 0;
            self.needed = QUICK_REQUESTS;
        }
    }

    fn failed(&mut self) {
        self.quick = 0;
        self.successes = 0;
        self.needed = (self.needed * 2).min(MAX_QUICK_REQUESTS);
    }

    /// Everything is answered and the connection goes to sleep.
    pub fn sleeps(&mut self) {
        self.sleeps_at(Instant::now());
    }

    fn sleeps_at(&mut self, now: Instant) {
        self.asleep_since.get_or_insert(now);
    }

    /// Bytes came.
    pub fn received(&mut self) {
        if self.asleep_since.is_some() {
            self.received_at(Instant::now());
        }
    }

    fn received_at(&mut self, now: Instant) {
        if let Some(since) = self.asleep_since.take() {
            let is_quick = now.saturating_duration_since(since) <= MOMENT;
            self.quick = if is_quick { self.quick.saturating_add(1) } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that comes `after` the answer before it.
    fn request(spin: &mut Spin, now: &mut Instant, after: Duration) {
        spin.sleeps_at(*now);
        *now += after;
        spin.received_at(*now);
    }

    #[test]
    fn only_a_run_of_quick_requests_makes_it_pay_and_one_that_is_late_ends_it() {
        let (mut spin, mut now) = (Spin::default(), Instant::now());
        for _ in 0..QUICK_REQUESTS {
            assert!(!spin.pays());
            request(&mut spin, &mut now, MOMENT / 2);
        }
        assert!(spin.pays());
        request(&mut spin, &mut now, MOMENT * 2);
        assert!(!spin.pays());
    }

    #[test]
    fn each_time_it_was_waited_for_in_vain_takes_twice_as_many_quick_requests_to_try_again() {
        let (mut spin, mut now) = (Spin::default(), Instant::now());
        (0..QUICK_REQUESTS).for_each(|_| request(&mut spin, &mut now, MOMENT / 2));
        for needed in [16, 32, 64] {
            assert!(spin.pays());
            assert_eq!(spin.wait(|| Err(io::ErrorKind::WouldBlock.into())).expect("no error"), None);
            (1..needed).for_each(|_| request(&mut spin, &mut now, MOMENT / 2));
            assert!(!spin.pays(), "{needed}");
            request(&mut spin, &mut now, MOMENT / 2);
        }
        for _ in 0..FORGIVING_SUCCESSES {
            assert!(spin.pays());
            spin.sleeps_at(now);
            assert_eq!(spin.wait(|| Ok(7)).expect("bytes"), Some(7));
        }
        spin.failed();
        (0..16).for_each(|_| request(&mut spin, &mut now, MOMENT / 2));
        assert!(spin.pays(), "a long run of successes makes up for old failures");
    }

    #[test]
    fn waking_up_for_something_else_does_not_make_a_slow_client_quick() {
        let (mut spin, start) = (Spin::default(), Instant::now());
        for at in 0..2 * QUICK_REQUESTS {
            // Goes back to sleep twice before the request comes.
            let from = start + MOMENT * 10 * at;
            spin.sleeps_at(from);
            spin.sleeps_at(from + MOMENT * 4);
            spin.received_at(from + MOMENT * 4 + MOMENT / 2);
        }
        assert!(!spin.pays());
    }
}
