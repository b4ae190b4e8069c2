//! `writable` and `ready`: how long until a broker that is starting, or topics that are being made, can be used.
//!
//! Both poll every 2 ms and report wall-clock times, so that whoever executed the broker can subtract its own.

use crate::args::Args;
use crate::batch;
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::messages;
use crate::report::Report;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PAUSE: Duration = Duration::from_millis(2);

fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

struct Deadline {
    since: Instant,
    timeout: Duration,
}

impl Deadline {
    fn from(args: &Args, default: f64) -> Result<Self> {
        let timeout = Duration::try_from_secs_f64(args.or("timeout", default)?);
        let timeout = timeout.map_err(|error| Failure::new(format!("--timeout: {error}")))?;
        Ok(Self { since: Instant::now(), timeout })
    }

    /// Wait a little, unless it is too late.
    fn pause(&self, whose: &str) -> Result<()> {
        if self.since.elapsed() > self.timeout {
            return Err(Failure::new(format!("{whose}: not within {} s", self.timeout.as_secs_f64())));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

fn await_api_versions(address: &str, deadline: &Deadline) -> Result<Connection> {
    loop {
        let asked = Connection::open(address).and_then(|mut connection| {
            messages::api_versions(&mut connection)?;
            Ok(connection)
        });
        match asked {
            Ok(connection) => return Ok(connection),
            Err(_) => deadline.pause("ApiVersions")?,
        }
    }
}

/// Run `ready`.
///
/// # Errors
/// Time is up.
pub fn ready(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    await_api_versions(&address, &Deadline::from(args, 60.0)?)?;
    Ok(Report::default().number("api_versions_at", epoch_seconds()).line())
}

/// Run `writable`: one record to every partition of every topic, asked again for those that refused.
///
/// # Errors
/// Time is up.
pub fn run(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    let prefix: String = args.required("prefix")?;
    let topics = args.count("topics", 1)?;
    let partitions = i32::try_from(args.count("partitions", 1)?);
    let partitions = partitions.map_err(|_| Failure::new("--partitions is too large"))?;
    let deadline = Deadline::from(args, 120.0)?;
    let mut connection = await_api_versions(&address, &deadline)?;
    let api_versions_at = epoch_seconds();
    let record = batch::encode(1, 100, 3);
    let (mut first_at, mut before, mut refusals) = (0.0, 0_i64, 0_u32);
    for topic in (0..topics).map(|index| format!("{prefix}{index}")) {
        let mut due: Vec<i32> = (0..partitions).collect();
        while !due.is_empty() {
            let frame = messages::produce(&topic, &due, 1, &record);
            let Ok(body) = connection.call(frame) else {
                deadline.pause(&topic)?;
                connection = await_api_versions(&address, &deadline)?;
                continue;
            };
            let mut refused = Vec::new();
            messages::read_produce(&body, |partition, error, base_offset| {
                if error == 0 {
                    before += base_offset
                } else {
                    refused.push(partition)
                }
                Ok(())
            })?;
            if first_at == 0.0 && refused.len() < due.len() {
                first_at = epoch_seconds();
            }
            if !refused.is_empty() {
                refusals += 1;
                deadline.pause(&topic)?;
            }
            due = refused;
        }
    }
    Ok(Report::default()
        .number("api_versions_at", api_versions_at)
        .number("first_writable_at", first_at)
        .number("all_writable_at", epoch_seconds())
        .number("records_before", before as f64)
        .number("refusals", f64::from(refusals))
        .line())
}
