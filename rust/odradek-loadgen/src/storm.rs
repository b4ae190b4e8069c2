//! `storm`: many clients that ask the control plane one thing, as fast as it answers or (`--rate`) at a rate.
//! `storming` on standard error says that its members are formed. Without `--seconds` it ends with standard input,
//! and its members leave, so that they don't time out while something else is measured; what it sends then stands behind that.

use crate::args::Args;
use crate::connection::Connection;
use crate::driver::{self, Answer, Limits, Traffic};
use crate::failure::{Failure, Result};
use crate::group_messages::{self as groups, Membership};
use crate::members::Group;
use crate::messages;
use crate::rejoin;
use std::time::Instant;

struct Metadata {
    topics: usize,
}

impl Traffic for Metadata {
    fn prepare(&mut self, _: usize, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            *frame = messages::metadata(None);
        }
    }

    fn check(&mut self, _: usize, body: &[u8]) -> Result<Answer> {
        let census = messages::read_metadata(body)?;
        if census.topics < self.topics || census.led < self.topics {
            let (topics, led) = (census.topics, census.led);
            return Err(Failure::new(format!("Metadata told of {topics} topics, {led} led, of {}", self.topics)));
        }
        Ok(Answer { bytes: body.len() as u64, records: 0 })
    }
}

struct Heartbeat {
    frames: Vec<Vec<u8>>,
}

impl Traffic for Heartbeat {
    fn prepare(&mut self, connection: usize, frame: &mut Vec<u8>) {
        frame.clone_from(&self.frames[connection]);
    }

    fn check(&mut self, _: usize, body: &[u8]) -> Result<Answer> {
        messages::expect(groups::read_heartbeat(body)?, "Heartbeat")?;
        Ok(Answer { bytes: body.len() as u64, records: 0 })
    }
}

struct Commit {
    frames: Vec<Vec<u8>>,
    offsets_at: Vec<Vec<usize>>,
    next: i64,
    partitions: u64,
}

impl Traffic for Commit {
    fn prepare(&mut self, connection: usize, frame: &mut Vec<u8>) {
        self.next += 1;
        frame.clone_from(&self.frames[connection]);
        for at in &self.offsets_at[connection] {
            frame[*at..at + 8].copy_from_slice(&self.next.to_be_bytes());
        }
    }

    fn check(&mut self, _: usize, body: &[u8]) -> Result<Answer> {
        let partitions = groups::check_commit(body)?;
        if partitions != self.partitions {
            return Err(Failure::new(format!("OffsetCommit answered {partitions} of {} partitions", self.partitions)));
        }
        Ok(Answer { bytes: body.len() as u64, records: partitions })
    }
}

/// The members of all groups as one crowd, one connection each.
struct Crowd {
    groups: Vec<Group>,
    seconds: f64,
}

impl Crowd {
    fn form(args: &Args, address: &str) -> Result<Self> {
        let (members, count) = (args.count("members", 200)?, args.count("groups", 1)?);
        if members % count != 0 {
            return Err(Failure::new("--members must be a multiple of --groups"));
        }
        let since = Instant::now();
        let name = |number| format!("storm-{}-{number}", std::process::id());
        let groups = (0..count)
            .map(|number| Group::form(address, &name(number), members / count))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { groups, seconds: since.elapsed().as_secs_f64() })
    }

    /// What `request` makes of each member, in the order of `drive`'s connections.
    fn each<T>(&self, request: impl Fn(&str, &Membership) -> T) -> Vec<T> {
        self.groups.iter().flat_map(|group| group.members.iter().map(|each| request(group.name(), each))).collect()
    }

    fn drive(mut self, address: &str, limits: &Limits, traffic: &mut impl Traffic) -> Result<String> {
        let mut open: Vec<Connection> = self.groups.iter_mut().flat_map(|group| group.connections.drain(..)).collect();
        announce(&mut open, limits);
        let report = driver::run(&mut open, limits, traffic)?;
        if limits.has_ended() {
            self.groups.iter().try_for_each(|group| group.leave(address))?;
        }
        Ok(report.number("form_s", self.seconds).line())
    }
}

/// Tell whoever started this that the clients are connected and members, and that the storm begins.
#[allow(clippy::print_stderr, reason = "who started this waits for the line")]
fn announce(storming: &mut [Connection], limits: &Limits) {
    if limits.is_beside() {
        storming.iter_mut().for_each(Connection::step_back);
    }
    eprintln!("storming");
}

/// Run the command.
///
/// # Errors
/// See the options in `main`; any answer that is not as it must be.
pub fn run(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    let kind: String = args.required("kind")?;
    let limits = Limits::from(args, 1)?;
    let limits = if args.optional::<f64>("seconds")?.is_none() { limits.until_input_ends()? } else { limits };
    match kind.as_str() {
        "metadata" => {
            let (members, topics) = (args.count("members", 200)?, args.count("topics", 1000)?);
            messages::open(&address)?;
            let mut open = (0..members).map(|_| Connection::open(&address)).collect::<Result<Vec<_>>>()?;
            announce(&mut open, &limits);
            Ok(driver::run(&mut open, &limits, &mut Metadata { topics })?.line())
        }
        "heartbeat" => {
            let crowd = Crowd::form(args, &address)?;
            let frames = crowd.each(groups::heartbeat);
            crowd.drive(&address, &limits, &mut Heartbeat { frames })
        }
        "commit" => {
            let topic: String = args.required("topic")?;
            let partitions = args.count("partitions", 12)?;
            let wide = i32::try_from(partitions).map_err(|_| Failure::new("--partitions is too large"))?;
            let crowd = Crowd::form(args, &address)?;
            let requests = crowd.each(|group, member| groups::commit(group, member, &topic, wide, 0));
            let (frames, offsets_at) = requests.into_iter().unzip();
            crowd.drive(&address, &limits, &mut Commit { frames, offsets_at, next: 0, partitions: partitions as u64 })
        }
        "rejoin" => {
            let mut crowd = Crowd::form(args, &address)?;
            match (crowd.groups.pop(), crowd.groups.is_empty()) {
                (Some(mut group), true) => {
                    announce(&mut group.connections, &limits);
                    let report = rejoin::run(&limits, &mut group)?;
                    if limits.has_ended() {
                        group.leave(&address)?;
                    }
                    Ok(report)
                }
                _ => Err(Failure::new("--kind rejoin is for one group")),
            }
        }
        _ => Err(Failure::new("--kind must be metadata, heartbeat, commit or rejoin")),
    }
}
