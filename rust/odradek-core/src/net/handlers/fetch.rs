//! Fetch 4-18: whole batches from the page cache, at once or when there are enough.
//!
//! A request becomes a [`FetchPlan`] that owns all it needs. [`FetchPlan::attempt`] looks into the logs; below `min.bytes`
//! the plan waits on its partitions and looks again when one of them changes, and when `max.wait.ms` is over it is
//! answered with what there is. What is not in the page cache it does not wait for: it says so and is attempted again
//! when it is there. Small ranges of records are loaded while they are looked through, large ones go from the file to
//! the socket.
//! Left out: reading from followers (preferred read replica is always -1), records in tiered storage.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchTopic;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::CloseReason;
use super::fetch_session::{FINAL_EPOCH, INITIAL_EPOCH, Session, WantedPartition};
use super::resolve::{TopicKey, check_epoch, hosted_topic, partition};
use crate::fs::Cold;
use crate::log::error::LogError;
use crate::log::read_buffer::{Preload, ReadBuffer};
use crate::log::types::{FileSlice, ReadBound};
use crate::net::cold_reads::{Attempts, Warmed};
use crate::net::output::FilePart;
use crate::net::state::NetState;
use crate::partition::Partition;
use crate::partition::table::HostedTopic;
use crate::wire::error_code::ErrorCode;
use crate::wire::fetch_response::{FetchResponseWriter, PartitionHead};
use crate::wire::frame::{RequestHeader, ResponseHead, finish};
use crate::wire::requests::decode;

/// Ranges of up to this many bytes are loaded, so that they are read once and one system call sends many.
const LOADED_RANGE_BYTES: usize = 256 << 10;
/// At most this much of one response is loaded.
const LOADED_TOTAL_BYTES: usize = 1 << 20;
/// Attempts of one request that found something cold, before the next one waits for the disk itself.
const MAX_COLD_ATTEMPTS: u32 = 32;

enum Mode {
    /// Every partition is answered; `session` is the one just made, if there was room.
    Full { session: Option<Arc<Mutex<Session>>> },
    /// Only partitions with news are answered.
    Incremental { session: Arc<Mutex<Session>> },
}

struct Target {
    wanted: WantedPartition,
    /// The topic's name in full, also when the request has only its id.
    name: Arc<str>,
    partition: Result<Arc<Partition>, ErrorCode>,
}

impl Target {
    fn max_bytes(&self) -> usize {
        usize::try_from(self.wanted.max_bytes).unwrap_or(0)
    }
}

/// A Fetch request, ready to be tried any number of times.
pub struct FetchPlan {
    id: u64,
    head: ResponseHead,
    version: i16,
    mode: Mode,
    targets: Vec<Target>,
    bound: ReadBound,
    min_bytes: usize,
    max_bytes: usize,
    /// When it is answered at the latest.
    pub deadline: Instant,
    registered: bool,
    attempts: Attempts,
}

/// What came of an attempt.
pub enum Attempt {
    /// It can be answered.
    Found(FetchResult),
    /// There are too few bytes; it should wait.
    TooFew,
    /// These are not in the page cache and have to be brought there first.
    Cold(Vec<Cold>),
}

/// What an attempt found.
pub struct FetchResult {
    partitions: Vec<Found>,
}

/// What there is of one partition: the records' range, and where it is loaded.
type Found = (PartitionHead, Option<(FileSlice, Option<usize>)>);

/// Reads a request.
///
/// # Errors
/// When the request contradicts itself. `Ok(Err(code))` is an answer for the client: its session is refused.
pub fn plan(
    state: &NetState,
    header: &RequestHeader,
    body: Bytes,
) -> Result<Result<FetchPlan, ErrorCode>, CloseReason> {
    let version = header.api_version;
    let request: FetchRequest = decode(body, version)?;
    let by_topic_id = version >= 13;
    let replica_id = if version >= 15 { request.replica_state.replica_id.0 } else { request.replica_id.0 };
    let wanted = wanted_partitions(&request.topics, by_topic_id);
    let mode = match (request.session_id, request.session_epoch) {
        (id, FINAL_EPOCH) => {
            state.sessions.remove(id);
            Mode::Full { session: None }
        }
        (id, INITIAL_EPOCH) => {
            state.sessions.remove(id);
            let session = if wanted.is_empty() {
                None
            } else {
                state.sessions.create(wanted.clone(), by_topic_id, replica_id >= 0)
            };
            Mode::Full { session }
        }
        (id, epoch) => match state.sessions.resume(id, epoch, by_topic_id, wanted.len()) {
            Ok(session) => Mode::Incremental { session },
            Err(error) => return Ok(Err(error)),
        },
    };
    let wanted = match &mode {
        Mode::Full { .. } => wanted,
        Mode::Incremental { session } => {
            let mut session = session.lock();
            session.update(wanted);
            session.forget(&forgotten_partitions(&request, by_topic_id));
            session.wanted()
        }
    };
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    Ok(Ok(FetchPlan {
        id: state.next_id(),
        head: header.response_head(),
        version,
        mode,
        targets: resolve(state, wanted, by_topic_id),
        bound: if request.isolation_level == 1 { ReadBound::LastStableOffset } else { ReadBound::HighWatermark },
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(request.max_bytes.min(state.config.fetch_max_bytes)).unwrap_or(0),
        deadline: Instant::now() + wait,
        registered: false,
        attempts: Attempts::at_most(MAX_COLD_ATTEMPTS),
    }))
}

/// Writes the response to a request whose session is refused.
pub fn refuse(header: &RequestHeader, error: ErrorCode, out: &mut Vec<u8>) {
    let start = header.response_head().begin(out);
    FetchResponseWriter::begin(out, header.api_version, error, 0, 0).end_struct();
    finish(out, start, 0);
}

fn wanted_partitions(topics: &[FetchTopic], by_topic_id: bool) -> Vec<WantedPartition> {
    let mut wanted = Vec::with_capacity(topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in topics {
        let name: Arc<str> = if by_topic_id { Arc::default() } else { Arc::from(topic.topic.as_str()) };
        let topic_id = if by_topic_id { topic.topic_id } else { Uuid::nil() };
        wanted.extend(topic.partitions.iter().map(|partition| WantedPartition {
            topic: Arc::clone(&name),
            topic_id,
            index: partition.partition,
            current_leader_epoch: partition.current_leader_epoch,
            fetch_offset: partition.fetch_offset,
            last_fetched_epoch: partition.last_fetched_epoch,
            max_bytes: partition.partition_max_bytes,
        }));
    }
    without_repeats(wanted)
}

/// A partition named twice counts once, as it was named last: what a request holds while it waits is bounded by the
/// partitions there are, as in Kafka's `FetchRequest.fetchData`.
fn without_repeats(mut wanted: Vec<WantedPartition>) -> Vec<WantedPartition> {
    let ascending = wanted.windows(2).all(|pair| {
        let [a, b] = pair else { return true };
        (&a.topic, a.topic_id, a.index) < (&b.topic, b.topic_id, b.index)
    });
    if ascending {
        return wanted;
    }
    let mut places = HashMap::with_capacity(wanted.len());
    let mut distinct: Vec<WantedPartition> = Vec::with_capacity(wanted.len());
    for wanted in wanted.drain(..) {
        match places.entry((Arc::clone(&wanted.topic), wanted.topic_id, wanted.index)) {
            Entry::Occupied(place) => distinct[*place.get()] = wanted,
            Entry::Vacant(place) => {
                place.insert(distinct.len());
                distinct.push(wanted);
            }
        }
    }
    distinct.shrink_to_fit();
    distinct
}

fn forgotten_partitions(request: &FetchRequest, by_topic_id: bool) -> Vec<(Arc<str>, Uuid, i32)> {
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let name: Arc<str> = if by_topic_id { Arc::default() } else { Arc::from(topic.topic.as_str()) };
        let topic_id = if by_topic_id { topic.topic_id } else { Uuid::nil() };
        forgotten.extend(topic.partitions.iter().map(|&index| (Arc::clone(&name), topic_id, index)));
    }
    forgotten
}

fn resolve(state: &NetState, wanted: Vec<WantedPartition>, by_topic_id: bool) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::with_capacity(wanted.len());
    let mut hosted: Option<Arc<HostedTopic>> = None;
    for wanted in wanted {
        let same_topic = targets
            .last()
            .is_some_and(|last| last.wanted.topic_id == wanted.topic_id && last.wanted.topic == wanted.topic);
        let key = if by_topic_id { TopicKey::Id(wanted.topic_id) } else { TopicKey::Name(&wanted.topic) };
        if !same_topic {
            hosted = hosted_topic(state, key);
        }
        let partition = partition(state, hosted.as_deref(), key, wanted.index);
        let name = hosted.as_ref().map_or_else(|| Arc::clone(&wanted.topic), |hosted| Arc::clone(&hosted.name));
        targets.push(Target { wanted, name, partition });
    }
    targets
}

impl FetchPlan {
    /// What is asked for, in order: name (empty where unknown), id (nil where asked by name) and partition.
    pub fn wanted(&self) -> impl Iterator<Item = (&Arc<str>, Uuid, i32)> {
        self.targets.iter().map(|target| (&target.name, target.wanted.topic_id, target.wanted.index))
    }

    /// The session it belongs to, 0 for none.
    pub fn session_id(&self) -> i32 {
        match &self.mode {
            Mode::Full { session } => session.as_ref().map_or(0, |session| session.lock().id),
            Mode::Incremental { session } => session.lock().id,
        }
    }

    /// Looks for records. `last` takes what there is. Small ranges are loaded into `records`.
    pub fn attempt(&self, state: &NetState, last: bool, records: &mut ReadBuffer) -> Attempt {
        // Who wants many bytes looks more often than it is answered: nothing is loaded before there are enough.
        if self.min_bytes > 1 && !last {
            let enough = self.look(state, last, None);
            if !matches!(enough, Attempt::Found(_)) {
                return enough;
            }
        }
        let used = records.used();
        let mut preload = Preload { buffer: records, max_range: LOADED_RANGE_BYTES, max_total: LOADED_TOTAL_BYTES };
        let result = self.look(state, last, Some(&mut preload));
        if !matches!(result, Attempt::Found(_)) {
            records.truncate(used);
        }
        result
    }

    /// Takes note of what became of the cold ranges that an attempt found.
    pub fn note_warmed(&mut self, warmed: Warmed) {
        self.attempts.note(warmed);
    }

    fn look(&self, state: &NetState, last: bool, mut preload: Option<&mut Preload<'_>>) -> Attempt {
        let mut partitions = Vec::with_capacity(self.targets.len());
        let (mut bytes, mut answer_now) = (0, last || self.targets.is_empty());
        let mut cold = Vec::new();
        for target in &self.targets {
            let room = self.max_bytes.saturating_sub(bytes);
            match self.read(state, target, room, bytes == 0, preload.as_deref_mut()) {
                Ok((head, slice)) => {
                    bytes += slice.as_ref().map_or(0, |(slice, _)| slice.len);
                    answer_now |= head.error != ErrorCode::None || head.diverging.is_some();
                    partitions.push((head, slice));
                }
                // The other partitions are looked at too, so that the disk is asked for everything at once; what
                // would find no room in the answer is not.
                Err(missing) => {
                    cold.push(missing);
                    bytes += target.max_bytes().min(room).max(1);
                }
            }
        }
        if !cold.is_empty() {
            Attempt::Cold(cold)
        } else if answer_now || bytes >= self.min_bytes {
            Attempt::Found(FetchResult { partitions })
        } else {
            Attempt::TooFew
        }
    }

    fn read(
        &self,
        state: &NetState,
        target: &Target,
        room: usize,
        at_least_one: bool,
        preload: Option<&mut Preload<'_>>,
    ) -> Result<Found, Cold> {
        let wanted = &target.wanted;
        let failed = |error| Ok((PartitionHead::failed(wanted.index, error), None));
        let partition = match &target.partition {
            Ok(partition) if partition.is_retired() => return failed(ErrorCode::NotLeaderOrFollower),
            Ok(partition) => partition,
            Err(error) => return failed(*error),
        };
        if let Err(error) = check_epoch(partition, wanted.current_leader_epoch) {
            return failed(error);
        }
        let log = &partition.log;
        if let Some(diverging) = self.divergence(partition, wanted) {
            let mut head = PartitionHead::failed(wanted.index, ErrorCode::None);
            head.high_watermark = log.high_watermark();
            head.last_stable_offset = log.last_stable_offset();
            head.log_start_offset = log.log_start_offset();
            head.diverging = Some(diverging);
            return Ok((head, None));
        }
        let max_bytes = target.max_bytes().min(room);
        match log.read_into(wanted.fetch_offset, max_bytes, at_least_one, self.bound, self.attempts.reach(), preload) {
            Ok(result) => {
                let head = PartitionHead {
                    index: wanted.index,
                    error: ErrorCode::None,
                    high_watermark: result.high_watermark,
                    last_stable_offset: result.last_stable_offset,
                    log_start_offset: result.log_start_offset,
                    aborted: result.aborted,
                    diverging: None,
                    current_leader: None,
                };
                Ok((head, result.slice.map(|slice| (slice, result.loaded_at))))
            }
            Err(LogError::OffsetOutOfRange { .. }) => failed(ErrorCode::OffsetOutOfRange),
            Err(error) => match error.cold() {
                Some(cold) => Err(cold.clone()),
                None => failed(state.error_code(&error)),
            },
        }
    }

    /// Where the fetcher's log leaves ours, when it told the epoch of its last batch.
    fn divergence(&self, partition: &Partition, wanted: &WantedPartition) -> Option<(i32, i64)> {
        if self.version < 12 || wanted.last_fetched_epoch < 0 {
            return None;
        }
        let (epoch, end_offset) = partition.log.end_offset_for_epoch(wanted.last_fetched_epoch)?;
        (epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset).then_some((epoch, end_offset))
    }

    /// Has `waker` woken by the next change of any partition. The caller must attempt again before it sleeps.
    pub fn register(&mut self, waker: &Waker) {
        self.registered = true;
        for target in &self.targets {
            if let Ok(partition) = &target.partition {
                partition.waiters().register(self.id, waker);
            }
        }
    }

    /// Writes the response: bytes into `out`, and the file ranges that belong in between. Returns the bytes of records.
    pub fn write(self, result: &FetchResult, out: &mut Vec<u8>, files: &mut Vec<FilePart>) -> u64 {
        let answers: Vec<_> = self.targets.iter().zip(&result.partitions).collect();
        let (session_id, answers) = match &self.mode {
            Mode::Full { session: None } => (0, answers),
            Mode::Full { session: Some(session) } => {
                let mut session = session.lock();
                for (target, (head, _)) in &answers {
                    session.tell(&target.wanted, (head.high_watermark, head.log_start_offset), true);
                }
                (session.id, answers)
            }
            Mode::Incremental { session } => {
                let mut session = session.lock();
                let news = answers.into_iter().filter(|(target, (head, slice))| {
                    let has_news = slice.is_some() || head.error != ErrorCode::None || head.diverging.is_some();
                    session.tell(&target.wanted, (head.high_watermark, head.log_start_offset), has_news)
                });
                let news: Vec<_> = news.collect();
                if let Some((target, _)) = news.iter().rev().find(|(_, (_, slice))| slice.is_some()) {
                    session.start_after(&target.wanted);
                }
                (session.id, news)
            }
        };
        let start = self.head.begin(out);
        let topics: Vec<_> = answers
            .chunk_by(|(a, _), (b, _)| a.wanted.topic_id == b.wanted.topic_id && a.wanted.topic == b.wanted.topic)
            .collect();
        let mut writer = FetchResponseWriter::begin(out, self.version, ErrorCode::None, session_id, topics.len());
        let mut from_files = 0;
        for topic in topics {
            let Some((first, _)) = topic.first() else { continue };
            writer.topic(&first.name, first.wanted.topic_id, topic.len());
            for (_, (head, slice)) in topic {
                writer.partition(head, slice.as_ref().map_or(0, |(slice, _)| slice.len));
                if let Some((slice, loaded_at)) = slice {
                    let (at, slice, loaded_at) = (writer.out.len(), slice.clone(), *loaded_at);
                    from_files += slice.len;
                    files.push(FilePart { at, slice, loaded_at });
                }
                writer.end_partition(head);
            }
            writer.end_struct();
        }
        writer.end_struct();
        finish(out, start, from_files);
        from_files as u64
    }
}

impl Drop for FetchPlan {
    fn drop(&mut self) {
        if self.registered {
            for partition in self.targets.iter().filter_map(|target| target.partition.as_ref().ok()) {
                partition.waiters().deregister(self.id);
            }
        }
    }
}
