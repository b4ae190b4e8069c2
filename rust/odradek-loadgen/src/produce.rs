//! `produce`: the same encoded batch again and again.

use crate::args::Args;
use crate::batch;
use crate::connection::Connection;
use crate::driver::{self, Answer, Limits, Traffic};
use crate::failure::{Failure, Result};
use crate::messages;

/// Where a connection writes, and the last base offset it got in each partition.
struct Lane {
    partitions: Vec<i32>,
    turn: usize,
    last: Vec<i64>,
}

struct Produce {
    template: Vec<u8>,
    partition_at: usize,
    batch_bytes: u64,
    records: u64,
    lanes: Vec<Lane>,
}

impl Traffic for Produce {
    fn prepare(&mut self, connection: usize, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            frame.clone_from(&self.template);
        }
        let lane = &mut self.lanes[connection];
        let partition = lane.partitions[lane.turn];
        lane.turn = (lane.turn + 1) % lane.partitions.len();
        frame[self.partition_at..self.partition_at + 4].copy_from_slice(&partition.to_be_bytes());
    }

    fn check(&mut self, connection: usize, body: &[u8]) -> Result<Answer> {
        let lane = &mut self.lanes[connection];
        let records = self.records;
        let mut answered = 0;
        messages::read_produce(body, |partition, error, base_offset| {
            messages::expect(error, "Produce")?;
            answered += 1;
            let Some(at) = lane.partitions.iter().position(|p| *p == partition) else {
                return Err(Failure::new(format!("Produce answered for partition {partition}, which was not sent")));
            };
            let due = lane.last[at] + records as i64;
            if base_offset < due && lane.last[at] >= 0 {
                return Err(Failure::new(format!(
                    "partition {partition}: base offset {base_offset}, at least {due} due"
                )));
            }
            lane.last[at] = base_offset;
            Ok(())
        })?;
        if answered != 1 {
            return Err(Failure::new(format!("Produce answered {answered} partitions of 1")));
        }
        Ok(Answer { bytes: self.batch_bytes, records })
    }
}

/// Which partitions connection `c` of `connections` writes: c, c + connections, ...; wrapped when there are fewer.
fn lane(c: usize, connections: usize, partitions: usize) -> Lane {
    let mine: Vec<i32> =
        (c % partitions..partitions).step_by(connections).filter_map(|p| i32::try_from(p).ok()).collect();
    let last = vec![-1; mine.len()];
    Lane { partitions: mine, turn: 0, last }
}

/// Run the command.
///
/// # Errors
/// See the options in `main`; any answer that is not as it must be.
pub fn run(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    let topic: String = args.required("topic")?;
    let partitions = args.count("partitions", 1)?;
    let connections = args.count("connections", 1)?;
    let records = args.count("records", 1)?;
    let acks: i16 = args.or("acks", 1)?;
    if acks != 1 && acks != -1 {
        return Err(Failure::new("--acks must be 1 or -1: without acks there is no answer to check"));
    }
    let limits = Limits::from(args, args.count("in-flight", 1)?)?;
    messages::await_leaders(&mut messages::open(&address)?, &topic, partitions)?;

    let batch = batch::encode_keyed(records, args.or("key-bytes", 0)?, args.count("record-bytes", 100)?, 7);
    let marker = i32::from_be_bytes([0x7a, 0x11, 0x7a, 0x11]);
    let template = messages::produce(&topic, &[marker], acks, &batch);
    let partition_at = template
        .windows(4)
        .position(|window| window == marker.to_be_bytes())
        .ok_or_else(|| Failure::new("the partition is not in the frame"))?;
    let mut traffic = Produce {
        template,
        partition_at,
        batch_bytes: batch.len() as u64,
        records: records as u64,
        lanes: (0..connections).map(|c| lane(c, connections, partitions)).collect(),
    };
    let mut open = (0..connections).map(|_| Connection::open(&address)).collect::<Result<Vec<_>>>()?;
    Ok(driver::run(&mut open, &limits, &mut traffic)?.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_cover_every_partition_and_wrap_when_there_are_fewer() {
        let of = |c, connections, partitions| lane(c, connections, partitions).partitions;
        assert_eq!([of(0, 2, 5), of(1, 2, 5)], [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!([of(0, 8, 6), of(6, 8, 6), of(7, 8, 6)], [vec![0], vec![0], vec![1]]);
    }
}
