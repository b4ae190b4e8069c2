//! `fetch`: read logs from their start, over and over, each connection its own partitions; or (`--scatter yes`) from
//! offsets drawn evenly from the whole log, each of which the broker has to find.

use crate::args::Args;
use crate::batch;
use crate::connection::Connection;
use crate::driver::{self, Answer, Limits, Traffic};
use crate::failure::{Failure, Result};
use crate::messages;

/// One connection's request: its partitions, where each one's offset stands in the frame, and the offset due.
struct Cursor {
    template: Vec<u8>,
    first: i32,
    offsets_at: Vec<usize>,
    offsets: Vec<i64>,
}

struct Fetch {
    cursors: Vec<Cursor>,
    verify_crc: bool,
    scatter: Option<u64>,
}

/// A number in `0..end` from the state of an xorshift generator.
fn draw(state: &mut u64, end: i64) -> i64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 1) as i64 % end.max(1)
}

impl Traffic for Fetch {
    fn prepare(&mut self, connection: usize, frame: &mut Vec<u8>) {
        let cursor = &self.cursors[connection];
        if frame.is_empty() {
            frame.clone_from(&cursor.template);
        }
        for (at, offset) in cursor.offsets_at.iter().zip(&cursor.offsets) {
            frame[*at..at + 8].copy_from_slice(&offset.to_be_bytes());
        }
    }

    fn check(&mut self, connection: usize, body: &[u8]) -> Result<Answer> {
        let cursor = &mut self.cursors[connection];
        let verify_crc = self.verify_crc;
        let scatter = &mut self.scatter;
        let mut answer = Answer { bytes: 0, records: 0 };
        let mut answered = 0;
        messages::read_fetch(body, |partition, error, high_watermark, records| {
            messages::expect(error, "Fetch of a partition")?;
            let at = usize::try_from(partition - cursor.first).unwrap_or(usize::MAX);
            let Some(offset) = cursor.offsets.get_mut(at) else {
                return Err(Failure::new(format!("Fetch answered for partition {partition}, which was not sent")));
            };
            let walk = batch::walk(records, *offset, verify_crc)?;
            answered += 1;
            answer.bytes += walk.bytes as u64;
            answer.records += walk.records;
            *offset = match scatter {
                Some(state) => draw(state, high_watermark),
                None if walk.next_offset >= high_watermark => 0,
                None => walk.next_offset,
            };
            Ok(())
        })?;
        if answered != cursor.offsets.len() {
            return Err(Failure::new(format!("Fetch answered {answered} of {} partitions", cursor.offsets.len())));
        }
        if answer.bytes == 0 {
            return Err(Failure::new("a Fetch brought no whole batch: the topic is empty or --max-bytes too small"));
        }
        Ok(answer)
    }
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
    let each = args.count("partitions-per-request", 1)?;
    let max_bytes: i32 = args.or("max-bytes", 1 << 20)?;
    if each > partitions {
        return Err(Failure::new("--partitions-per-request is more than there are --partitions"));
    }
    let limits = Limits::from(args, 1)?;
    messages::await_leaders(&mut messages::open(&address)?, &topic, partitions)?;
    let groups = partitions / each;
    let cursors = (0..connections).map(|c| {
        let first = i32::try_from(c % groups * each).map_err(|_| Failure::new("--partitions is too large"))?;
        let asked: Vec<(i32, i64)> = (first..).take(each).map(|p| (p, 0)).collect();
        let (template, offsets_at) = messages::fetch(&topic, &asked, max_bytes);
        Ok(Cursor { template, first, offsets_at, offsets: vec![0; each] })
    });
    let verify_crc = args.or("verify-crc", "no".to_owned())? == "yes";
    let scatter = (args.or("scatter", "no".to_owned())? == "yes").then_some(0x9e37_79b9_7f4a_7c15);
    let mut traffic = Fetch { cursors: cursors.collect::<Result<Vec<_>>>()?, verify_crc, scatter };
    let mut open = (0..connections).map(|_| Connection::open(&address)).collect::<Result<Vec<_>>>()?;
    Ok(driver::run(&mut open, &limits, &mut traffic)?.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_offsets_stay_in_the_log_and_reach_all_its_quarters() {
        let mut state = 1;
        let drawn: Vec<i64> = (0..1000).map(|_| draw(&mut state, 400)).collect();
        assert!(drawn.iter().all(|offset| (0..400).contains(offset)));
        assert!((0..4).all(|quarter| drawn.iter().any(|offset| offset / 100 == quarter)));
        assert_eq!(draw(&mut state, 0), 0);
    }
}
