//! One connection to one address: requests go out in the order they were submitted, answers come back in the same.
//!
//! A connection exists before it is connected; what is submitted meanwhile waits. When it ends, everything that waits
//! fails with the reason, and it is never used again: [`super::cluster`] makes another.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::answer_pool::AnswerPool;
use super::error::ClientError;
use super::foreign;
use super::frames::{FrameReader, MAX_RESPONSE_BYTES, Read};
use super::handshake::request_head;
use super::versions::{Versions, api_name};
use crate::wire::frame::ResponseHeadReader;

/// Slices of one write; more wait for the next.
const MAX_SLICES: usize = 64;
/// Reads in a row before other tasks have their turn.
const READS_IN_A_ROW: usize = 16;
/// For how long after its last use a connection looks at the clock often, so that a request need not wake its task for that.
const LATELY: Duration = Duration::from_secs(1);
/// Far enough never to come.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// Where a connection stands.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Not yet usable.
    Connecting,
    /// In use.
    Ready(Arc<Versions>),
    /// Ended.
    Ended(ClientError),
}

/// An answer after its header, or why there is none.
pub type Answer = Result<Bytes, ClientError>;

/// Who gets an answer.
pub enum Reply {
    /// A task that waits for it.
    Once(oneshot::Sender<Answer>),
    /// Called on the I/O thread as a rule, with no lock of the connection held unless no answer was asked for.
    Call(Box<dyn FnOnce(Answer) + Send>),
}

impl Reply {
    fn send(self, answer: Answer) {
        match self {
            // Whoever waited may have given up; then nobody wants it.
            Self::Once(sender) => drop(sender.send(answer)),
            Self::Call(call) => call(answer),
        }
    }
}

/// A request on its way in.
pub struct Submission {
    /// API key.
    pub api_key: i16,
    /// API version.
    pub api_version: i16,
    /// The request after its header.
    pub body: Vec<Bytes>,
    /// False: no answer will come (Produce with acks=0); done once it is written.
    pub answer: bool,
    /// Until when.
    pub deadline: Instant,
}

/// One connection. Its task is [`Connection::serve`].
pub struct Connection {
    peer: String,
    client_id: String,
    state: Mutex<State>,
    wake: Notify,
    phase: watch::Sender<Phase>,
}

struct State {
    stream: Option<Arc<TcpStream>>,
    outgoing: VecDeque<Outgoing>,
    waiting: VecDeque<Waiting>,
    next_id: i32,
    last_used: Instant,
    /// When the task looks at the clock next.
    looks_at: Instant,
}

struct Outgoing {
    parts: VecDeque<Bytes>,
    /// Of a request without an answer.
    written: Option<Reply>,
    deadline: Instant,
}

struct Waiting {
    correlation_id: i32,
    head: ResponseHeadReader,
    api_key: i16,
    submitted: Instant,
    deadline: Instant,
    answer: Reply,
}

impl Connection {
    /// A connection that is not connected yet. `peer` names it in errors.
    #[must_use]
    pub fn new(peer: String, client_id: String) -> Self {
        let state = State {
            stream: None,
            outgoing: VecDeque::new(),
            waiting: VecDeque::new(),
            next_id: 1,
            last_used: Instant::now(),
            looks_at: Instant::now(),
        };
        let (phase, _) = watch::channel(Phase::Connecting);
        Self { peer, client_id, state: Mutex::new(state), wake: Notify::new(), phase }
    }

    /// The address, as errors name it.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// True when something is on its way.
    #[must_use]
    pub fn busy(&self) -> bool {
        let state = self.state.lock();
        !state.outgoing.is_empty() || !state.waiting.is_empty()
    }

    /// Number of requests that wait for an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    /// Why it could not be.
    pub async fn ready(&self) -> Result<Arc<Versions>, ClientError> {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Connecting)).await;
        match settled.as_deref() {
            Ok(Phase::Ready(versions)) => Ok(Arc::clone(versions)),
            Ok(Phase::Ended(error)) => Err(error.clone()),
            _ => Err(ClientError::Closed),
        }
    }

    /// Sends a request as soon as can be, after all submitted before it.
    pub fn submit(&self, request: Submission) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.submit_to(request, Reply::Once(sender));
        receiver
    }

    /// As [`Connection::submit`], from any thread; what can be is written at once.
    pub fn submit_to(&self, request: Submission, reply: Reply) {
        let mut state = self.state.lock();
        let ended = match &*self.phase.borrow() {
            Phase::Ended(error) => Some(error.clone()),
            _ => None,
        };
        if let Some(error) = ended {
            drop(state);
            reply.send(Err(error));
            return;
        }
        let correlation_id = state.next_id;
        state.next_id = state.next_id.wrapping_add(1).max(1);
        let size = request.body.iter().map(Bytes::len).sum();
        let head = request_head(request.api_key, request.api_version, correlation_id, &self.client_id, size);
        let mut parts = VecDeque::with_capacity(request.body.len() + 1);
        parts.push_back(Bytes::from(head));
        parts.extend(request.body.into_iter().filter(|part| !part.is_empty()));
        let now = Instant::now();
        state.last_used = now;
        let written = if request.answer {
            state.waiting.push_back(Waiting {
                correlation_id,
                head: ResponseHeadReader::of(request.api_key, request.api_version),
                api_key: request.api_key,
                submitted: now,
                deadline: request.deadline,
                answer: reply,
            });
            None
        } else {
            Some(reply)
        };
        let was_empty = state.outgoing.is_empty();
        state.outgoing.push_back(Outgoing { parts, written, deadline: request.deadline });
        if let Some(stream) = state.stream.clone().filter(|_| was_empty) {
            // An error here comes up again in the task, which ends the connection.
            let _ = write_some(&stream, &mut state.outgoing);
        }
        let task_must_know = !state.outgoing.is_empty() || request.deadline < state.looks_at;
        drop(state);
        if task_must_know {
            self.wake.notify_one();
        }
    }

    /// Serves a connected stream until it ends; returns why, or `None` when it was idle for `max_idle`. Large answers take
    /// their memory from `pool`.
    pub async fn serve(
        &self,
        stream: TcpStream,
        versions: Arc<Versions>,
        max_idle: Option<Duration>,
        pool: &Arc<AnswerPool>,
    ) -> Option<ClientError> {
        let stream = Arc::new(stream);
        let mut reader = FrameReader::new(MAX_RESPONSE_BYTES, Arc::clone(pool));
        {
            let mut state = self.state.lock();
            state.stream = Some(Arc::clone(&stream));
            state.last_used = Instant::now();
        }
        self.phase.send_replace(Phase::Ready(versions));
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            if let Err(error) = self.progress(&stream, &mut reader) {
                return Some(error);
            }
            let (interest, until) = match self.next_event(max_idle) {
                Ok(next) => next,
                Err(ended) => return ended,
            };
            pool.trim(Instant::now().into_std());
            if alarm.deadline() != until {
                alarm.as_mut().reset(until);
            }
            tokio::select! {
                ready = stream.ready(interest) => if let Err(error) = ready {
                    return Some(self.disconnected(&error.to_string()));
                },
                () = self.wake.notified() => {}
                () = &mut alarm => {}
            }
        }
    }

    /// Writes and reads what can be.
    fn progress(&self, stream: &TcpStream, reader: &mut FrameReader) -> Result<(), ClientError> {
        let broken = |error: io::Error| self.disconnected(&error.to_string());
        write_some(stream, &mut self.state.lock().outgoing).map_err(broken)?;
        for _ in 0..READS_IN_A_ROW {
            match reader.read(stream).map_err(broken)? {
                Read::Nothing => break,
                Read::End => return Err(self.disconnected("the broker closed the connection")),
                Read::Some => {}
            }
            loop {
                match reader.frame() {
                    Ok(Some(frame)) => self.answered(frame)?,
                    Ok(None) => break,
                    Err(bad) => return Err(self.protocol(foreign::describe(&bad.first))),
                }
            }
        }
        Ok(())
    }

    /// What to wait for and until when; `Err` when the connection has to end now.
    fn next_event(&self, max_idle: Option<Duration>) -> Result<(Interest, Instant), Option<ClientError>> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let idle = state.outgoing.is_empty() && state.waiting.is_empty();
        let mut until = now + NEVER;
        if state.last_used + LATELY > now {
            until = state.last_used + LATELY;
        }
        if let Some(max_idle) = max_idle.filter(|_| idle) {
            let ends = state.last_used + max_idle;
            if ends <= now {
                return Err(None);
            }
            until = until.min(ends);
        }
        let deadlines = state.waiting.iter().map(|waiting| waiting.deadline);
        if let Some(first) = deadlines.chain(state.outgoing.iter().map(|outgoing| outgoing.deadline)).min() {
            if first <= now {
                return Err(Some(self.stuck(&state, now)));
            }
            until = until.min(first);
        }
        state.looks_at = until;
        let interest =
            if state.outgoing.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        Ok((interest, until))
    }

    fn stuck(&self, state: &State, now: Instant) -> ClientError {
        let late = state.waiting.iter().find(|waiting| waiting.deadline <= now);
        let what = late.map_or_else(|| "a request".to_owned(), |waiting| api_name(waiting.api_key));
        self.disconnected(&format!("closed by us, because {what} was not answered in time"))
    }

    fn answered(&self, mut frame: Bytes) -> Result<(), ClientError> {
        let mut state = self.state.lock();
        let Some(waiting) = state.waiting.pop_front() else {
            return Err(self.protocol("sent an answer that nobody asked for".to_owned()));
        };
        state.last_used = Instant::now();
        drop(state);
        match waiting.head.take(&mut frame) {
            Ok(correlation_id) if correlation_id == waiting.correlation_id => {
                waiting.answer.send(Ok(frame));
                Ok(())
            }
            Ok(correlation_id) => {
                let detail =
                    format!("answered request {correlation_id} where {} was to be answered", waiting.correlation_id);
                let error = self.protocol(detail);
                waiting.answer.send(Err(error.clone()));
                Err(error)
            }
            Err(wrong) => {
                let error = self.protocol(format!("an answer to {}: {wrong}", api_name(waiting.api_key)));
                waiting.answer.send(Err(error.clone()));
                Err(error)
            }
        }
    }

    /// Ends the connection: all that waits fails with `error`, or with a time-out where its time is over.
    pub fn end(&self, error: &ClientError) {
        let mut state = self.state.lock();
        self.phase.send_replace(Phase::Ended(error.clone()));
        state.stream = None;
        let outgoing = std::mem::take(&mut state.outgoing);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let now = Instant::now();
        for written in outgoing.into_iter().filter_map(|outgoing| outgoing.written) {
            written.send(Err(error.clone()));
        }
        for waiting in waiting {
            let late = waiting.deadline <= now;
            waiting.answer.send(Err(if late {
                timed_out(&api_name(waiting.api_key), &self.peer, waiting.deadline - waiting.submitted)
            } else {
                error.clone()
            }));
        }
    }

    fn disconnected(&self, detail: &str) -> ClientError {
        ClientError::Disconnected { peer: self.peer.clone(), detail: format!("the connection ended: {detail}") }
    }

    fn protocol(&self, detail: String) -> ClientError {
        ClientError::Protocol { peer: self.peer.clone(), detail }
    }
}

/// The error of a request that was sent, or was to be, and not answered.
#[must_use]
pub fn timed_out(api: &str, peer: &str, after: Duration) -> ClientError {
    let after_ms = u64::try_from(after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    ClientError::TimedOut { what: format!("{api} to {peer}"), after_ms }
}

/// Writes until the socket takes no more.
fn write_some(stream: &TcpStream, outgoing: &mut VecDeque<Outgoing>) -> io::Result<()> {
    while !outgoing.is_empty() {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        for part in outgoing.iter().flat_map(|request| &request.parts).take(MAX_SLICES) {
            slices[count] = IoSlice::new(part);
            count += 1;
        }
        match stream.try_write_vectored(&slices[..count]) {
            Ok(written) => consume(outgoing, written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn consume(outgoing: &mut VecDeque<Outgoing>, mut written: usize) {
    while let Some(request) = outgoing.front_mut() {
        while let Some(part) = request.parts.front_mut() {
            if written < part.len() {
                part.advance(written);
                return;
            }
            written -= part.len();
            request.parts.pop_front();
        }
        if let Some(done) = outgoing.pop_front().and_then(|request| request.written) {
            done.send(Ok(Bytes::new()));
        }
    }
}
