//! One connection: frames out, frames in, in order. Works blocking (`call`) and non-blocking (`push`, `pull`).

use crate::failure::{Failure, Result};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const READ_STEP: usize = 64 * 1024;
const CORRELATION_AT: usize = 8;
/// A blocked read ends the run: no broker under test may take this long for one answer.
const STALL: Duration = Duration::from_secs(90);

/// A connection, its request under way and the bytes of the next response.
pub struct Connection {
    stream: TcpStream,
    frame: Vec<u8>,
    written: usize,
    sending: bool,
    next_correlation: i32,
    due: VecDeque<(i32, Instant)>,
    inbox: Vec<u8>,
    filled: usize,
    steps_back: bool,
}

impl Connection {
    /// Connect, without delay for small frames.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(|error| Failure::new(format!("{address}: {error}")))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        Ok(Self {
            stream,
            frame: Vec::new(),
            written: 0,
            sending: false,
            next_correlation: 0,
            due: VecDeque::new(),
            inbox: vec![0; READ_STEP],
            filled: 0,
            steps_back: false,
        })
    }

    /// Offer the processor after each request from now on: among threads that share a core, this one stands behind. SCHED_IDLE
    /// alone does not do it. Linux lets such a thread have the core for 0.5-2 ms, when a thread that it passed over had more
    /// than its share, even if the other core has nothing to do.
    pub fn step_back(&mut self) {
        self.steps_back = true;
    }

    /// The socket, to register and to switch between blocking and not.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Requests sent (or being sent) and not answered.
    pub fn in_flight(&self) -> usize {
        self.due.len()
    }

    /// Whether a request is partly written.
    pub fn is_sending(&self) -> bool {
        self.sending
    }

    /// Begin the next request: `prepare` may change the frame, whose correlation id is then set.
    pub fn begin(&mut self, now: Instant, prepare: impl FnOnce(&mut Vec<u8>)) {
        prepare(&mut self.frame);
        let id = self.next_correlation;
        self.next_correlation = id.wrapping_add(1);
        self.frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&id.to_be_bytes());
        self.due.push_back((id, now));
        self.written = 0;
        self.sending = true;
    }

    /// Write on; whether the request is out (`false` = the socket is full).
    ///
    /// # Errors
    /// The connection is gone.
    pub fn push(&mut self) -> Result<bool> {
        while self.written < self.frame.len() {
            match self.stream.write(&self.frame[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.sending = false;
        if self.steps_back {
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Read once and hand each whole response (after its correlation id) with its request's start to `take`.
    /// Returns whether the socket may hold more.
    ///
    /// # Errors
    /// The broker closed the connection, or answered out of order.
    pub fn pull(&mut self, mut take: impl FnMut(&[u8], Instant) -> Result<()>) -> Result<bool> {
        if self.inbox.len() - self.filled < READ_STEP {
            self.inbox.resize(self.inbox.len() * 2, 0);
        }
        let room = self.inbox.len() - self.filled;
        let count = match self.stream.read(&mut self.inbox[self.filled..]) {
            Ok(0) => return Err(Failure::new("the broker closed a connection")),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.filled += count;
        let mut at = 0;
        while self.filled - at >= 8 {
            let mut word = [0; 4];
            word.copy_from_slice(&self.inbox[at..at + 4]);
            let length = usize::try_from(i32::from_be_bytes(word)).unwrap_or(0);
            if length < 4 {
                return Err(Failure::new("a response without a correlation id"));
            }
            let end = at + 4 + length;
            if end > self.inbox.len() {
                let size = end.next_power_of_two() + READ_STEP;
                self.inbox.resize(size, 0);
            }
            if self.filled < end {
                break;
            }
            word.copy_from_slice(&self.inbox[at + 4..at + 8]);
            let id = i32::from_be_bytes(word);
            match self.due.pop_front() {
                Some((due, started)) if due == id => take(&self.inbox[at + 8..end], started)?,
                due => return Err(Failure::new(format!("answer {id} came where {due:?} was due"))),
            }
            at = end;
        }
        self.inbox.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(count == room)
    }

    /// Send one frame on a blocking connection and return the answer after its correlation id.
    ///
    /// # Errors
    /// The connection is gone, or stalled for 90 seconds.
    pub fn call(&mut self, frame: Vec<u8>) -> Result<Vec<u8>> {
        self.send(frame)?;
        self.receive()
    }

    /// The sending half of `call`.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, frame: Vec<u8>) -> Result<()> {
        self.begin(Instant::now(), |old| *old = frame);
        while !self.push()? {}
        Ok(())
    }

    /// The receiving half of `call`.
    ///
    /// # Errors
    /// The connection is gone, or stalled for 90 seconds.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        let since = Instant::now();
        let mut answer = None;
        while answer.is_none() {
            self.pull(|body, _| {
                answer = Some(body.to_vec());
                Ok(())
            })?;
            if answer.is_none() && since.elapsed() >= STALL {
                return Err(Failure::new("no answer for 90 seconds"));
            }
        }
        answer.ok_or_else(|| Failure::new("no answer"))
    }
}
