//! One client: frames in, responses out, in the order of the requests.
//!
//! A connection is one future, polled by its I/O thread; it owns its socket, buffers and response slots, and shares
//! only its mailbox. Each poll does what can be done (take deliveries, finish slots, send, take frames, read) until
//! nothing moves, then leaves wakers with the socket, the partitions it waits on, the memory bound, the disk and the timer.
//!
//! Back-pressure: a connection stops taking frames while its slots or its output are full, while the control queue is
//! full, and a Fetch or ListOffsets waits for its turn, so a client that doesn't read its answers costs no memory.
//! Behind a request that is kept for Python (`rounds`) none is taken, as in Kafka, until it is answered.
//! Requests other than Produce and Fetch also wait until the thread has time for them (`turn`), and a connection whose
//! last requests were such isn't even read before: among many that became ready together, those with data are served
//! first.
//!
//! Here is the way in, and when what is done; `answers.rs` is the way out.

mod answers;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use crate::net::admission::Admitted;
use crate::net::cold_reads::ColdRead;
use crate::net::control::Submission;
use crate::net::faults::{Effect, Gate, Step};
use crate::net::handlers::{Caller, CloseReason};
use crate::net::mailbox::Mailbox;
use crate::net::memory::FREE_BYTES;
use crate::net::metrics::{Counters, count};
use crate::net::output::Output;
use crate::net::reader::Reader;
use crate::net::router::{Routed, api_key, route};
use crate::net::server::IoThread;
use crate::net::slots::{Slot, Slots};
use crate::net::state::NetState;
use crate::net::turn::WRITE_COST;
use crate::wire::frame::{FrameStart, LENGTH_BYTES};

/// No frame is taken while more than this waits to be sent.
const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// Rounds of one poll before other connections get their turn.
const ROUNDS_PER_POLL: usize = 16;
/// Frames taken in one round before their responses are sent.
const FRAMES_PER_ROUND: usize = 64;
/// After so many requests in a row that were neither Produce nor Fetch the next one is taken for another. A client that
/// has just connected asks two or three things before its first data.
const STREAK: u8 = 4;

/// Why a connection ended.
enum End {
    /// The peer closed, or we were asked to and had nothing left to do.
    Closed,
    /// The socket broke.
    Broken,
    /// The client broke the protocol (or we did).
    Refused,
}

/// Whether frames were taken.
#[derive(PartialEq, Eq)]
enum Taken {
    /// Some were.
    Some,
    /// More bytes are needed.
    NeedBytes,
    /// Something else has to happen first.
    Blocked,
}

/// One connection. Resolves when it is over.
pub struct Connection {
    state: Arc<NetState>,
    thread: Arc<IoThread>,
    mailbox: Arc<Mailbox>,
    /// Wakes this connection through its mailbox: "look again".
    change_waker: Waker,
    peer_host: Arc<str>,
    _admitted: Admitted,
    stream: TcpStream,
    reader: Reader,
    slots: Slots,
    output: Output,
    /// What the Fetch or ListOffsets at the front of the slots, or else the output, needs from the disk to go on.
    cold: Option<ColdRead>,
    /// A request that found the control queue full.
    refused_by_queue: Option<Box<Submission>>,
    /// Take no more frames; close when what is under way is answered.
    finishing: bool,
    protocol_error: bool,
    gate: Gate,
    /// In line for a turn; see `turn`.
    in_line: bool,
    has_turn: bool,
    /// Requests in a row, up to [`STREAK`], that were neither Produce nor Fetch.
    streak: u8,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Serves `stream` on `thread`.
    pub fn new(
        state: Arc<NetState>,
        thread: Arc<IoThread>,
        mailbox: Arc<Mailbox>,
        stream: TcpStream,
        peer_host: Arc<str>,
        admitted: Admitted,
    ) -> Self {
        thread.live.fetch_add(1, Ordering::Relaxed);
        let max_request_bytes = state.config.max_request_bytes;
        Self {
            state,
            thread,
            change_waker: Waker::from(Arc::clone(&mailbox)),
            mailbox,
            peer_host,
            _admitted: admitted,
            stream,
            reader: Reader::new(max_request_bytes),
            slots: Slots::default(),
            output: Output::default(),
            cold: None,
            refused_by_queue: None,
            finishing: false,
            protocol_error: false,
            gate: Gate::default(),
            in_line: false,
            has_turn: false,
            streak: 0,
            timer: None,
        }
    }

    fn counters(&self) -> &Counters {
        &self.state.counters[self.thread.index]
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.mailbox.attend(cx.waker());
        if self.state.faults.is_paused()
            && !self.mailbox.is_closing()
            && self.state.faults.waits_for_resume(self.mailbox.connection_id, &self.change_waker)
        {
            return Poll::Pending;
        }
        let mut look_again = match self.collect() {
            Ok(look_again) => look_again,
            Err(end) => return Poll::Ready(end),
        };
        for _ in 0..ROUNDS_PER_POLL {
            self.advance(look_again);
            look_again = false;
            if self.flush().is_err() {
                return Poll::Ready(End::Broken);
            }
            if self.finishing && self.slots.is_empty() && self.output.is_empty() {
                return Poll::Ready(if self.protocol_error { End::Refused } else { End::Closed });
            }
            match self.take_frames() {
                Taken::Some => continue,
                Taken::NeedBytes => match self.read_in_turn(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(End::Closed),
                    Poll::Ready(Ok(_)) => {
                        self.take_frames();
                        continue;
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Broken),
                    Poll::Pending => {}
                },
                Taken::Blocked => {}
            }
            if !self.output.is_empty() && self.cold.is_none() && self.stream.poll_write_ready(cx).is_ready() {
                continue;
            }
            if self.poll_cold(cx).is_ready() || self.poll_timer(cx).is_ready() {
                look_again = true;
                continue;
            }
            self.settle();
            return Poll::Pending;
        }
        self.settle();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The client broke the protocol: what it asked before is answered, then the connection is closed.
    fn refuse(&mut self) {
        self.finishing = true;
        self.protocol_error = true;
    }

    /// A fault took the answer away: closes the connection once what stands in the output is sent.
    fn close_unanswered(&mut self) {
        self.slots = Slots::default();
        self.finishing = true;
    }

    /// Reads once, or gets in line if what there is to read is likely no data.
    fn read_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.streak == STREAK {
            ready!(self.stream.poll_read_ready(cx))?;
            if !self.awaits_no_turn() {
                return Poll::Pending;
            }
            self.thread.turn.charge(0);
        }
        self.fill(cx)
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.reader.poll_fill(
            &mut self.stream,
            &self.state.memory,
            self.mailbox.connection_id,
            &self.change_waker,
            cx,
        );
        if let Poll::Ready(Ok(received)) = filled {
            count(&self.counters().bytes_in, received as u64);
            self.mailbox.touch(self.thread.tick.load(Ordering::Relaxed));
            self.mailbox.add_received(received as u64);
        }
        filled
    }

    fn take_frames(&mut self) -> Taken {
        for taken in 0..FRAMES_PER_ROUND {
            let blocked = self.finishing
                || self.refused_by_queue.is_some()
                || self.slots.is_full()
                || self.gate.close_at.is_some()
                || self.output.held_bytes() > MAX_OUTPUT_BYTES;
            let nothing = |otherwise| if taken > 0 { Taken::Some } else { otherwise };
            if blocked {
                return nothing(Taken::Blocked);
            }
            if self.slots.is_muted() {
                // Read on only to learn that the peer has gone, and without asking for memory.
                return nothing(if self.reader.may_read_ahead() { Taken::NeedBytes } else { Taken::Blocked });
            }
            let size = match self.reader.frame_start() {
                FrameStart::Frame { size } => size,
                FrameStart::Incomplete => return nothing(Taken::NeedBytes),
                FrameStart::Invalid { .. } => {
                    self.refuse();
                    return Taken::Some;
                }
            };
            let bytes = self.reader.bytes();
            if bytes.len() < size {
                return nothing(Taken::NeedBytes);
            }
            let api_key = api_key(&bytes[LENGTH_BYTES..]);
            let is_fetch = api_key == Some(ApiKey::Fetch as i16);
            let may_be_cold = is_fetch || api_key == Some(ApiKey::ListOffsets as i16);
            if may_be_cold && !(self.slots.is_empty() && self.output.is_empty()) {
                return nothing(Taken::Blocked);
            }
            let is_data = is_fetch || api_key == Some(ApiKey::Produce as i16);
            if !is_data && !self.awaits_no_turn() {
                return nothing(Taken::Blocked);
            }
            let fault_code = match self.meet_faults(api_key) {
                Ok(fault_code) => fault_code,
                Err(otherwise) => return nothing(otherwise),
            };
            let mut frame = self.reader.take(size);
            frame.advance(LENGTH_BYTES);
            let served = self.serve(frame, fault_code);
            if is_data {
                self.streak = 0;
            } else {
                self.streak = STREAK.min(self.streak + 1);
                self.thread.turn.charge(size + served.as_ref().map_or(0, |answered| *answered));
                self.pass_turn_on();
            }
            if served.is_err() {
                self.refuse();
                return Taken::Some;
            }
        }
        Taken::Some
    }

    /// Shows the next request to the fault table: the code to answer it with, if any, or why it isn't taken.
    fn meet_faults(&mut self, api_key: Option<i16>) -> Result<Option<i16>, Taken> {
        if !self.state.faults.has_rules() && !self.gate.is_holding() {
            return Ok(None);
        }
        let (faults, id) = (&self.state.faults, self.mailbox.connection_id);
        match self.gate.step(faults, api_key.unwrap_or(-1), id, &self.change_waker) {
            Step::Go(Some(Effect::Fail(code))) => Ok(Some(code)),
            Step::Go(Some(Effect::DropAfter)) => {
                self.gate.close_at = Some(self.slots.next_number());
                Ok(None)
            }
            Step::Go(Some(Effect::DropBefore)) => {
                self.finishing = true;
                Err(Taken::Some)
            }
            Step::Go(Some(Effect::Delay(_)) | None) => Ok(None),
            Step::Wait => {
                self.pass_turn_on();
                Err(Taken::Blocked)
            }
        }
    }

    /// True when a request that is neither Produce nor Fetch may be served now; else gets in line.
    fn awaits_no_turn(&mut self) -> bool {
        let free = self.has_turn || (!self.in_line && self.thread.turn.is_free());
        if !free && !self.in_line {
            self.in_line = true;
            self.thread.turn.line_up(&self.mailbox);
        }
        free
    }

    fn pass_turn_on(&mut self) {
        if std::mem::take(&mut self.has_turn) {
            self.thread.turn.pass_on();
        }
    }

    /// Serves one frame; returns what to charge for it: the bytes answered at once, and for what was stored.
    fn serve(&mut self, frame: Bytes, fault_code: Option<i16>) -> Result<usize, CloseReason> {
        let frame_bytes = frame.len();
        let at_front = self.slots.is_empty() && self.gate.close_at.is_none();
        let mut kept = Vec::new();
        let counters = &self.state.counters[self.thread.index];
        let out = if at_front { self.output.tail() } else { &mut kept };
        let before = out.len();
        let slot = self.slots.next_number();
        let caller = Caller { mailbox: &self.mailbox, peer_host: &self.peer_host, slot };
        let front = at_front.then_some(&caller);
        let routed = match route(&self.state, counters, frame, front, fault_code, out) {
            Ok(routed) => routed,
            Err(reason) => {
                out.truncate(before);
                return Err(reason);
            }
        };
        let mut answered = out.len() - before;
        match routed {
            Routed::Written if at_front => {}
            Routed::Written => self.slots.push(Slot::Done(kept)),
            // Only ever at the front; see `route`.
            Routed::Stored(bytes) => answered += bytes + WRITE_COST,
            Routed::Shared(rest) => {
                answered += rest.len();
                if at_front {
                    self.output.push_shared(rest);
                } else {
                    self.slots.push(Slot::Shared(kept, rest));
                }
            }
            Routed::Silent if self.gate.close_at.is_some() => self.finishing = true,
            Routed::Silent => {}
            Routed::Produce(mut waiting) => {
                // Registers; if it is done by now, the wake-up that registering might have missed is made up for.
                if waiting.is_done(&self.change_waker) {
                    self.mailbox.notify();
                }
                self.slots.push(Slot::Produce(waiting));
            }
            Routed::Fetch(plan) => self.try_fetch(plan),
            Routed::Offsets(plan) => answered = self.try_offsets(plan)?,
            Routed::Kept { head } => {
                count(&counters.gathered_requests, 1);
                // It may take minutes, and what is kept is a copy.
                drop(self.reader.take_grant());
                self.slots.push(Slot::Kept { head });
            }
            Routed::Control { head, mut request } => {
                count(&counters.control_requests, 1);
                let mut grant = None;
                if frame_bytes > FREE_BYTES {
                    grant = self.reader.take_grant();
                } else {
                    // Does not keep the thread's shared buffer.
                    request.body = Bytes::copy_from_slice(&request.body);
                }
                let is_metadata = request.api_key == ApiKey::Metadata as i16;
                let metadata = is_metadata.then(|| (request.api_version, request.body.clone()));
                request.connection_id = self.mailbox.connection_id;
                request.peer_host = Arc::clone(&self.peer_host);
                self.slots.push(Slot::Control { head, metadata, grant });
                self.submit(Submission { request: *request, mailbox: Arc::clone(&self.mailbox), slot });
            }
        }
        Ok(answered)
    }

    fn submit(&mut self, submission: Submission) {
        let refused = self.state.control.submit(submission, &self.change_waker, &self.state.doorbell);
        self.refused_by_queue = refused.err();
    }

    /// Ready when a waiting slot's time is up.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_cold = self.cold.is_some();
        let deadlines = self.slots.iter_mut().filter_map(|(_, slot)| match slot {
            Slot::Fetch(_) if is_cold => None,
            Slot::Fetch(plan) => Some(plan.deadline),
            Slot::Produce(waiting) => Some(waiting.deadline),
            Slot::Done(_) | Slot::Shared(..) | Slot::Control { .. } | Slot::Kept { .. } | Slot::Offsets(_) => None,
        });
        let Some(deadline) = deadlines.chain(self.gate.deadline()).min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }

    /// Before sleeping: holds no more than it must, and says so.
    fn settle(&mut self) {
        self.reader.settle();
        let is_waiting = !self.slots.is_empty() || self.cold.is_some();
        self.mailbox.set_keeps(self.reader.keeps_buffer(), self.reader.holds_grant(), is_waiting);
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.mailbox.take_turn() {
            self.in_line = false;
            self.has_turn = true;
        }
        let driven = self.drive(cx);
        // Perhaps it had no use for it any more.
        self.pass_turn_on();
        match driven {
            Poll::Pending => Poll::Pending,
            Poll::Ready(end) => {
                if matches!(end, End::Refused) {
                    count(&self.counters().connections_protocol_errors, 1);
                }
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.settle();
        self.mailbox.mark_closed();
        self.state.faults.forget(self.mailbox.connection_id);
        self.has_turn |= self.mailbox.take_turn();
        self.pass_turn_on();
        self.state.memory.withdraw(self.mailbox.connection_id);
        self.thread.live.fetch_sub(1, Ordering::Relaxed);
        count(&self.counters().connections_closed, 1);
    }
}
