//! Produce 3-13 (0-2 are advertised and refused, see `wire::requests`): append, then answer as `acks` asks.
//!
//! One batch a partition, as Kafka demands from v3 on; what stands behind a whole batch and is not whole is cut off.
//! acks=0 gets no answer, and a closed connection on error. acks=all waits, without polling, until the high watermark
//! passes what was appended; with one in-sync replica it does at once. Left out: transactions (48) and leader hints.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::resolve::{TopicKey, hosted_topic, partition};
use super::{CloseReason, reply};
use crate::log::types::{AppendInfo, AppendOrigin};
use crate::net::metrics::{Counters, count};
use crate::net::state::NetState;
use crate::partition::Partition;
use crate::record::batch::{BatchHeader, LOG_OVERHEAD, MAGIC_V2};
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::{RequestHeader, ResponseHead, finish};
use crate::wire::requests::{ServedRequest, decode};

const ACKS_ALL: i16 = -1;
const ZSTD: u8 = 4;
/// First version whose clients know zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// What became of a request.
pub enum Produced {
    /// The response is written.
    Written,
    /// acks=0: there is none.
    Silent,
    /// acks=all: followers have to catch up first.
    Waiting(Box<WaitingProduce>),
}

/// Appends and answers; `body` is the request after its header.
///
/// # Errors
/// When the request contradicts itself, or failed with acks=0.
pub fn handle(
    state: &NetState,
    counters: &Counters,
    header: &RequestHeader,
    body: Bytes,
    out: &mut Vec<u8>,
) -> Result<Produced, CloseReason> {
    let version = header.api_version;
    if version < ProduceRequest::MIN_VERSION {
        return refuse_old(header, body, out);
    }
    let request: ProduceRequest = decode(body, version)?;
    let refusal = refusal_of_all(&request);
    let mut waiting = Vec::new();
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    let call = Call { state, counters, acks: request.acks, version, refusal };
    for topic in request.topic_data {
        let appends = append_topic(&call, &topic, responses.len(), &mut waiting);
        failed |= appends.iter().any(|answer| answer.error_code != 0);
        let response = TopicProduceResponse::default().with_partition_responses(appends);
        responses.push(if version >= 13 {
            response.with_topic_id(topic.topic_id)
        } else {
            response.with_name(topic.name)
        });
    }
    if request.acks == 0 {
        return if failed { Err(CloseReason::ProduceFailed) } else { Ok(Produced::Silent) };
    }
    let response = ProduceResponse::default().with_responses(responses);
    let head = header.response_head();
    if waiting.is_empty() {
        reply(out, head, version, &response)?;
        return Ok(Produced::Written);
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    Ok(Produced::Waiting(Box::new(WaitingProduce {
        id: state.next_id(),
        head,
        version,
        response,
        deadline: Instant::now() + timeout,
        waiting,
    })))
}

/// What is wrong with the request as a whole.
fn refusal_of_all(request: &ProduceRequest) -> Option<ErrorCode> {
    if !(-1..=1).contains(&request.acks) {
        return Some(ErrorCode::InvalidRequiredAcks);
    }
    let transactional = || {
        let mut partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        partitions.any(|data| first_batch(data.records.as_ref()).is_some_and(|batch| batch.is_transactional()))
    };
    (request.transactional_id.is_none() && transactional()).then_some(ErrorCode::TransactionalIdAuthorizationFailed)
}

fn first_batch(records: Option<&Bytes>) -> Option<BatchHeader> {
    BatchHeader::parse(records?).ok().filter(|batch| batch.magic == MAGIC_V2)
}

/// What all partitions of a request share.
struct Call<'a> {
    state: &'a NetState,
    counters: &'a Counters,
    acks: i16,
    version: i16,
    refusal: Option<ErrorCode>,
}

/// Appends to the partitions of one topic; those that must wait for followers are added to `waiting`.
fn append_topic(
    call: &Call<'_>,
    topic: &TopicProduceData,
    topic_position: usize,
    waiting: &mut Vec<WaitingPartition>,
) -> Vec<PartitionProduceResponse> {
    let &Call { state, counters, acks, version, refusal } = call;
    let key = if version >= 13 { TopicKey::Id(topic.topic_id) } else { TopicKey::Name(&topic.name) };
    let hosted = hosted_topic(state, key);
    let internal = hosted.as_ref().is_some_and(|hosted| hosted.is_internal());
    let mut answers = Vec::with_capacity(topic.partition_data.len());
    for data in &topic.partition_data {
        let appended = match refusal {
            Some(error) => Err((error, None)),
            None if internal => Err((ErrorCode::InvalidTopic, None)),
            None => partition(state, hosted.as_deref(), key, data.index).map_err(|error| (error, None)).and_then(
                |partition| {
                    let info = append(state, &partition, data.records.as_ref(), acks, version)?;
                    Ok((partition, info))
                },
            ),
        };
        let answer = PartitionProduceResponse::default().with_index(data.index);
        answers.push(match appended {
            Ok((partition, info)) => {
                count(&counters.produced_bytes, data.records.as_ref().map_or(0, |records| records.len() as u64));
                let required_offset = info.last_offset + 1;
                if acks == ACKS_ALL && partition.log.high_watermark() < required_offset {
                    waiting.push(WaitingPartition {
                        topic: topic_position,
                        index: data.index,
                        partition,
                        required_offset,
                    });
                }
                answer
                    .with_base_offset(info.base_offset)
                    .with_log_append_time_ms(info.log_append_time_ms)
                    .with_log_start_offset(info.log_start_offset)
            }
            Err((error, text)) => answer
                .with_error_code(error.code())
                .with_error_message(text.map(StrBytes::from_string))
                .with_base_offset(-1),
        });
    }
    answers
}

type Refusal = (ErrorCode, Option<String>);

fn append(
    state: &NetState,
    partition: &Partition,
    records: Option<&Bytes>,
    acks: i16,
    version: i16,
) -> Result<AppendInfo, Refusal> {
    let records = records.filter(|records| !records.is_empty()).ok_or((ErrorCode::InvalidRecord, None))?;
    if let Some(batch) = first_batch(Some(records)) {
        if batch.is_transactional() {
            return Err((ErrorCode::InvalidTxnState, None));
        }
        if batch.codec() == ZSTD && version < ZSTD_SINCE {
            return Err((ErrorCode::UnsupportedCompressionType, None));
        }
        if holds_whole_batch(records, batch.size()) {
            let text = "a produce request must have exactly one record batch a partition".to_owned();
            return Err((ErrorCode::InvalidRecord, Some(text)));
        }
    }
    if acks == ACKS_ALL && partition.isr_count() < partition.log.config().min_insync_replicas {
        return Err((ErrorCode::NotEnoughReplicas, None));
    }
    partition.append(records, AppendOrigin::Client).map_err(|error| {
        let code = state.error_code(&error);
        (code, Some(error.to_string()))
    })
}

/// True when another whole batch starts at `at`.
fn holds_whole_batch(records: &[u8], at: usize) -> bool {
    let rest = records.get(at..).unwrap_or_default();
    rest.get(LOG_OVERHEAD - 4..LOG_OVERHEAD).and_then(|length| length.first_chunk::<4>()).is_some_and(|length| {
        usize::try_from(i32::from_be_bytes(*length)).is_ok_and(|length| length <= rest.len() - LOG_OVERHEAD)
    })
}

/// Versions 0-2, whose batches have other formats: each partition is refused with 35. Their body is v3's without the
/// transactional id; the answer is v3's less the fields of later versions.
fn refuse_old(header: &RequestHeader, body: Bytes, out: &mut Vec<u8>) -> Result<Produced, CloseReason> {
    let mut as_v3 = Vec::with_capacity(body.len() + 2);
    as_v3.put_i16(-1);
    as_v3.put_slice(&body);
    let request: ProduceRequest = decode(Bytes::from(as_v3), 3)?;
    if request.acks == 0 {
        return Err(CloseReason::ProduceFailed);
    }
    let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let start = header.response_head().begin(out);
    out.put_i32(count(request.topic_data.len()));
    for topic in &request.topic_data {
        out.put_i16(i16::try_from(topic.name.len()).unwrap_or(i16::MAX));
        out.put_slice(topic.name.as_bytes());
        out.put_i32(count(topic.partition_data.len()));
        for data in &topic.partition_data {
            out.put_i32(data.index);
            out.put_i16(ErrorCode::UnsupportedVersion.code());
            out.put_i64(-1);
            if header.api_version >= 2 {
                out.put_i64(-1);
            }
        }
    }
    if header.api_version >= 1 {
        out.put_i32(0);
    }
    finish(out, start, 0);
    Ok(Produced::Written)
}

struct WaitingPartition {
    /// Place of the topic in the response.
    topic: usize,
    index: i32,
    partition: Arc<Partition>,
    required_offset: i64,
}

/// An acks=all request whose batches are appended but not yet on every in-sync replica.
pub struct WaitingProduce {
    id: u64,
    head: ResponseHead,
    version: i16,
    response: ProduceResponse,
    /// When it is answered at the latest.
    pub deadline: Instant,
    waiting: Vec<WaitingPartition>,
}

impl WaitingProduce {
    /// Looks again; true when the answer can be written. Otherwise `waker` is registered for the next change.
    pub fn is_done(&mut self, waker: &Waker) -> bool {
        let id = self.id;
        let response = &mut self.response;
        self.waiting.retain(|wanted| {
            wanted.partition.waiters().register(id, waker);
            let settled = if wanted.partition.log.high_watermark() >= wanted.required_offset {
                let enough = wanted.partition.isr_count() >= wanted.partition.log.config().min_insync_replicas;
                Some(if enough { ErrorCode::None } else { ErrorCode::NotEnoughReplicasAfterAppend })
            } else if wanted.partition.is_retired() {
                Some(ErrorCode::NotLeaderOrFollower)
            } else {
                None
            };
            if let Some(error) = settled {
                wanted.partition.waiters().deregister(id);
                set_error(response, wanted, error);
            }
            settled.is_none()
        });
        self.waiting.is_empty()
    }

    /// Writes the answer; what still waits gets `REQUEST_TIMED_OUT`.
    ///
    /// # Errors
    /// When the response can't be encoded.
    pub fn write(mut self, out: &mut Vec<u8>) -> Result<(), CloseReason> {
        for wanted in &std::mem::take(&mut self.waiting) {
            wanted.partition.waiters().deregister(self.id);
            set_error(&mut self.response, wanted, ErrorCode::RequestTimedOut);
        }
        reply(out, self.head, self.version, &self.response)
    }
}

impl Drop for WaitingProduce {
    fn drop(&mut self) {
        for wanted in &self.waiting {
            wanted.partition.waiters().deregister(self.id);
        }
    }
}

fn set_error(response: &mut ProduceResponse, wanted: &WaitingPartition, error: ErrorCode) {
    let topic = response.responses.get_mut(wanted.topic);
    let answers = topic.map(|topic| topic.partition_responses.as_mut_slice()).unwrap_or_default();
    for answer in answers.iter_mut().filter(|answer| answer.index == wanted.index) {
        if error != ErrorCode::None {
            answer.error_code = error.code();
            answer.base_offset = -1;
        }
    }
}
