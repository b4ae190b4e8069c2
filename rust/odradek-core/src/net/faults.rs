//! Faults on request: what a test asks the broker to do wrong, for any client in any language.
//!
//! A rule names an API and an effect: a delay before the request is carried out, an error in place of carrying it out, a
//! connection closed before or after. Rules of one API apply in the order they were made: a request meets the first
//! delay and the first other effect that have not run out. A pause holds every connection as it is, as if the process
//! were stopped. Without any of it a request costs one relaxed load. The error answers are in
//! `handlers::fault_answers`; what Python serves carries the code along and Python answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::time::Instant;

const RULES: u8 = 1;
const PAUSED: u8 = 2;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is carried out so much later. Those behind it on its connection wait, too.
    Delay(Duration),
    /// It is not carried out but answered with this error code.
    Fail(i16),
    /// It is not carried out; its connection is closed once what was asked before it is answered.
    DropBefore,
    /// It is carried out, and its connection closed in place of its answer.
    DropAfter,
}

#[derive(Debug)]
struct Rule {
    id: u64,
    api_key: i16,
    effect: Effect,
    /// Requests it still waits for; `None` is all of them.
    remaining: Option<u64>,
    hits: u64,
}

#[derive(Default)]
struct Inner {
    next_id: u64,
    /// Those that ran out stay, for their hits, until they are removed.
    rules: Vec<Rule>,
    paused: bool,
    /// Connections that a pause or a delay holds, by their ids.
    held: HashMap<u64, Waker>,
}

/// What one request has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// The rule that delays it, and until when.
    pub delay: Option<(u64, Instant)>,
    /// What happens to it then, if anything.
    pub action: Option<Effect>,
}

/// The faults of one broker. Thread-safe.
#[derive(Default)]
pub struct FaultTable {
    armed: AtomicU8,
    inner: Mutex<Inner>,
    hit: Condvar,
}

impl FaultTable {
    /// True when a request has to be shown to [`Self::meet`].
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.armed.load(Ordering::Relaxed) & RULES != 0
    }

    /// True when nothing moves.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.armed.load(Ordering::Relaxed) & PAUSED != 0
    }

    /// Adds a rule for the next `times` requests of an API, `None` for all of them; returns its id.
    pub fn add(&self, api_key: i16, effect: Effect, times: Option<u64>) -> u64 {
        let mut inner = self.inner.lock();
        inner.next_id += 1;
        let id = inner.next_id;
        inner.rules.push(Rule { id, api_key, effect, remaining: times, hits: 0 });
        self.arm(&inner);
        id
    }

    /// Takes a rule away; requests that it delays go on. Unknown ids are ignored.
    pub fn remove(&self, id: u64) {
        self.change(|inner| inner.rules.retain(|rule| rule.id != id));
    }

    /// Takes everything away, a pause too.
    pub fn clear(&self) {
        self.change(|inner| {
            inner.rules.clear();
            inner.paused = false;
        });
    }

    /// Holds every connection as it is, or lets all go on.
    pub fn set_paused(&self, paused: bool) {
        self.change(|inner| inner.paused = paused);
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock();
        change(&mut inner);
        self.arm(&inner);
        let held = std::mem::take(&mut inner.held);
        drop(inner);
        self.hit.notify_all();
        held.into_values().for_each(Waker::wake);
    }

    fn arm(&self, inner: &Inner) {
        let rules = inner.rules.iter().any(|rule| rule.remaining != Some(0));
        let bits = if rules { RULES } else { 0 } | if inner.paused { PAUSED } else { 0 };
        self.armed.store(bits, Ordering::Release);
    }

    /// Requests that a rule has met so far; `None` when it was taken away.
    #[must_use]
    pub fn hits(&self, id: u64) -> Option<u64> {
        self.inner.lock().rules.iter().find(|rule| rule.id == id).map(|rule| rule.hits)
    }

    /// Waits until a rule has met `hits` requests; false when `timeout` is over first or the rule was taken away.
    pub fn wait_for_hits(&self, id: u64, hits: u64, timeout: Duration) -> bool {
        let deadline = std::time::Instant::now() + timeout;
        let mut inner = self.inner.lock();
        loop {
            let Some(met) = inner.rules.iter().find(|rule| rule.id == id).map(|rule| rule.hits) else { return false };
            if met >= hits {
                return true;
            }
            if self.hit.wait_until(&mut inner, deadline).timed_out() {
                return false;
            }
        }
    }

    /// What a request of this API meets; counts it.
    #[must_use]
    pub fn meet(&self, api_key: i16) -> Option<Met> {
        let mut inner = self.inner.lock();
        let (mut delay, mut action) = (None, None);
        for rule in inner.rules.iter_mut().filter(|rule| rule.api_key == api_key && rule.remaining != Some(0)) {
            match rule.effect {
                Effect::Delay(time) if delay.is_none() => delay = Some((rule.id, Instant::now() + time)),
                Effect::Delay(_) => continue,
                effect if action.is_none() => action = Some(effect),
                _ => continue,
            }
            rule.hits += 1;
            rule.remaining = rule.remaining.map(|remaining| remaining - 1);
        }
        let met = (delay.is_some() || action.is_some()).then_some(Met { delay, action });
        if met.is_some() {
            self.arm(&inner);
            self.hit.notify_all();
        }
        met
    }

    /// True while the pause lasts; `waker` is woken at its end.
    pub fn waits_for_resume(&self, connection_id: u64, waker: &Waker) -> bool {
        self.hold_while(connection_id, waker, |inner| inner.paused)
    }

    /// True while the rule `id` is there; `waker` is woken when it is taken away.
    pub fn waits_for_removal(&self, connection_id: u64, waker: &Waker, id: u64) -> bool {
        self.hold_while(connection_id, waker, |inner| inner.rules.iter().any(|rule| rule.id == id))
    }

    fn hold_while(&self, connection_id: u64, waker: &Waker, holds: impl FnOnce(&Inner) -> bool) -> bool {
        let mut inner = self.inner.lock();
        let holds = holds(&inner);
        if holds {
            inner.held.insert(connection_id, waker.clone());
        } else {
            inner.held.remove(&connection_id);
        }
        holds
    }

    /// A connection has gone.
    pub fn forget(&self, connection_id: u64) {
        self.inner.lock().held.remove(&connection_id);
    }
}

/// What a connection does with its next request.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry it out, or do this in its place.
    Go(Option<Effect>),
    /// Not yet.
    Wait,
}

/// One connection's side of the table: what the request at the front of its buffer has met.
#[derive(Default)]
pub struct Gate {
    met: Option<Met>,
    /// The response slot in whose place the connection is closed.
    pub close_at: Option<u64>,
}

impl Gate {
    /// When the delayed request goes on.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.met?.delay?.1)
    }

    /// Decides about the request at the front; once it says `Go`, the next request is meant.
    pub fn step(&mut self, faults: &FaultTable, api_key: i16, connection_id: u64, waker: &Waker) -> Step {
        if self.met.is_none() {
            self.met = faults.meet(api_key);
        }
        let Some(met) = self.met else { return Step::Go(None) };
        if let Some((id, until)) = met.delay
            && until > Instant::now()
            && faults.waits_for_removal(connection_id, waker, id)
        {
            return Step::Wait;
        }
        self.met = None;
        Step::Go(met.action)
    }

    /// True when a request was shown to the table and is not carried out yet.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.met.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn action(table: &FaultTable, api_key: i16) -> Option<Effect> {
        table.meet(api_key).and_then(|met| met.action)
    }

    #[test]
    fn a_rule_meets_as_many_requests_of_its_api_as_it_was_told() {
        let table = FaultTable::default();
        assert!(!table.has_rules());
        let id = table.add(0, Effect::Fail(6), Some(2));
        assert!(table.has_rules());
        let met: Vec<_> = [1, 0, 0, 0].iter().map(|&key| action(&table, key)).collect();
        assert_eq!(met, [None, Some(Effect::Fail(6)), Some(Effect::Fail(6)), None]);
        assert!(!table.has_rules());
        assert_eq!(table.hits(id), Some(2));
        table.remove(id);
        assert_eq!(table.hits(id), None);
    }

    #[test]
    fn rules_of_one_api_apply_in_turn_and_a_delay_goes_with_another_effect() {
        let table = FaultTable::default();
        table.add(0, Effect::Fail(6), Some(1));
        table.add(0, Effect::DropAfter, Some(1));
        table.add(0, Effect::Delay(Duration::from_secs(9)), None);
        let first = table.meet(0).expect("a rule of this API");
        assert_eq!(first.action, Some(Effect::Fail(6)));
        assert!(first.delay.is_some());
        assert_eq!(action(&table, 0), Some(Effect::DropAfter));
        assert_eq!(action(&table, 0), None);
        assert!(table.has_rules(), "the delay has no end");
    }

    #[test]
    fn a_delayed_request_waits_until_its_rule_is_taken_away() {
        let table = FaultTable::default();
        let id = table.add(0, Effect::Delay(Duration::from_secs(3600)), Some(1));
        let mut gate = Gate::default();
        assert_eq!(gate.step(&table, 0, 7, Waker::noop()), Step::Wait);
        assert!(gate.is_holding());
        assert_eq!(gate.step(&table, 0, 7, Waker::noop()), Step::Wait);
        assert_eq!(table.hits(id), Some(1), "it is counted once");
        table.clear();
        assert_eq!(gate.step(&table, 0, 7, Waker::noop()), Step::Go(None));
        assert!(!gate.is_holding());
    }

    #[test]
    fn a_pause_ends_with_resume_and_with_clear() {
        let table = FaultTable::default();
        for end in [|table: &FaultTable| table.set_paused(false), FaultTable::clear] {
            table.set_paused(true);
            assert!(table.is_paused() && table.waits_for_resume(1, Waker::noop()));
            end(&table);
            assert!(!table.is_paused() && !table.waits_for_resume(1, Waker::noop()));
        }
    }

    #[test]
    fn waiting_for_hits_ends_with_the_hit_the_time_or_the_rule() {
        let table = FaultTable::default();
        let id = table.add(3, Effect::Fail(1), None);
        assert!(!table.wait_for_hits(id, 1, NO_TIME));
        let _ = table.meet(3);
        assert!(table.wait_for_hits(id, 1, NO_TIME));
        table.clear();
        assert!(!table.wait_for_hits(id, 1, Duration::from_secs(3600)));
    }
}
