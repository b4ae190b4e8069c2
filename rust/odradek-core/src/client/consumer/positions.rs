//! What a fetcher knows of each partition: where it reads, what it waits for, what it holds. No I/O, no lock of its own.
//!
//! Two offsets move through a partition: `position`, the next that a poll hands out, and `fetch_offset`, the next to ask a
//! broker for; between the two lies what is buffered. A generation counts the breaks between them: whatever was asked for
//! or buffered under an older generation than the partition's is dropped wherever it turns up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::nearby::Nearby;
use super::settings::ResetPolicy;
use crate::log::types::TopicPartition;

/// Wait for [`Positions::set`].
pub const WAIT: i64 = -1;
/// The log's end.
pub const LATEST: i64 = -2;
/// The log's start.
pub const EARLIEST: i64 = -3;
/// As `auto.offset.reset` says.
pub const BY_POLICY: i64 = -4;

/// What is kept for an assigned partition besides its entry in the map: about 120 bytes in the fetch session, 280 in the
/// metadata while it is renewed, 300 in Python.
const BESIDE_BYTES: usize = 768;
/// Time until the first look at a partition at its end that is not part of a fetch which the broker holds.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a partition needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A position, from outside.
    Unset,
    /// The offset of the log's start (true) or end, from its leader.
    Reset {
        /// Start rather than end.
        earliest: bool,
    },
    /// The log's range from its leader, to say that the offset is outside.
    Explain,
    /// Whether the log was cut short below the position since its leader changed (KIP-320).
    Validate,
    /// Records.
    Fetch,
    /// An error: there is no offset, and the policy gives none.
    Lost,
    /// That a poll tells its error.
    Stopped,
}

/// One partition.
#[derive(Debug)]
pub struct Partition {
    /// See the module.
    pub generation: u64,
    /// What it needs next.
    pub stage: Stage,
    /// Next offset of a poll; -1 = not known yet.
    pub position: i64,
    /// Leader epoch of the record before `position`; -1 = not known.
    pub epoch: i32,
    /// Next offset to ask for.
    pub fetch_offset: i64,
    /// Leader epoch of the last batch fetched, or of the position when none was.
    pub fetch_epoch: i32,
    /// Leader epoch under which the fetch offset is known to be right; -1 = none yet.
    pub validated_epoch: i32,
    /// Not to be fetched or polled.
    pub paused: bool,
    /// A request about it is under way.
    pub asked: bool,
    /// Bytes of its chunks.
    pub held_bytes: usize,
    /// Bytes that are being decoded while the fetch offset is already behind them; 0 = none. The stage stays
    /// [`Stage::Fetch`] meanwhile, unless the generation changes.
    pub decoding: usize,
    /// Chunks queued or being walked.
    pub chunks: usize,
    /// A poll is walking one of its chunks.
    pub taken: bool,
    /// -1 = not known.
    pub high_watermark: i64,
    /// -1 = not known.
    pub last_stable_offset: i64,
    /// -1 = not known.
    pub log_start_offset: i64,
    /// The replica to read from in place of the leader.
    pub nearby: Nearby,
    /// Nothing before then.
    pub retry_at: Option<Instant>,
    /// Failures in a row.
    pub failures: u32,
    /// Since when it is not served, and why.
    trouble: Option<(Instant, String)>,
    /// Newer metadata than this version, with a leader, ends the wait.
    pub awaits_metadata: Option<u64>,
    /// What to do once the error was told.
    resume: Stage,
    /// The batch whose failure was told last: (offset told, first offset behind it).
    bad: Option<(i64, i64)>,
    /// Turn among the partitions of a broker: lower ones come first.
    pub turn: u64,
    /// Its last answer ended where the log did; `None` also while nothing is known.
    pub at_end: Option<AtEnd>,
}

/// A partition without more records for the moment.
#[derive(Debug, Clone, Copy)]
pub struct AtEnd {
    since: Instant,
    /// When it is worth a look of its own.
    pub look_again: Instant,
}

impl Partition {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            stage: Stage::Unset,
            position: -1,
            epoch: -1,
            fetch_offset: -1,
            fetch_epoch: -1,
            validated_epoch: -1,
            paused: false,
            asked: false,
            held_bytes: 0,
            decoding: 0,
            chunks: 0,
            taken: false,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            nearby: Nearby::default(),
            retry_at: None,
            failures: 0,
            trouble: None,
            awaits_metadata: None,
            resume: Stage::Unset,
            bad: None,
            turn: 0,
            at_end: None,
        }
    }

    /// Records the log's answer to a reset. A position is set only if nothing is still on its way to a poll.
    pub fn reset_to(&mut self, offset: i64, epoch: i32) {
        self.stage = Stage::Fetch;
        (self.fetch_offset, self.fetch_epoch, self.validated_epoch) = (offset, epoch, -1);
        if self.chunks == 0 {
            (self.position, self.epoch) = (offset, epoch);
        }
        self.succeeded();
    }

    /// Notes an answer after which the next fetch begins at `fetch_offset`; `nothing`: it brought no records of any partition.
    pub fn fetched(&mut self, now: Instant, nothing: bool, committed_only: bool) {
        let ended = nothing || self.end(committed_only).is_some_and(|end| self.fetch_offset >= end);
        let since = self.at_end.map_or(now, |at_end| at_end.since);
        // Ever more seldom, so that looks are few however long a wait goes on.
        let rest = (now - since).max(LOOK_AGAIN);
        self.at_end = ended.then(|| AtEnd { since, look_again: now + rest });
    }

    /// True if a fetch will surely bring records.
    #[must_use]
    pub fn is_behind(&self, committed_only: bool) -> bool {
        self.at_end.is_none() && self.end(committed_only).is_some_and(|end| self.fetch_offset < end)
    }

    /// First offset that can't be read yet; `None` while that isn't known.
    fn end(&self, committed_only: bool) -> Option<i64> {
        let end = if committed_only { self.last_stable_offset } else { self.high_watermark };
        (end >= 0).then_some(end)
    }

    /// Notes a failure: nothing before `base` doubled with each failure in a row, at most `most`.
    pub fn failed(&mut self, now: Instant, base: Duration, most: Duration) {
        let wait = base.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait);
    }

    /// Notes why it is not served at the moment, for [`Partition::trouble`].
    pub fn troubled(&mut self, now: Instant, why: String) {
        let since = self.trouble.as_ref().map_or(now, |(since, _)| *since);
        self.trouble = Some((since, why));
    }

    /// Since when it could not be fetched or looked up, and why at last; `None` when it can, or is not wanted.
    #[must_use]
    pub fn trouble(&self) -> Option<(Instant, &str)> {
        self.trouble.as_ref().filter(|_| !self.paused).map(|(since, why)| (*since, why.as_str()))
    }

    /// Notes that the broker served it.
    pub fn succeeded(&mut self) {
        (self.retry_at, self.failures, self.awaits_metadata, self.trouble) = (None, 0, None, None);
    }

    /// Stops until a poll tells the error that is queued.
    pub fn stop(&mut self) {
        if self.stage != Stage::Stopped {
            (self.resume, self.stage) = (self.stage, Stage::Stopped);
        }
    }

    /// The error was told: try again from the position. `bad`: (offset told, first offset behind) of an unreadable batch.
    pub fn told(&mut self, bad: Option<(i64, i64)>) {
        self.bad = bad.or(self.bad);
        self.stage = self.resume;
        if self.position >= 0 {
            (self.fetch_offset, self.fetch_epoch) = (self.position, self.epoch);
        }
    }

    /// Begins at an offset or one of the special ones; all else starts anew.
    fn start(&mut self, generation: u64, offset: i64, epoch: i32, policy: ResetPolicy) {
        let offset = match self.bad {
            Some((told, next)) if offset > told && offset < next => next,
            _ => offset,
        };
        *self = Self {
            paused: self.paused,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset,
            log_start_offset: self.log_start_offset,
            bad: self.bad,
            turn: self.turn,
            ..Self::new(generation)
        };
        self.stage = match (offset, policy) {
            (0.., _) => {
                (self.position, self.fetch_offset) = (offset, offset);
                (self.epoch, self.fetch_epoch) = (epoch, epoch);
                Stage::Fetch
            }
            (EARLIEST, _) | (BY_POLICY, ResetPolicy::Earliest) => Stage::Reset { earliest: true },
            (LATEST, _) | (BY_POLICY, ResetPolicy::Latest) => Stage::Reset { earliest: false },
            (BY_POLICY, ResetPolicy::None) => Stage::Lost,
            _ => Stage::Unset,
        };
    }

    /// Records not polled yet, as far as they may be read; `None` while that isn't known.
    #[must_use]
    pub fn lag(&self, committed_only: bool) -> Option<i64> {
        let end = self.end(committed_only)?;
        (self.position >= 0).then(|| (end - self.position).max(0))
    }
}

/// All partitions of a fetcher.
#[derive(Debug)]
pub struct Positions {
    map: HashMap<TopicPartition, Partition>,
    generations: u64,
    turns: u64,
    reset: ResetPolicy,
}

impl Positions {
    /// None yet.
    #[must_use]
    pub fn new(reset: ResetPolicy) -> Self {
        Self { map: HashMap::new(), generations: 0, turns: 0, reset }
    }

    /// Makes `wanted` the assignment; partitions that stay keep everything. Returns the topics that came, and those that left.
    pub fn assign(&mut self, wanted: &[(TopicPartition, i64)]) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let topics = |map: &HashMap<TopicPartition, Partition>| {
            map.keys().map(|partition| Arc::clone(&partition.topic)).collect::<std::collections::HashSet<_>>()
        };
        let before = topics(&self.map);
        let mut kept = HashMap::with_capacity(wanted.len());
        for (partition, start) in wanted {
            match self.map.remove_entry(partition) {
                Some((name, state)) => {
                    kept.insert(name, state);
                }
                None if kept.contains_key(partition) => {}
                None => {
                    self.generations += 1;
                    let mut state = Partition::new(self.generations);
                    state.start(self.generations, *start, -1, self.reset);
                    kept.insert(partition.clone(), state);
                }
            }
        }
        self.map = kept;
        let after = topics(&self.map);
        (after.difference(&before).cloned().collect(), before.difference(&after).cloned().collect())
    }

    /// Moves a partition: to an offset, or to one of [`LATEST`], [`EARLIEST`], [`BY_POLICY`], [`WAIT`]. False if it isn't assigned.
    ///
    /// An offset inside the batch whose failure was told last, behind the offset told, goes to the end of that batch: the
    /// caller steps over a record that can't be read, and all of its batch is as unreadable.
    pub fn set(&mut self, partition: &TopicPartition, offset: i64, epoch: i32) -> bool {
        self.generations += 1;
        let Some(state) = self.map.get_mut(partition) else { return false };
        state.start(self.generations, offset, epoch, self.reset);
        true
    }

    /// A new generation for one partition, which is returned: what is under way or buffered for it is void.
    pub fn break_off(&mut self, partition: &TopicPartition) -> u64 {
        self.generations += 1;
        if let Some(state) = self.map.get_mut(partition) {
            state.generation = self.generations;
            (state.asked, state.taken, state.held_bytes, state.chunks) = (false, false, 0, 0);
            state.decoding = 0;
            if state.stage == Stage::Stopped {
                // The error that it stopped for is void too; it comes again if it is still true.
                state.stage = state.resume;
            }
            if state.position >= 0 {
                (state.fetch_offset, state.fetch_epoch) = (state.position, state.epoch);
            }
        }
        self.generations
    }

    /// Bytes that the assigned partitions take without any records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // A table is at most 7/8 full.
        let table = self.map.capacity() / 7 * 8 * size_of::<(TopicPartition, Partition)>();
        table + self.map.len() * BESIDE_BYTES
    }

    /// Puts a partition behind all others of its broker.
    pub fn served(&mut self, partition: &TopicPartition) {
        self.turns += 1;
        if let Some(state) = self.map.get_mut(partition) {
            state.turn = self.turns;
        }
    }

    /// The partition, if assigned.
    #[must_use]
    pub fn get(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.map.get(partition)
    }

    /// The partition, if assigned.
    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Partition> {
        self.map.get_mut(partition)
    }

    /// The partition if it is assigned and still of that generation.
    pub fn current(&mut self, partition: &TopicPartition, generation: u64) -> Option<&mut Partition> {
        self.map.get_mut(partition).filter(|state| state.generation == generation)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.map.iter()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicPartition, &mut Partition)> {
        self.map.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(partition: i32) -> TopicPartition {
        TopicPartition { topic: Arc::from("t"), partition }
    }

    fn positions(reset: ResetPolicy, starts: &[i64]) -> Positions {
        let mut positions = Positions::new(reset);
        let wanted: Vec<_> = starts.iter().zip(0..).map(|(&start, index)| (name(index), start)).collect();
        positions.assign(&wanted);
        positions
    }

    #[test]
    fn each_kind_of_start_asks_for_what_it_needs() {
        let positions = positions(ResetPolicy::Earliest, &[5, WAIT, LATEST, EARLIEST, BY_POLICY]);
        let stage = |index| positions.get(&name(index)).map(|state| (state.stage, state.position));
        assert_eq!(stage(0), Some((Stage::Fetch, 5)));
        assert_eq!(stage(1), Some((Stage::Unset, -1)));
        assert_eq!(stage(2), Some((Stage::Reset { earliest: false }, -1)));
        assert_eq!(stage(3), Some((Stage::Reset { earliest: true }, -1)));
        assert_eq!(stage(4), Some((Stage::Reset { earliest: true }, -1)));
    }

    #[test]
    fn partitions_that_stay_keep_their_place_and_those_that_leave_are_named_by_topic() {
        let mut positions = positions(ResetPolicy::Latest, &[5, 6]);
        positions.get_mut(&name(0)).expect("assigned").paused = true;
        let generation = positions.get(&name(0)).expect("assigned").generation;
        let other = TopicPartition { topic: Arc::from("other"), partition: 0 };
        let (came, left) = positions.assign(&[(name(0), 99), (other.clone(), 1), (other, 1)]);
        assert_eq!((came, left), (vec![Arc::from("other")], vec![]));
        let kept = positions.get(&name(0)).expect("kept");
        assert_eq!((kept.position, kept.paused, kept.generation), (5, true, generation));
        assert!(positions.get(&name(1)).is_none());
        assert_eq!(positions.assign(&[]).1.len(), 2);
    }

    #[test]
    fn a_seek_voids_what_is_under_way_and_keeps_the_pause() {
        let mut positions = positions(ResetPolicy::Latest, &[5]);
        let old = positions.get(&name(0)).expect("assigned").generation;
        let state = positions.get_mut(&name(0)).expect("assigned");
        (state.paused, state.asked, state.held_bytes) = (true, true, 100);
        assert!(positions.set(&name(0), 9, 3));
        assert!(positions.current(&name(0), old).is_none());
        let state = positions.get(&name(0)).expect("assigned");
        assert_eq!((state.position, state.epoch, state.fetch_offset), (9, 3, 9));
        assert!(state.paused && !state.asked && state.held_bytes == 0);
        assert!(!positions.set(&name(7), 9, 3));
    }

    #[test]
    fn stepping_over_an_unreadable_record_steps_over_its_batch() {
        let mut positions = positions(ResetPolicy::Latest, &[5]);
        positions.get_mut(&name(0)).expect("assigned").told(Some((5, 20)));
        let mut at = |offset| {
            positions.set(&name(0), offset, -1);
            positions.get(&name(0)).expect("assigned").position
        };
        assert_eq!((at(6), at(19), at(20), at(5), at(3)), (20, 20, 20, 5, 3));
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_the_most() {
        let mut positions = positions(ResetPolicy::Latest, &[5]);
        let state = positions.get_mut(&name(0)).expect("assigned");
        let now = Instant::now();
        let ms = Duration::from_millis;
        let waits: Vec<_> = (0..6)
            .map(|_| {
                state.failed(now, ms(100), ms(1000));
                state.retry_at.map(|at| at - now)
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000].map(|wait| Some(ms(wait))));
    }
}
