//! `storm --kind rejoin`: a group whose members all rejoin, round after round.

use crate::args::Args;
use crate::driver::Limits;
use crate::failure::Result;
use crate::histogram::Histogram;
use crate::members::Group;
use crate::report::Report;
use std::time::Instant;

/// Rebalance `group` until time is up; a JoinGroup and a SyncGroup a member and round.
///
/// # Errors
/// A round that does not end as it must.
pub fn run(args: &Args, mut group: Group) -> Result<String> {
    let limits = Limits::from(args, 1)?;
    let warm = Instant::now();
    while warm.elapsed() < limits.warmup() {
        group.rebalance()?;
    }
    let mut rounds = Histogram::new();
    let mut count = 0_u32;
    let since = Instant::now();
    while count == 0 || since.elapsed() < limits.seconds() {
        let round = Instant::now();
        group.rebalance()?;
        rounds.record(u64::try_from(round.elapsed().as_nanos()).unwrap_or(u64::MAX));
        count += 1;
    }
    let seconds = since.elapsed().as_secs_f64();
    let joins = f64::from(count) * group.members.len() as f64;
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
