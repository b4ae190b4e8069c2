//! The one task of a fetcher on the I/O thread: decides what to ask of which broker, and takes the answers in.
//!
//! Each step looks at every partition, then sends what has become possible: one Fetch a broker and [`Lane`] at most, and
//! nothing stands behind a Fetch that waits. No fetch is sent whose answer could break the budget: it leases all it asks for
//! first, and none gets more than its share, so that one that waits does not keep the others from being sent.
//!
//! A lane's next fetch is sent as soon as the headers of its last answer told where to go on, before that answer is
//! decoded: broker and network work while we do. Answers are decoded one after the other, in the order they came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep_until;

use super::answer::{self, Undecoded};
use super::budget::Lease;
use super::chunk::Chunk;
use super::error::FetchError;
use super::fetcher::{Shared, State};
use super::nearby::Nearby;
use super::offsets::{self, Question, Reply};
use super::positions::{Partition, Stage};
use super::request::{self, Fetched};
use super::session::{Session, Wanted};
use super::sources::{Lane, Source};
use crate::client::error::ClientError;
use crate::client::metadata::MetadataView;
use crate::log::types::TopicPartition;

/// A partition is asked for again while less than this many answers' worth of it is buffered.
const PREFETCH_ANSWERS: usize = 4;
/// What request and answer take for a partition besides its records: the fields of both, encoded and decoded.
const FIELDS_BYTES: usize = 512;
/// Answers of fewer bytes than this are decoded at once: their records should not wait for another request to be written.
const DECODED_AT_ONCE_BYTES: usize = 16 * 1024;
/// How many answers share the budget, at least.
const PIECES: usize = 8;
/// Topic errors in metadata that no waiting mends: not authorized, invalid name.
const HOPELESS: [i16; 2] = [29, 17];

/// What a request came to.
pub(super) enum Done {
    /// A fetch.
    Fetched(Box<Fetched>),
    /// Offsets.
    Offsets(Vec<(TopicPartition, u64, Reply)>),
    /// The first metadata could not be had.
    NoMetadata(Option<ClientError>),
}

struct Driver {
    shared: Arc<Shared>,
    sources: HashMap<(i32, Lane), Source>,
    requests: JoinSet<Done>,
    turns: u64,
    asking_metadata: bool,
    /// Bytes that an answer's batches came to take besides their own, of each thousand; the worst of late. Small batches make
    /// it large.
    overhead_permille: usize,
}

/// Runs until the fetcher is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut metadata = shared.cluster.metadata_changed();
    let mut driver = Driver {
        shared,
        sources: HashMap::new(),
        requests: JoinSet::new(),
        turns: 0,
        asking_metadata: false,
        overhead_permille: 0,
    };
    while let Some(due) = driver.step() {
        let shared = Arc::clone(&driver.shared);
        tokio::select! {
            done = driver.requests.join_next(), if !driver.requests.is_empty() => {
                if let Some(Ok(done)) = done {
                    driver.take(done).await;
                }
            }
            () = shared.wake.notified() => {}
            changed = metadata.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = sleep_until(due.into()) => {}
        }
    }
    driver.end_sessions().await;
}

/// What a look at all partitions found to do.
#[derive(Default)]
struct Plan {
    fetches: BTreeMap<(i32, Lane), Vec<(u64, Wanted)>>,
    questions: BTreeMap<i32, Vec<Question>>,
    failed: Vec<(TopicPartition, FetchError)>,
    refresh: bool,
    held_back: bool,
    due: Option<Instant>,
}

impl Plan {
    fn due_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Driver {
    /// Sends what can be sent; returns when to look again at the latest, or `None` when the fetcher is closed.
    fn step(&mut self) -> Option<Instant> {
        let shared = Arc::clone(&self.shared);
        let now = Instant::now();
        let view = shared.cluster.metadata();
        let mut guard = shared.lock();
        let state = &mut *guard;
        if state.closed {
            return None;
        }
        let mut plan = self.plan(state, &view, now);
        for (partition, error) in plan.failed.drain(..) {
            state.fail(&partition, error);
            shared.announce(state);
        }
        state.held_back = plan.held_back;
        for (node, questions) in std::mem::take(&mut plan.questions) {
            for question in &questions {
                if let Some(partition) = state.positions.get_mut(&question.partition) {
                    partition.asked = true;
                }
            }
            let shared = Arc::clone(&shared);
            self.requests.spawn(async move {
                Done::Offsets(offsets::ask(&shared.cluster, &shared.settings, node, questions).await)
            });
        }
        self.send_fetches(state, &mut plan, now);
        drop(guard);
        if plan.refresh {
            if view.version == 0 && !self.asking_metadata {
                self.asking_metadata = true;
                let shared = Arc::clone(&shared);
                let until = tokio::time::Instant::now() + shared.cluster.settings().request_timeout;
                self.requests.spawn(async move { Done::NoMetadata(shared.cluster.refreshed(until).await.err()) });
            } else {
                shared.cluster.request_refresh();
            }
        }
        Some(plan.due.unwrap_or(now + Duration::from_secs(3600)))
    }

    fn plan(&self, state: &mut State, view: &MetadataView, now: Instant) -> Plan {
        let mut plan = Plan::default();
        let settings = self.shared.cluster.settings();
        let cap = self.partition_cap();
        let polled = state.polled;
        for (name, partition) in state.positions.iter_mut() {
            if partition.asked || matches!(partition.stage, Stage::Unset | Stage::Stopped) {
                continue;
            }
            if let Some(at) = partition.retry_at.filter(|&at| at > now) {
                let mended = partition.awaits_metadata.is_some_and(|version| view.version > version)
                    && leader(view, name, partition, now).is_ok();
                if !mended {
                    plan.due_at(at);
                    continue;
                }
            }
            if partition.stage == Stage::Lost {
                plan.failed.push((name.clone(), FetchError::NoOffset { partition: name.clone() }));
                continue;
            }
            let led = leader(view, name, partition, now);
            let moved = led.as_ref().map_or(true, |led| partition.validated_epoch < led.epoch);
            if partition.decoding > 0 && moved {
                // Its records come first, then whatever a new leader brings.
                continue;
            }
            let mut led = match led {
                Ok(led) => led,
                Err(Some(code)) => {
                    let offset = partition.fetch_offset;
                    plan.failed.push((name.clone(), FetchError::Broker { partition: name.clone(), offset, code }));
                    continue;
                }
                Err(None) => {
                    partition.failed(now, settings.retry_backoff, settings.retry_backoff_max);
                    partition.awaits_metadata = Some(view.version);
                    partition.troubled(now, view.why_leaderless(&name.topic, name.partition));
                    plan.refresh = true;
                    if let Some(at) = partition.retry_at {
                        plan.due_at(at);
                    }
                    continue;
                }
            };
            if partition.stage == Stage::Fetch && partition.validated_epoch < led.epoch {
                // What an earlier leader said of the replicas says nothing of today's.
                (partition.nearby, led.node) = (Nearby::default(), led.leader);
                if partition.fetch_epoch >= 0 && partition.fetch_epoch < led.epoch {
                    partition.stage = Stage::Validate;
                } else {
                    partition.validated_epoch = led.epoch;
                }
            }
            if partition.stage == Stage::Fetch {
                if partition.paused || !polled {
                    continue;
                }
                if partition.held_bytes + partition.decoding >= cap {
                    plan.held_back = true;
                    continue;
                }
                let lane = self.lane(led.node);
                if let Some(at_end) = partition.at_end.filter(|at_end| lane == Lane::Prompt && at_end.look_again > now)
                {
                    plan.due_at(at_end.look_again);
                    continue;
                }
                let wanted = Wanted {
                    partition: name.clone(),
                    topic_id: led.topic_id,
                    generation: partition.generation,
                    offset: partition.fetch_offset,
                    leader_epoch: led.epoch,
                    max_bytes: self.shared.settings.partition_max_bytes,
                    from_leader: partition.nearby.shunned(now),
                };
                plan.fetches.entry((led.node, lane)).or_default().push((partition.turn, wanted));
            } else {
                let question = Question::new(name.clone(), partition, led.epoch);
                plan.questions.entry(led.leader).or_default().push(question);
            }
        }
        plan
    }

    /// The lane on which a broker answers soonest.
    fn lane(&self, node: i32) -> Lane {
        let held = self.sources.get(&(node, Lane::Session)).is_some_and(|source| source.busy && source.held);
        if held { Lane::Prompt } else { Lane::Session }
    }

    /// Bytes of one partition beyond which it is not asked for.
    fn partition_cap(&self) -> usize {
        let answer = usize::try_from(self.shared.settings.partition_max_bytes).unwrap_or(1);
        answer.saturating_mul(PREFETCH_ANSWERS)
    }

    fn send_fetches(&mut self, state: &mut State, plan: &mut Plan, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        // Before what is asked for now arrives and looks for a buffer.
        shared.cluster.answers().limit_to(shared.budget.for_answers());
        let busy = self.sources.iter().filter(|(_, source)| source.busy).map(|((node, _), _)| *node);
        let brokers = busy.chain(plan.fetches.keys().map(|(node, _)| *node)).collect::<HashSet<_>>().len();
        // For both lanes of each, and in pieces: what is left of an answer keeps the whole of it.
        let share = self.shared.budget.limit() / (2 * brokers).max(PIECES);
        let share = share.min(usize::try_from(settings.max_bytes).unwrap_or(1)).max(1);
        // Less than this would come in pieces too small to be worth a request.
        let least = share.min(usize::try_from(settings.partition_max_bytes).unwrap_or(1)).min(share / 2 + 1);
        let mut keys: Vec<(i32, Lane)> = plan.fetches.keys().copied().collect();
        keys.sort_by_key(|key| self.sources.get(key).map_or(0, |source| source.turn));
        for key in keys {
            let most = self.bytes_for(plan.fetches.get(&key).map_or(0, Vec::len));
            let source = self.sources.entry(key).or_insert_with(|| Source::new(key.1));
            if source.busy {
                continue;
            }
            if let Some(at) = source.retry_at.filter(|&at| at > now) {
                plan.due_at(at);
                continue;
            }
            if self.shared.budget.room() < least && self.shared.budget.used() > 0 {
                reclaim(state);
            }
            let room = self.shared.budget.room();
            if room < least && self.shared.budget.used() > 0 {
                self.shared.budget.want();
                // Some may have come back between the look and the wish.
                if self.shared.budget.room() < least {
                    return;
                }
            }
            let Some(mut wanted) = plan.fetches.remove(&key) else { continue };
            let lease = self.shared.budget.lease_answer(share.min(self.shared.budget.room().max(1)).min(most));
            wanted.sort_unstable_by_key(|(turn, _)| *turn);
            let wanted: Vec<Wanted> = wanted.into_iter().map(|(_, wanted)| wanted).collect();
            let mut held = true;
            for one in &wanted {
                if let Some(partition) = state.positions.get_mut(&one.partition) {
                    partition.asked = true;
                    held &= settings.min_bytes > 1 || !partition.is_behind(settings.committed_only);
                }
            }
            self.turns += 1;
            (source.busy, source.held, source.turn) = (true, held, self.turns);
            let session = source.session.take();
            self.spawn_fetch(key, session, wanted, lease);
        }
    }

    /// Bytes to ask for, so that the answer and all that is kept beside it stay within a lease.
    fn bytes_within(&self, leased: usize, partitions: usize) -> usize {
        let rest = leased.saturating_sub(partitions.saturating_mul(partition_bytes())).max(leased / 2);
        (rest.saturating_mul(1000) / (1000 + self.overhead_permille)).max(1)
    }

    /// The most that an answer about so many partitions comes to, with all that is kept beside it.
    fn bytes_for(&self, partitions: usize) -> usize {
        let bytes = usize::try_from(self.shared.settings.partition_max_bytes).unwrap_or(1).saturating_mul(partitions);
        let beside = (bytes / 1000 + 1).saturating_mul(self.overhead_permille);
        bytes.saturating_add(beside).saturating_add(partitions.saturating_mul(partition_bytes()))
    }

    fn spawn_fetch(&mut self, to: (i32, Lane), session: Option<Session>, wanted: Vec<Wanted>, lease: Lease) {
        let max_bytes = self.bytes_within(lease.bytes(), wanted.len());
        let shared = Arc::clone(&self.shared);
        self.requests.spawn(async move {
            let (cluster, settings) = (&shared.cluster, &shared.settings);
            let fetched = request::fetch(cluster, settings, to, session, wanted, (lease, max_bytes)).await;
            Done::Fetched(Box::new(fetched))
        });
    }

    /// Takes in what a request came to.
    async fn take(&mut self, done: Done) {
        match done {
            Done::Fetched(fetched) => self.take_fetched(*fetched).await,
            Done::Offsets(replies) => {
                let shared = Arc::clone(&self.shared);
                let mut state = shared.lock();
                let mut refresh = false;
                for (name, generation, reply) in replies {
                    refresh |= offsets::apply(&shared, &mut state, &name, generation, reply);
                }
                shared.announce(&mut state);
                drop(state);
                if refresh {
                    shared.cluster.request_refresh();
                }
            }
            Done::NoMetadata(error) => {
                self.asking_metadata = false;
                if let Some(error) = error {
                    let mut state = self.shared.lock();
                    state.failure = Some(error);
                    self.shared.announce(&mut state);
                }
            }
        }
    }

    async fn take_fetched(&mut self, fetched: Fetched) {
        let shared = Arc::clone(&self.shared);
        let now = Instant::now();
        let Fetched { node, lane, wanted, mut session, outcome, latency, mut lease } = fetched;
        let source = self.sources.entry((node, lane)).or_default();
        source.busy = false;
        let (read, bytes) = match outcome {
            Ok(read) => read,
            Err(error) => {
                session.iter_mut().for_each(Session::reset);
                source.session = session;
                source.failed(now, shared.cluster.settings());
                drop(lease);
                self.fetch_failed(node, &wanted, error);
                return;
            }
        };
        // Of a session that the broker dropped: the next request opens another, at once.
        let refused = read.error != 0 && !matches!(read.error, 70 | 71 | 106);
        if !refused {
            source.succeeded(now, read.throttle_ms);
        }
        if let Some(session) = &mut session {
            match read.error {
                0 => session.answered(read.session_id),
                _ => session.forget(),
            }
        }
        source.session = session;
        lease.resize(bytes.len());
        // As long as the answer is taken apart.
        let _fields = shared.budget.lease(wanted.len().saturating_mul(FIELDS_BYTES));
        {
            let mut state = shared.lock();
            state.stats.answered(bytes.len(), latency);
            state.stats.throttled += u64::from(read.throttle_ms > 0);
            for one in &wanted {
                if let Some(partition) = state.positions.current(&one.partition, one.generation) {
                    partition.asked = false;
                }
            }
        }
        if refused {
            source.failed(now, shared.cluster.settings());
            self.fetch_refused(node, &wanted, read.error);
            return;
        }
        let frame = Arc::new(lease);
        let by_name: HashMap<_, &Wanted> =
            wanted.iter().map(|one| ((one.topic_ref(bytes.version), one.partition.partition), one)).collect();
        let nothing = read.partitions.iter().all(|answered| answered.records.is_empty());
        let answers = read.partitions.into_iter().filter_map(|answered| {
            let one = by_name.get(&(answered.topic.clone(), answered.index))?;
            answer::begin(&shared, node, one, answered, nothing)
        });
        let undecoded: Vec<_> = answers.collect();
        let overhead: usize = undecoded.iter().map(Undecoded::batches_bytes).sum();
        let permille = overhead.saturating_mul(1000) / bytes.len().max(1);
        self.overhead_permille = permille.max(self.overhead_permille - self.overhead_permille / 8);
        if bytes.len() >= DECODED_AT_ONCE_BYTES {
            if self.step().is_none() {
                return;
            }
            // The requests are written by tasks of this thread.
            yield_now().await;
        }
        for one in undecoded {
            answer::finish(&shared, one, &frame);
            // A large answer is work for long enough that other tasks of this thread should get their turn.
            yield_now().await;
        }
    }

    fn fetch_failed(&mut self, node: i32, wanted: &[Wanted], error: ClientError) {
        let mut state = self.shared.lock();
        state.stats.fetch_errors += 1;
        let (now, why) = (Instant::now(), error.to_string());
        for one in wanted {
            if let Some(partition) = state.positions.current(&one.partition, one.generation) {
                partition.asked = false;
                partition.troubled(now, why.clone());
                answer::replica_failed(&self.shared, partition, node);
            }
        }
        if error.refreshes_metadata() {
            self.shared.cluster.request_refresh();
        }
        // What waiting may mend is not told: the next attempt may go well. The rest is, as nothing will.
        if !error.retriable() && !matches!(error, ClientError::Closed) {
            state.failure = Some(error);
            self.shared.announce(&mut state);
        }
    }

    /// A broker answered a whole fetch with an error. It is tried again, as by Kafka's clients, for as long as that may take.
    fn fetch_refused(&mut self, node: i32, wanted: &[Wanted], code: i16) {
        let mut state = self.shared.lock();
        state.stats.fetch_errors += 1;
        let now = Instant::now();
        for one in wanted {
            if let Some(partition) = state.positions.current(&one.partition, one.generation) {
                partition.troubled(now, answer::why_refused(node, code));
                answer::replica_failed(&self.shared, partition, node);
            }
        }
        self.shared.cluster.request_refresh();
    }

    /// Tells brokers that the sessions are over; doesn't wait for long.
    async fn end_sessions(&mut self) {
        self.requests.abort_all();
        let mut ends = JoinSet::new();
        for ((node, _), source) in &mut self.sources {
            let Some(request) = source.session.as_mut().and_then(Session::close) else { continue };
            let shared = Arc::clone(&self.shared);
            let node = *node;
            ends.spawn(async move { request::end_session(&shared.cluster, node, request).await });
        }
        while ends.join_next().await.is_some() {}
    }
}

/// What a partition takes in an answer besides its records and batches.
fn partition_bytes() -> usize {
    FIELDS_BYTES + Chunk::overhead_bytes(0)
}

/// Who leads a partition.
struct Led {
    leader: i32,
    /// Whom to fetch from: the leader, or a replica nearby.
    node: i32,
    epoch: i32,
    topic_id: uuid::Uuid,
}

/// The error is a code that no waiting mends; `None`: nobody is known to lead it at the moment.
fn leader(view: &MetadataView, name: &TopicPartition, partition: &Partition, now: Instant) -> Result<Led, Option<i16>> {
    let topic = view.topics.get(&name.topic).ok_or(None)?;
    if HOPELESS.contains(&topic.error) {
        return Err(Some(topic.error));
    }
    let (leader, epoch) = view.leader(&name.topic, name.partition).ok_or(None)?;
    let near = partition.nearby.node(now).filter(|node| view.brokers.contains_key(node));
    Ok(Led { leader, node: near.unwrap_or(leader), epoch, topic_id: topic.id })
}

/// Drops what is buffered of paused partitions: it keeps others from being fetched. It is fetched again when they resume.
fn reclaim(state: &mut State) {
    let paused = state.positions.iter().filter(|(_, partition)| partition.paused && partition.held_bytes > 0);
    let paused: Vec<TopicPartition> = paused.map(|(name, _)| name.clone()).collect();
    for name in &paused {
        state.positions.break_off(name);
    }
    if !paused.is_empty() {
        state.drop_stale();
    }
}
