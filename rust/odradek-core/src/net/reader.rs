//! Bytes from the socket, until they are whole frames.
//!
//! Most reads go into one buffer that all connections of an I/O thread share: a small request is read, served and
//! forgotten there. Only what remains of a frame is moved to a buffer of the connection's own, which grows with the
//! bytes received, never by a claimed size, and is dropped when it is empty and not soon used again.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::memory::{FREE_BYTES, Grant, RequestMemory};
use crate::wire::frame::{FrameStart, frame_start};

/// Size of the thread's shared buffer.
const SHARED_BYTES: usize = 128 << 10;
/// A connection's own buffer grows by at least that much.
const MIN_GROWTH_BYTES: usize = 64 << 10;

thread_local! {
    static SHARED: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// The read side of one connection.
pub struct Reader {
    buffer: BytesMut,
    is_shared: bool,
    grant: Option<Grant>,
    max_request_bytes: usize,
}

impl Reader {
    /// An empty reader that takes frames up to `max_request_bytes`.
    #[must_use]
    pub fn new(max_request_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), is_shared: false, grant: None, max_request_bytes }
    }

    /// What the first bytes say.
    #[must_use]
    pub fn frame_start(&self) -> FrameStart {
        frame_start(&self.buffer, self.max_request_bytes)
    }

    /// The bytes received and not taken.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes `size` bytes off the front; they must be there.
    pub fn take(&mut self, size: usize) -> Bytes {
        self.buffer.split_to(size).freeze()
    }

    /// Takes the grant that covers a frame just taken, for someone who keeps the frame.
    pub fn take_grant(&mut self) -> Option<Grant> {
        self.grant.take()
    }

    /// True while a grant covers a frame that has not come in full.
    #[must_use]
    pub fn holds_grant(&self) -> bool {
        self.grant.is_some() && !self.buffer.is_empty()
    }

    /// True while the connection keeps a buffer of its own.
    #[must_use]
    pub fn keeps_buffer(&self) -> bool {
        !self.is_shared && self.buffer.capacity() > 0
    }

    /// True when more may be read, behind a request that can't be served yet, within what a connection may hold anyway.
    #[must_use]
    pub fn may_read_ahead(&self) -> bool {
        self.buffer.is_empty()
            || matches!(self.frame_start(), FrameStart::Frame { size } if size.max(self.buffer.len() + 1) <= FREE_BYTES)
    }

    /// Reads once. `Ready(0)` is the end of the stream. Pending, too, while memory has to be waited for; `memory_waker`
    /// is woken then.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_fill(
        &mut self,
        stream: &mut TcpStream,
        memory: &Arc<RequestMemory>,
        connection_id: u64,
        memory_waker: &Waker,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.make_room(memory, connection_id, memory_waker) {
            return Poll::Pending;
        }
        pin!(stream.read_buf(&mut self.buffer)).poll(cx)
    }

    /// False when memory has to be waited for.
    fn make_room(&mut self, memory: &Arc<RequestMemory>, connection_id: u64, waker: &Waker) -> bool {
        if self.buffer.is_empty() && self.grant.is_none() {
            if !self.is_shared {
                self.buffer = SHARED.take();
                self.is_shared = true;
            }
            self.buffer.clear();
            // Under pressure a connection must not come by more than it may keep.
            self.buffer.reserve(if memory.is_contended() { FREE_BYTES } else { SHARED_BYTES });
            return true;
        }
        self.own_buffer();
        let held = self.buffer.len();
        let needed = match self.frame_start() {
            FrameStart::Frame { size } => size,
            // The caller closes the connection on an invalid frame.
            FrameStart::Incomplete | FrameStart::Invalid { .. } => held + FREE_BYTES,
        };
        let covered = self.grant.as_ref().map_or(FREE_BYTES, Grant::bytes);
        if needed > covered {
            self.grant = None;
            self.grant = memory.ask(connection_id, needed + MIN_GROWTH_BYTES, waker);
            if self.grant.is_none() {
                return false;
            }
        }
        let growth = if self.grant.is_some() { held.max(MIN_GROWTH_BYTES) } else { FREE_BYTES };
        let missing = needed.saturating_sub(held).max(1);
        self.buffer.reserve(if self.grant.is_some() {
            missing.min(growth).max(MIN_GROWTH_BYTES)
        } else {
            missing.min(growth)
        });
        true
    }

    /// Moves what is left in the shared buffer to one of the connection's own.
    fn own_buffer(&mut self) {
        if self.is_shared {
            let own = BytesMut::from(&self.buffer[..]);
            self.give_shared_back(own);
        }
    }

    fn give_shared_back(&mut self, replacement: BytesMut) {
        let shared = std::mem::replace(&mut self.buffer, replacement);
        self.is_shared = false;
        SHARED.set(shared);
    }

    /// Called when there is nothing more to do for now: gives the shared buffer back, and an empty own one unless it
    /// will likely be filled again.
    pub fn settle(&mut self) {
        if self.is_shared {
            let own = if self.buffer.is_empty() { BytesMut::new() } else { BytesMut::from(&self.buffer[..]) };
            self.give_shared_back(own);
        } else if self.buffer.is_empty() && !self.grant.as_ref().is_some_and(Grant::may_be_kept) {
            self.release();
        }
    }

    /// Drops an empty buffer and its grant.
    pub fn release(&mut self) {
        if self.buffer.is_empty() && !self.is_shared {
            self.buffer = BytesMut::new();
            self.grant = None;
        }
    }
}
