//! The responses of one connection, in the order of its requests.
//!
//! A response goes out only when it is at the front; those behind a waiting one are kept. Their number and bytes are
//! bounded: at the bound the connection is no longer read ([`Slots::is_full`]).

use std::collections::VecDeque;

use bytes::Bytes;

use super::handlers::fetch::FetchPlan;
use super::handlers::list_offsets::OffsetsPlan;
use super::handlers::produce::WaitingProduce;
use super::memory::Grant;
use crate::wire::frame::ResponseHead;

/// Responses that may wait on one connection.
const MAX_SLOTS: usize = 256;
/// Bytes of finished responses that may wait behind an unfinished one.
const MAX_DONE_BYTES: usize = 1 << 20;

/// One request's response.
pub enum Slot {
    /// A whole frame.
    Done(Vec<u8>),
    /// The beginning of a frame and, shared with others, the rest of it.
    Shared(Vec<u8>, Bytes),
    /// Python has the request.
    Control {
        /// How its response begins.
        head: ResponseHead,
        /// Version and body of a Metadata request, which Python may hand back.
        metadata: Option<(i16, Bytes)>,
        /// Covers a long body while Python has it.
        grant: Option<Grant>,
    },
    /// Python takes the request together with others (`rounds`). Only ever at the front, and nothing behind it.
    Kept {
        /// How its response begins.
        head: ResponseHead,
    },
    /// acks=all: followers have to catch up.
    Produce(Box<WaitingProduce>),
    /// Too few bytes yet. Only ever at the front: a Fetch is not begun before its turn.
    Fetch(Box<FetchPlan>),
    /// The disk has to be read for it. Only ever at the front, as a Fetch.
    Offsets(Box<OffsetsPlan>),
}

impl Slot {
    /// Bytes of a finished response; 0 for the others.
    fn done_bytes(&self) -> usize {
        match self {
            Self::Done(frame) => frame.len(),
            Self::Shared(start, rest) => start.len() + rest.len(),
            Self::Control { .. } | Self::Kept { .. } | Self::Produce(_) | Self::Fetch(_) | Self::Offsets(_) => 0,
        }
    }
}

/// The queue of slots; each has a number that is never reused on this connection.
pub struct Slots {
    queue: VecDeque<Slot>,
    first: u64,
    done_bytes: usize,
}

impl Default for Slots {
    /// Numbers start at 1: a Fetch or ListOffsets that waits is put in front of the first one.
    fn default() -> Self {
        Self { queue: VecDeque::new(), first: 1, done_bytes: 0 }
    }
}

impl Slots {
    /// True when every request is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// True when no further request may be taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.len() >= MAX_SLOTS || self.done_bytes >= MAX_DONE_BYTES
    }

    /// True while no later request may be served: Kafka mutes a connection until it has answered.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        matches!(self.queue.front(), Some(Slot::Kept { .. }))
    }

    /// The number of the slot at the front.
    #[must_use]
    pub fn first_number(&self) -> u64 {
        self.first
    }

    /// The number that the next slot will have.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// Adds a slot at the end.
    pub fn push(&mut self, slot: Slot) {
        self.done_bytes += slot.done_bytes();
        self.queue.push_back(slot);
    }

    /// Puts a slot back to the front, from where it was taken.
    pub fn push_front(&mut self, slot: Slot) {
        self.first = self.first.wrapping_sub(1);
        self.queue.push_front(slot);
    }

    /// The slot at the front.
    pub fn front_mut(&mut self) -> Option<&mut Slot> {
        self.queue.front_mut()
    }

    /// Takes the front slot off.
    pub fn pop(&mut self) -> Option<Slot> {
        let slot = self.queue.pop_front()?;
        self.first += 1;
        self.done_bytes -= slot.done_bytes();
        Some(slot)
    }

    /// The slot of that number, if it is still here.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)
    }

    /// Puts a finished response into the slot of that number.
    pub fn finish(&mut self, number: u64, done: Slot) {
        let bytes = done.done_bytes();
        if let Some(slot) = self.get_mut(number) {
            *slot = done;
            self.done_bytes += bytes;
        }
    }

    /// All slots with their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Slot)> {
        (self.first..).zip(self.queue.iter_mut())
    }
}
