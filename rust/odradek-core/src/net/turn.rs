//! Whose turn it is on one I/O thread: Produce and Fetch first, everything else by a ration.
//!
//! Requests other than Produce and Fetch are charged for the bytes they take and make, and reading for them is. When the
//! ration is used up, a connection that has another one waits in line, until the sockets were looked at again and the
//! data requests found there were served. So a storm of Metadata can slow a Produce by one ration's worth of work, not by one answer for
//! each client. A connection in line is given its turn (one request) directly; a newcomer can't snatch it.
//!
//! Not here: what waits for memory (`memory`) or for Python (`control`).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::mailbox::Mailbox;

/// What may be charged before data requests get their turn: some 100 us of work.
const RATION: usize = 128 << 10;
/// What a request is charged for besides its bytes.
const REQUEST_COST: usize = 4 << 10;
/// What it should be charged for, besides, if it was written to a log: 11 us of work where a Heartbeat is 3.
pub const WRITE_COST: usize = 8 << 10;

#[derive(Default)]
struct Inner {
    left: usize,
    line: VecDeque<Arc<Mailbox>>,
    /// A connection was given its turn and has not passed it on.
    is_given: bool,
    keeper: Option<Waker>,
}

impl Inner {
    /// Gives the turn to the first in line that is still there.
    fn give(&mut self) {
        while let Some(first) = self.line.pop_front() {
            if first.give_turn() {
                self.is_given = true;
                return;
            }
        }
    }

    fn call_keeper(&mut self) {
        if !self.line.is_empty() && !self.is_given {
            self.keeper.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// The ration and the line of one I/O thread.
#[derive(Default)]
pub struct Turn {
    inner: Mutex<Inner>,
}

impl Turn {
    /// True when a connection that is not in line may read or serve a request that is neither Produce nor Fetch.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let inner = self.inner.lock();
        inner.left > 0 && inner.line.is_empty()
    }

    /// Puts a connection in line; its mailbox tells when its turn has come. Not to be called twice before that.
    pub fn line_up(&self, mailbox: &Arc<Mailbox>) {
        let mut inner = self.inner.lock();
        inner.line.push_back(Arc::clone(mailbox));
        inner.call_keeper();
    }

    /// Charges for a request of neither kind, by the bytes of it and of its answer; by none for reading one.
    pub fn charge(&self, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.left = inner.left.saturating_sub(REQUEST_COST.saturating_add(bytes));
    }

    /// A connection that was given its turn is done with it.
    pub fn pass_on(&self) {
        let mut inner = self.inner.lock();
        inner.is_given = false;
        if inner.left > 0 {
            inner.give();
        }
        inner.call_keeper();
    }

    /// Hands out a new ration whenever the old one is used up and the data requests have had their turn. Never ends.
    pub async fn keep(&self) {
        loop {
            poll_fn(|cx| {
                let mut inner = self.inner.lock();
                if inner.line.is_empty() || inner.is_given {
                    inner.keeper = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            // Comes back after the sockets were polled, behind the connections that were found ready.
            tokio::task::yield_now().await;
            let mut inner = self.inner.lock();
            inner.left = RATION;
            inner.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn mailboxes<const N: usize>() -> [Arc<Mailbox>; N] {
        std::array::from_fn(|number| Arc::new(Mailbox::new(number as u64, 0)))
    }

    /// Runs the keeper once past its yield.
    fn keep(turn: &Turn) {
        let mut keeper = pin!(turn.keep());
        let mut cx = Context::from_waker(Waker::noop());
        // Once to the yield, once past it. Outside a runtime the yield wakes at once.
        assert!(keeper.as_mut().poll(&mut cx).is_pending());
        assert!(keeper.as_mut().poll(&mut cx).is_pending());
    }

    #[test]
    fn a_ration_is_given_out_only_after_a_yield_and_then_in_order() {
        let turn = Turn::default();
        let [a, b, c] = mailboxes();
        assert!(!turn.is_free(), "nothing was given out yet");
        for mailbox in [&a, &b, &c] {
            turn.line_up(mailbox);
        }
        assert!(!a.take_turn());
        keep(&turn);
        assert!(a.take_turn() && !b.take_turn(), "one at a time");
        assert!(!turn.is_free(), "no newcomer gets before those in line");
        turn.charge(10);
        turn.pass_on();
        assert!(b.take_turn());
        turn.charge(RATION);
        turn.pass_on();
        assert!(!c.take_turn(), "the ration is used up");
        keep(&turn);
        assert!(c.take_turn());
        turn.pass_on();
        assert!(turn.is_free(), "nobody waits and something is left");
    }

    #[test]
    fn a_turn_is_not_lost_on_a_connection_that_has_gone() {
        let turn = Turn::default();
        let [gone, there] = mailboxes();
        turn.line_up(&gone);
        turn.line_up(&there);
        gone.mark_closed();
        keep(&turn);
        assert!(!gone.take_turn() && there.take_turn());
        turn.charge(usize::MAX);
        turn.pass_on();
        assert!(!turn.is_free());
    }
}
