//! A connection's way out: what other threads answer, what waited and is found now, from the slots to the socket.
//!
//! Its way in, and when it does which, is in `mod.rs`.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::{Connection, End};
use crate::net::handlers::CloseReason;
use crate::net::handlers::fetch::{Attempt, FetchPlan};
use crate::net::handlers::list_offsets::OffsetsPlan;
use crate::net::handlers::metadata::{self, Answer};
use crate::net::mailbox::Delivery;
use crate::net::metrics::count;
use crate::net::output::Flushed;
use crate::net::slots::Slot;
use crate::wire::frame::finish;

impl Connection {
    /// Takes what other threads left; true when waiting slots should look again.
    pub(super) fn collect(&mut self) -> Result<bool, End> {
        let Some(deliveries) = self.mailbox.collect() else { return Ok(false) };
        if self.mailbox.take_release_request() {
            self.reader.release();
        }
        self.finishing |= self.mailbox.is_closing();
        if let Some(submission) = self.refused_by_queue.take() {
            self.submit(*submission);
        }
        for delivery in deliveries {
            match delivery {
                Delivery::Respond { slot, body } => self.respond(slot, &body),
                Delivery::Reroute { slot } => self.reroute(slot),
                Delivery::Disconnect => return Err(End::Closed),
            }
        }
        Ok(true)
    }

    fn respond(&mut self, number: u64, body: &[u8]) {
        if let Some(Slot::Control { head, .. } | Slot::Kept { head }) = self.slots.get_mut(number) {
            let mut frame = Vec::with_capacity(body.len() + 9);
            let start = head.begin(&mut frame);
            frame.extend_from_slice(body);
            finish(&mut frame, start, 0);
            self.slots.finish(number, Slot::Done(frame));
        }
    }

    fn reroute(&mut self, number: u64) {
        let Some(Slot::Control { head, metadata, .. }) = self.slots.get_mut(number) else { return };
        let Some((version, body)) = metadata.take() else { return self.refuse() };
        let mut frame = Vec::new();
        match metadata::handle(&self.state, *head, version, body, false, &mut frame) {
            Ok(Answer::Shared(rest)) => self.slots.finish(number, Slot::Shared(frame, rest)),
            Ok(_) => self.slots.finish(number, Slot::Done(frame)),
            Err(_) => self.refuse(),
        }
    }

    /// Finishes what can be finished, and moves finished responses from the front of the slots to the output.
    pub(super) fn advance(&mut self, look_again: bool) {
        if self.slots.is_empty() {
            return;
        }
        if look_again {
            self.finish_produce();
        }
        loop {
            let goes_unanswered = self.gate.close_at == Some(self.slots.first_number());
            match self.slots.front_mut() {
                Some(Slot::Done(_) | Slot::Shared(..)) if goes_unanswered => return self.close_unanswered(),
                Some(Slot::Done(_) | Slot::Shared(..)) => match self.slots.pop() {
                    Some(Slot::Done(frame)) => self.output.tail().extend_from_slice(&frame),
                    Some(Slot::Shared(start, rest)) => {
                        self.output.tail().extend_from_slice(&start);
                        self.output.push_shared(rest);
                    }
                    _ => return,
                },
                Some(Slot::Fetch(_)) if self.cold.is_none() && (look_again || self.finishing) => {
                    if let Some(Slot::Fetch(plan)) = self.slots.pop() {
                        self.try_fetch(plan);
                    }
                    if matches!(self.slots.front_mut(), Some(Slot::Fetch(_))) {
                        return;
                    }
                }
                Some(Slot::Offsets(_)) if self.cold.is_none() => {
                    if let Some(Slot::Offsets(plan)) = self.slots.pop()
                        && self.try_offsets(plan).is_err()
                    {
                        return self.refuse();
                    }
                }
                _ => return,
            }
        }
    }

    fn finish_produce(&mut self) {
        let now = Instant::now();
        let mut finished = Vec::new();
        for (number, slot) in self.slots.iter_mut() {
            if let Slot::Produce(waiting) = slot
                && (waiting.is_done(&self.change_waker) || waiting.deadline <= now)
            {
                finished.push(number);
            }
        }
        for number in finished {
            let Some(slot) = self.slots.get_mut(number) else { continue };
            let Slot::Produce(waiting) = std::mem::replace(slot, Slot::Done(Vec::new())) else { continue };
            let mut frame = Vec::new();
            match waiting.write(&mut frame) {
                Ok(()) => self.slots.finish(number, Slot::Done(frame)),
                Err(_) => self.refuse(),
            }
        }
    }

    /// Answers a Fetch, or puts it at the front of the slots to wait.
    pub(super) fn try_fetch(&mut self, mut plan: Box<FetchPlan>) {
        let last = self.finishing || plan.deadline <= Instant::now();
        let mut attempt = plan.attempt(&self.state, last, self.output.records());
        if matches!(attempt, Attempt::TooFew) {
            plan.register(&self.change_waker);
            attempt = plan.attempt(&self.state, false, self.output.records());
        }
        match attempt {
            Attempt::TooFew => {
                self.output.settle();
                self.slots.push_front(Slot::Fetch(plan));
            }
            Attempt::Cold(ranges) => {
                self.output.settle();
                self.slots.push_front(Slot::Fetch(plan));
                self.cold = Some(self.state.cold_reads.begin(ranges));
            }
            Attempt::Found(_) if self.gate.close_at.is_some() => {
                self.output.settle();
                self.close_unanswered();
            }
            Attempt::Found(result) => {
                let mut files = Vec::new();
                let fetched = plan.write(&result, self.output.tail(), &mut files);
                self.output.insert_files(files);
                count(&self.counters().fetched_bytes, fetched);
            }
        }
    }

    /// Answers a ListOffsets and returns the bytes of the answer, or puts it at the front of the slots until what it
    /// needs was read.
    pub(super) fn try_offsets(&mut self, mut plan: Box<OffsetsPlan>) -> Result<usize, CloseReason> {
        let cold = plan.attempt(&self.state);
        if !cold.is_empty() {
            plan.detach();
            self.slots.push_front(Slot::Offsets(plan));
            self.cold = Some(self.state.cold_reads.begin(cold));
            return Ok(0);
        }
        if self.gate.close_at.is_some() {
            self.close_unanswered();
            return Ok(0);
        }
        let out = self.output.tail();
        let before = out.len();
        match plan.write(out) {
            Ok(()) => Ok(out.len() - before),
            Err(reason) => {
                out.truncate(before);
                Err(reason)
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() || self.cold.is_some() {
            return Ok(());
        }
        let mut sent = 0;
        let result = self.output.flush(&self.stream, &mut sent);
        if sent > 0 {
            count(&self.counters().bytes_out, sent);
            self.mailbox.touch(self.thread.tick.load(Ordering::Relaxed));
        }
        if let Flushed::Cold(range) = result? {
            self.cold = Some(self.state.cold_reads.begin(vec![range]));
        }
        Ok(())
    }

    /// Ready when what was cold has been read: the Fetch or ListOffsets, or the output, can go on.
    pub(super) fn poll_cold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(read) = &mut self.cold else { return Poll::Pending };
        let warmed = ready!(Pin::new(read).poll(cx));
        self.cold = None;
        match self.slots.front_mut() {
            Some(Slot::Fetch(plan)) => plan.note_warmed(warmed),
            Some(Slot::Offsets(plan)) => plan.note_warmed(warmed),
            _ => {}
        }
        Poll::Ready(())
    }
}
