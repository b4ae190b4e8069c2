//! The open loop over many connections: requests start on a schedule, each on the next connection that is free.
//!
//! Not the full speed of `driver`: `--rate` is what is offered, and a broker that falls behind shows it in the latency,
//! because a request that found every connection busy is timed from when it was due. The schedule is kept in steps of the
//! poll's resolution, one millisecond: at 5,000 a second five requests start together.

use crate::connection::Connection;
use crate::driver::{Limits, Meter, Traffic, register};
use crate::failure::Result;
use crate::report::Report;
use mio::{Events, Token};
use std::time::{Duration, Instant};

const BLOCKED: Duration = Duration::from_millis(100);

/// When the next request starts, and on which connection.
struct Schedule {
    period: Duration,
    due: Instant,
    turn: usize,
    blocked: bool,
}

impl Schedule {
    fn new(period: Duration, now: Instant) -> Self {
        Self { period, due: now, turn: 0, blocked: false }
    }

    /// The next request that may start: its connection, and the time that it counts from. `None`: not yet, or none is free.
    fn next(&mut self, now: Instant, is_free: impl Fn(usize) -> bool, connections: usize) -> Option<(usize, Instant)> {
        if self.due > now {
            self.blocked = false;
            return None;
        }
        let Some(step) = (0..connections).find(|step| is_free((self.turn + step) % connections)) else {
            self.blocked = true;
            return None;
        };
        let index = (self.turn + step) % connections;
        let counts_from = if self.blocked { self.due } else { now };
        self.turn = (index + 1) % connections;
        self.due += self.period;
        Some((index, counts_from))
    }

    fn wait(&self, now: Instant) -> Duration {
        if self.blocked { BLOCKED } else { self.due.saturating_duration_since(now) }
    }
}

/// Drive `traffic` over `connections` at one request every `period`, all of them together.
///
/// # Errors
/// A connection broke, an answer was wrong, or nothing was answered after the warm-up.
pub fn run(
    connections: &mut [Connection],
    limits: &Limits,
    period: Duration,
    traffic: &mut impl Traffic,
) -> Result<Report> {
    let mut poll = register(connections)?;
    let mut events = Events::with_capacity(connections.len().max(64));
    let mut meter = Meter::new(limits);
    let mut schedule = Schedule::new(period, Instant::now());
    loop {
        let now = Instant::now();
        if meter.is_over(now) {
            return meter.report();
        }
        while let Some((index, start)) = schedule.next(now, |c| connections[c].in_flight() == 0, connections.len()) {
            connections[index].begin(start, |frame| traffic.prepare(index, frame));
            connections[index].push()?;
        }
        poll.poll(&mut events, Some(schedule.wait(Instant::now())))?;
        for event in &events {
            let Token(index) = event.token();
            let connection = &mut connections[index];
            if event.is_readable() {
                while connection.pull(|body, started| {
                    let answer = traffic.check(index, body)?;
                    meter.count(&answer, started);
                    Ok(())
                })? {}
            }
            if connection.is_sending() {
                connection.push()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    #[test]
    fn requests_start_when_due_and_take_turns() {
        let now = Instant::now();
        let mut schedule = Schedule::new(PERIOD, now);
        assert_eq!(schedule.next(now, |_| true, 2), Some((0, now)));
        assert_eq!(schedule.next(now, |_| true, 2), None);
        assert_eq!(schedule.wait(now), PERIOD);
        let later = now + 3 * PERIOD;
        let started: Vec<_> = std::iter::from_fn(|| schedule.next(later, |_| true, 2)).map(|(c, _)| c).collect();
        assert_eq!(started, vec![1, 0, 1]);
    }

    #[test]
    fn a_request_that_found_every_connection_busy_counts_from_when_it_was_due() {
        let now = Instant::now();
        let mut schedule = Schedule::new(PERIOD, now);
        assert_eq!(schedule.next(now, |_| false, 2), None);
        let later = now + 5 * PERIOD;
        assert_eq!(schedule.next(later, |c| c == 1, 2), Some((1, now)));
        assert_eq!(schedule.next(later, |c| c == 0, 2), Some((0, now + PERIOD)));
    }
}
