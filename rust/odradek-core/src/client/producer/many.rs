//! Many records in a row: a partition's lock is taken once for all that follow each other there, until a batch is full.

use std::sync::Arc;

use super::Producer;
use super::accumulator::{Appender, NewRecord, Pushed};
use super::delivery::BatchState;
use super::pool::Buffer;
use super::topics::Topic;
use crate::client::error::ClientError;

/// Records of one batch that follow each other.
pub struct Run {
    /// Their batch.
    pub state: Arc<BatchState>,
    /// The first one's place in it.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// Where a row of records was put.
#[derive(Default)]
pub struct Runs(Vec<Run>);

impl Runs {
    /// Them, in the order of the records.
    #[must_use]
    pub fn as_slice(&self) -> &[Run] {
        &self.0
    }

    /// Adds the record that was put at `index` of a batch.
    pub fn add(&mut self, state: &Arc<BatchState>, index: u32) {
        match self.0.last_mut() {
            Some(run) if Arc::ptr_eq(&run.state, state) && run.first + run.count == index => run.count += 1,
            _ => self.0.push(Run { state: Arc::clone(state), first: index, count: 1 }),
        }
    }
}

/// What ended a row.
pub enum End {
    /// There are no more records.
    Done,
    /// There is no room for a new batch of so many bytes.
    NeedsRoom(usize),
    /// The topic has no partition of that number, as far as is known.
    NoSuchPartition,
}

/// What putting a record where it belongs came to.
pub(super) enum Put<T> {
    /// It is there. `place`: what was made of where that is; `crossed`: see [`Pushed::In`].
    In {
        place: T,
        crossed: bool,
    },
    NeedsRoom(usize),
    NoSuchPartition,
}

impl Producer {
    /// Sends what `next` gives until it ends or something is missing; returns how many records were taken, and the end.
    ///
    /// `partition`: of all of them. `next` is called while a partition is locked: it must not wait for anything.
    pub fn send_row<'r>(
        &self,
        topic: &Topic,
        partition: Option<usize>,
        mut next: impl FnMut() -> Option<NewRecord<'r>>,
        runs: &mut Runs,
    ) -> (usize, Result<End, ClientError>) {
        let mut taken = 0;
        let mut held: Option<(usize, Appender<'_>)> = None;
        let end = loop {
            let Some(record) = next() else { break Ok(End::Done) };
            if let Err(error) = self.check_size(&record) {
                break Err(error);
            }
            let target = partition.or_else(|| self.choose(topic, &record));
            match self.put(topic, target, &record, &mut None, &mut held, |state, index| runs.add(state, index)) {
                Ok(Put::In { crossed, .. }) => {
                    taken += 1;
                    if crossed {
                        // The sender may want the batch now.
                        self.let_go(&mut held);
                    }
                }
                Ok(Put::NeedsRoom(bytes)) => break Ok(End::NeedsRoom(bytes)),
                Ok(Put::NoSuchPartition) => break Ok(End::NoSuchPartition),
                Err(error) => break Err(error),
            }
        };
        self.let_go(&mut held);
        if self.shared.is_closing() {
            // Another thread closed the producer meanwhile.
            self.fail_rest();
        }
        (taken, end)
    }

    /// Puts a record where it belongs, under the lock that is held if that is the one; `placed` makes something of where
    /// that is.
    ///
    /// `target`: its partition; `None` = the sticky one. `spare`: as [`Appender::push`].
    #[inline]
    pub(super) fn put<'a, T>(
        &'a self,
        topic: &'a Topic,
        target: Option<usize>,
        record: &NewRecord<'_>,
        spare: &mut Option<Buffer>,
        held: &mut Option<(usize, Appender<'a>)>,
        placed: impl FnOnce(&Arc<BatchState>, u32) -> T,
    ) -> Result<Put<T>, ClientError> {
        // With one partition there is nothing to choose; else a new batch is opened at another one.
        let mut only_if_open = target.is_none() && topic.queues().len() > 1;
        loop {
            let at = target.unwrap_or_else(|| topic.sticky());
            let Some(queue) = topic.queues().get(at) else { return Ok(Put::NoSuchPartition) };
            if held.as_ref().is_some_and(|(held_at, _)| *held_at != at) {
                self.let_go(held);
            }
            let (_, appender) = held.get_or_insert_with(|| (at, self.shared.accumulator.appender(queue)));
            match appender.push(record, spare, only_if_open)? {
                Pushed::In { state, index, crossed } => {
                    let place = placed(state, index);
                    if crossed && target.is_none() {
                        topic.unstick(at, &self.shared.dice);
                    }
                    return Ok(Put::In { place, crossed });
                }
                Pushed::NeedsRoom(bytes) => return Ok(Put::NeedsRoom(bytes)),
                Pushed::NothingOpen => {
                    topic.unstick(at, &self.shared.dice);
                    only_if_open = false;
                }
            }
        }
    }

    pub(super) fn let_go(&self, held: &mut Option<(usize, Appender<'_>)>) {
        if let Some((_, appender)) = held.take()
            && appender.release()
        {
            self.shared.accumulator.signal.ring();
        }
    }
}
