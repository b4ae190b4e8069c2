//! The sender: takes batches, forms requests and deals with the answers.
//!
//! It owns all that concerns what is under way ([`super::lanes`]). Which thread works on it, and when, is [`super::desk`]'s
//! affair; what an answer means is in [`super::answers`]; how a request leaves is in [`super::outbox`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::mem::take;
use std::num::NonZero;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Shared;
use super::accumulator::{Look, Queue};
use super::batches::{Batch, Identity};
use super::delivery::Outcome;
use super::desk::{Desk, Event};
use super::lanes::{Lane, May};
use super::metrics::Metrics;
use super::request::{PARTITION_OVERHEAD, Part};
use crate::client::error::ClientError;
use crate::client::metadata::MetadataView;

/// Room that a request's own fields may take.
const REQUEST_OVERHEAD: usize = 512;
/// How often batches are looked through for those whose time is over, at most and at least.
pub(super) const SWEEP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How long the task sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(3_600);
/// Most batches that are compressed at a time.
const MAX_PACKERS: usize = 3;

/// What is known of one broker.
#[derive(Default)]
pub(super) struct NodeState {
    pub in_flight: usize,
    /// An answer has come over the connection: until then one request at a time, so that connecting keeps the order.
    pub proven: bool,
    /// Requests that wait for a connection, or may; none overtakes them.
    pub indirect: usize,
}

/// The sender's state.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) lanes: Vec<Lane>,
    ready: VecDeque<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Lanes without a leader.
    leaderless: HashSet<usize>,
    pub(super) nodes: HashMap<i32, NodeState>,
    pub(super) identity: Option<Identity>,
    identity_asked: bool,
    identity_rests_until: Option<Instant>,
    /// Why the last attempt to get one failed.
    identity_error: Option<ClientError>,
    pub(super) identity_attempts: u32,
    pub(super) desk: Weak<Desk>,
    next_sweep: Instant,
    /// Something was sent since the last sweep.
    pub(super) stirred: bool,
    /// Batches that other threads compress at the moment, and how many may be.
    pub(super) packing: usize,
    pub(super) packers: usize,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, desk: Weak<Desk>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            shared,
            lanes: Vec::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            leaderless: HashSet::new(),
            nodes: HashMap::new(),
            identity: None,
            identity_asked: false,
            identity_rests_until: None,
            identity_error: None,
            identity_attempts: 0,
            desk,
            next_sweep: Instant::now(),
            stirred: false,
            packing: 0,
            packers: cores.min(MAX_PACKERS),
        }
    }

    /// Looks at what is new, sends what may be sent; returns when to come again.
    pub(super) fn turn(&mut self, now: Instant) -> Instant {
        let (scheduled, recheck) = self.shared.accumulator.signal.take();
        for queue in scheduled {
            let id = self.lane_of(&queue);
            self.look(id, now);
        }
        if recheck {
            for id in 0..self.lanes.len() {
                self.look(id, now);
            }
        }
        while let Some(Reverse((at, id))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if self.lanes[id].timer == Some(at) {
                self.lanes[id].timer = None;
                self.look(id, now);
            }
        }
        if now >= self.next_sweep {
            self.sweep(now);
        }
        self.drain(now);
        // A sweep stays due for a while after the last request, so that the next one need not wake the task for it.
        let quiet = !self.stirred && self.shared.accumulator.outstanding.count() == 0;
        let mut next = if quiet { now + IDLE } else { self.next_sweep };
        if let Some(Reverse((at, _))) = self.timers.peek() {
            next = next.min(*at);
        }
        if let Some(at) = self.identity_rests_until
            && !self.ready.is_empty()
        {
            next = next.min(at);
        }
        next
    }

    fn lane_of(&mut self, queue: &Arc<Queue>) -> usize {
        *queue.lane.get_or_init(|| {
            self.lanes.push(Lane::new(Arc::clone(queue)));
            self.lanes.len() - 1
        })
    }

    /// Has the lane looked at again at a time; the earliest one counts, and each look sets the next.
    fn wake_at(&mut self, id: usize, at: Instant) {
        let timer = &mut self.lanes[id].timer;
        if timer.is_none_or(|set| at < set) {
            *timer = Some(at);
            self.timers.push(Reverse((at, id)));
        }
    }

    /// True when batches don't linger: senders wait for room, or the producer is being closed.
    fn in_haste(&self) -> bool {
        self.shared.accumulator.pool.is_short()
    }

    /// Lists the lane if it has something to send, sets a timer if it will have.
    pub(super) fn look(&mut self, id: usize, now: Instant) {
        let everything = self.in_haste();
        let lane = &mut self.lanes[id];
        let look = self.shared.accumulator.look(&lane.queue, now, everything);
        if let Some(until) = lane.rests_until {
            if until > now {
                self.wake_at(id, until);
                return;
            }
            lane.rests_until = None;
        }
        let held = lane.staged.is_some() || !lane.resend.is_empty();
        match look {
            Look::Lingers(until) if !held => self.wake_at(id, until),
            Look::Empty if !held => {}
            _ if self.leaderless.contains(&id) => {}
            _ => {
                if !std::mem::replace(&mut lane.listed, true) {
                    self.ready.push_back(id);
                }
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        if self.ready.is_empty() || (self.shared.settings.idempotent && !self.has_identity(now)) {
            return;
        }
        let view = self.shared.cluster.metadata();
        loop {
            let mut requests: HashMap<i32, (Vec<Part>, usize)> = HashMap::new();
            for id in take(&mut self.ready) {
                self.lanes[id].listed = false;
                if let Some(again) = self.gather(id, now, &view, &mut requests) {
                    self.lanes[id].listed = true;
                    match again {
                        End::Front => self.ready.push_front(id),
                        End::Back => self.ready.push_back(id),
                    }
                }
            }
            if requests.is_empty() {
                return;
            }
            for (node, (parts, _)) in requests {
                self.send(node, parts, now);
            }
        }
    }

    /// Adds a lane's oldest batch to the request for its leader. Returns where to list the lane if it has more to send.
    fn gather(
        &mut self,
        id: usize,
        now: Instant,
        view: &MetadataView,
        requests: &mut HashMap<i32, (Vec<Part>, usize)>,
    ) -> Option<End> {
        if self.shared.settings.idempotent && self.identity.is_none() {
            return Some(End::Back);
        }
        if let Some(until) = self.lanes[id].rests_until.filter(|until| *until > now) {
            self.wake_at(id, until);
            return None;
        }
        match self.lanes[id].may() {
            May::Send => {}
            May::Wait => return None,
            May::Rename if self.rename(id) => {}
            May::Rename => return Some(End::Back),
        }
        let queue = Arc::clone(&self.lanes[id].queue);
        let Some((node, _)) = view.leader(&queue.topic, queue.index) else {
            self.leaderless.insert(id);
            self.shared.cluster.request_refresh();
            return None;
        };
        let state = self.nodes.entry(node).or_default();
        let most = if state.proven { self.shared.settings.max_in_flight } else { 1 };
        if state.in_flight >= most {
            return Some(End::Back);
        }
        let everything = self.in_haste();
        let lane = &mut self.lanes[id];
        let holds = lane.staged.is_some() || !lane.resend.is_empty();
        if lane.packing && lane.resend.is_empty() {
            return None;
        }
        if !holds && self.packing >= self.packers {
            return Some(End::Back);
        }
        let mut left = Look::Ready;
        let held = lane.resend.pop_front().or_else(|| lane.staged.take());
        let batch = held.or_else(|| {
            let (batch, rest) = self.shared.accumulator.take(&queue, now, everything);
            left = rest;
            batch
        });
        let Some(batch) = batch else {
            if let Look::Lingers(until) = left {
                self.wake_at(id, until);
            }
            return None;
        };
        let Some(batch) = self.packed(id, batch) else {
            self.look(id, now);
            return None;
        };
        let (parts, size) = requests.entry(node).or_insert_with(|| (Vec::new(), REQUEST_OVERHEAD));
        let more = batch.size() + queue.topic.len() + PARTITION_OVERHEAD;
        if !parts.is_empty() && *size + more > self.shared.settings.max_request_size {
            let lane = &mut self.lanes[id];
            if batch.attempts > 0 {
                lane.again(batch)
            } else {
                lane.staged = Some(batch)
            }
            return Some(End::Front);
        }
        *size += more;
        self.put_on_wire(id, batch, parts);
        match left {
            Look::Ready => Some(End::Back),
            Look::Lingers(until) => {
                self.wake_at(id, until);
                None
            }
            Look::Empty => None,
        }
    }

    fn put_on_wire(&mut self, id: usize, mut batch: Batch, parts: &mut Vec<Part>) {
        let lane = &mut self.lanes[id];
        if let Some(identity) = self.identity
            && self.shared.settings.idempotent
        {
            lane.stamp(&mut batch, identity);
        }
        lane.on_wire.push(batch.order);
        let metrics = &self.shared.metrics;
        if batch.attempts > 0 {
            Metrics::add(&metrics.batch_retries, 1);
        }
        batch.attempts += 1;
        Metrics::add(&metrics.batches_sent, 1);
        Metrics::add(&metrics.bytes_sent, batch.size() as u64);
        parts.push(Part { lane: id, batch });
    }

    /// Topic and partition, for a message.
    pub(super) fn place(&self, id: usize) -> String {
        let queue = &self.lanes[id].queue;
        format!("{}-{}", queue.topic, queue.index)
    }

    /// Gives a batch up. The broker may have it nevertheless, so the sequences behind it need care.
    pub(super) fn fail(&mut self, id: usize, batch: Batch, error: ClientError) {
        if batch.sequence.is_some() {
            self.lanes[id].unresolved = true;
        }
        self.shared.end(&batch.state, Outcome::Failed(error));
    }

    fn sweep(&mut self, now: Instant) {
        let settings = &self.shared.settings;
        let timeout = settings.delivery_timeout;
        self.next_sweep = now + (timeout / 20).clamp(SWEEP.0, SWEEP.1);
        self.stirred = false;
        let Some(opened_before) = now.checked_sub(timeout) else { return };
        for id in 0..self.lanes.len() {
            let mut expired = self.lanes[id].take_expired(opened_before);
            while let Some(batch) = self.shared.accumulator.take_expired(&self.lanes[id].queue, opened_before) {
                expired.push(batch);
            }
            for batch in expired {
                let error = self.expiry(id, &batch);
                self.fail(id, batch, error);
            }
        }
        if !self.leaderless.is_empty() {
            self.shared.cluster.request_refresh();
        }
    }

    /// Why a batch whose time is over was not delivered.
    pub(super) fn expiry(&self, id: usize, batch: &Batch) -> ClientError {
        let queue = &self.lanes[id].queue;
        let why = match (&batch.last_error, self.leaderless.contains(&id)) {
            (Some(error), _) => format!("; the last attempt of {}: {error}", batch.attempts),
            (None, true) => format!("; {}", self.shared.cluster.metadata().why_leaderless(&queue.topic, queue.index)),
            (None, false) => match &self.identity_error {
                Some(error) => format!("; no producer id could be had: {error}"),
                None => String::new(),
            },
        };
        let what = format!("delivery of {} records to {} (delivery_timeout_ms){why}", batch.count(), self.place(id));
        let after = self.shared.settings.delivery_timeout.as_millis();
        ClientError::TimedOut { what, after_ms: u64::try_from(after).unwrap_or(u64::MAX) }
    }

    pub(super) fn metadata_changed(&mut self) {
        let view = self.shared.cluster.metadata();
        self.shared.topics_changed(&view);
        let now = Instant::now();
        for id in take(&mut self.leaderless) {
            self.look(id, now);
        }
    }

    /// True with a producer id; asks for one otherwise.
    fn has_identity(&mut self, now: Instant) -> bool {
        if self.identity.is_some() {
            return true;
        }
        if self.identity_asked || self.identity_rests_until.is_some_and(|until| until > now) {
            return false;
        }
        self.identity_rests_until = None;
        self.identity_asked = true;
        let (cluster, desk) = (Arc::clone(&self.shared.cluster), Weak::clone(&self.desk));
        let timeout = self.shared.settings.request_timeout;
        self.shared.cluster.spawn(async move {
            Desk::bring(&desk, Event::Identity(super::identity::ask(&cluster, timeout).await));
        });
        false
    }

    /// What InitProducerId came to.
    pub(super) fn identified(&mut self, result: Result<Identity, ClientError>, now: Instant) {
        self.identity_asked = false;
        match result {
            Ok(identity) => {
                self.identity = Some(identity);
                self.identity_attempts = 0;
                self.identity_error = None;
            }
            Err(error) if error.retriable() => {
                self.identity_attempts += 1;
                self.identity_rests_until = Some(now + self.shared.backoff(self.identity_attempts));
                self.identity_error = Some(error);
            }
            Err(error) => {
                self.identity_rests_until = Some(now + self.shared.settings.retry_backoff_max);
                self.give_up(&error);
            }
        }
    }

    /// Gives the lane a new identity; false when one has to be asked for first.
    fn rename(&mut self, id: usize) -> bool {
        let Some(epoch) = self.identity.and_then(|identity| identity.epoch.checked_add(1)) else {
            self.identity = None;
            return false;
        };
        self.identity = self.identity.map(|identity| Identity { epoch, ..identity });
        if let Some(identity) = self.identity {
            self.lanes[id].rename(identity);
        }
        Metrics::add(&self.shared.metrics.renames, 1);
        true
    }

    /// Ends every batch that is not on the wire.
    pub(super) fn give_up(&mut self, error: &ClientError) {
        let later = Instant::now() + Duration::from_secs(1);
        for id in 0..self.lanes.len() {
            let mut batches = self.lanes[id].take_all();
            while let Some(batch) = self.shared.accumulator.take_expired(&self.lanes[id].queue, later) {
                batches.push(batch);
            }
            for batch in batches {
                self.fail(id, batch, error.clone());
            }
        }
    }
}

/// Where a lane is listed.
enum End {
    Front,
    Back,
}
