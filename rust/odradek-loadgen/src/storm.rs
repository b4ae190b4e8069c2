//! `storm`: many clients that ask the control plane one thing, as fast as it answers.

use crate::args::Args;
use crate::connection::Connection;
use crate::driver::{self, Answer, Limits, Traffic};
use crate::failure::{Failure, Result};
use crate::group_messages as groups;
use crate::members::Group;
use crate::messages;
use crate::rejoin;

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

fn form(address: &str, members: usize) -> Result<Group> {
    Group::form(address, &format!("storm-{}", std::process::id()), members)
}

/// Run the command.
///
/// # Errors
/// See the options in `main`; any answer that is not as it must be.
pub fn run(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    let kind: String = args.required("kind")?;
    let members = args.count("members", 200)?;
    let limits = Limits::from(args, 1)?;
    match kind.as_str() {
        "metadata" => {
            let topics = args.count("topics", 1000)?;
            messages::open(&address)?;
            let mut open = (0..members).map(|_| Connection::open(&address)).collect::<Result<Vec<_>>>()?;
            Ok(driver::run(&mut open, &limits, &mut Metadata { topics })?.line())
        }
        "heartbeat" => {
            let mut group = form(&address, members)?;
            let frames = group.members.iter().map(|member| groups::heartbeat(group.name(), member)).collect();
            Ok(driver::run(&mut group.connections, &limits, &mut Heartbeat { frames })?.line())
        }
        "commit" => {
            let topic: String = args.required("topic")?;
            let partitions = args.count("partitions", 12)?;
            let wide = i32::try_from(partitions).map_err(|_| Failure::new("--partitions is too large"))?;
            let mut group = form(&address, members)?;
            let requests = group.members.iter().map(|member| groups::commit(group.name(), member, &topic, wide, 0));
            let (frames, offsets_at) = requests.unzip();
            let mut traffic = Commit { frames, offsets_at, next: 0, partitions: partitions as u64 };
            Ok(driver::run(&mut group.connections, &limits, &mut traffic)?.line())
        }
        "rejoin" => rejoin::run(args, form(&address, members)?),
        _ => Err(Failure::new("--kind must be metadata, heartbeat, commit or rejoin")),
    }
}
