//! `storm --kind rejoin`: a group whose members all rejoin, round after round; with `--rate` a round starts when its
//! members' JoinGroups are due, and one that is late is timed from then.

use crate::driver::Limits;
use crate::failure::Result;
use crate::histogram::Histogram;
use crate::members::Group;
use crate::report::Report;
use std::time::{Duration, Instant};

/// Rebalance `group` until time is up; a JoinGroup and a SyncGroup a member and round.
///
/// # Errors
/// A round that does not end as it must.
pub fn run(limits: &Limits, group: &mut Group) -> Result<String> {
    let warm = Instant::now();
    while warm.elapsed() < limits.warmup() {
        group.rebalance()?;
    }
    let mut rounds = Histogram::new();
    let mut count = 0_u32;
    let since = Instant::now();
    let members = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
    let period = limits.period().map(|period| period * members);
    let mut due = since;
    while count == 0 || (since.elapsed() < limits.seconds() && !limits.has_ended()) {
        let round = period.map_or_else(Instant::now, |period| start(&mut due, period));
        group.rebalance()?;
        rounds.record(u64::try_from(round.elapsed().as_nanos()).unwrap_or(u64::MAX));
        count += 1;
    }
    let seconds = since.elapsed().as_secs_f64();
    let joins = f64::from(count) * f64::from(members);
    Ok(Report::default()
        .number("seconds", seconds)
        .number("requests", joins)
        .number("requests_s", joins / seconds)
        .number("rounds", f64::from(count))
        .number("mean_us", rounds.mean_us())
        .number("p50_us", rounds.quantile_us(0.5))
        .number("p99_us", rounds.quantile_us(0.99))
        .number("p999_us", rounds.quantile_us(0.999))
        .line())
}

/// Wait until `due`, then move it on; returns what the round counts from.
fn start(due: &mut Instant, period: Duration) -> Instant {
    let mine = *due;
    *due += period;
    match mine.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
        Some(wait) => {
            std::thread::sleep(wait);
            Instant::now()
        }
        None => mine,
    }
}
