//! Error answers on request (`net::faults`): what a client would see if every topic and partition it named had failed.
//!
//! Nothing is carried out, but a Fetch updates its session as it would have. Codes are taken as they are, whether this
//! broker would ever send them or not. Produce with acks=0 has no answer: its connection is closed, as with any error.

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::delete_records_response as deleted;
use kafka_protocol::messages::fetch_response as fetched;
use kafka_protocol::messages::list_offsets_response as listed;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_for_leader_epoch_response as ended;
use kafka_protocol::messages::produce_response as produced;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, DeleteRecordsRequest, ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::metadata::response;
use super::{CloseReason, fetch, reply};
use crate::net::state::NetState;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::{ServedRequest, decode};

/// Answers a request of an API that Rust serves with `code`; false for any other API.
///
/// # Errors
/// When the request contradicts itself, has a version that isn't served, or can have no answer.
pub fn answer(
    state: &NetState,
    header: &RequestHeader,
    body: Bytes,
    code: i16,
    out: &mut Vec<u8>,
) -> Result<bool, CloseReason> {
    match ApiKey::try_from(header.api_key) {
        Ok(ApiKey::Produce) => produce(header, body, code, out)?,
        Ok(ApiKey::Fetch) => fetch_all(state, header, body, code, out)?,
        Ok(ApiKey::Metadata) => metadata(state, header, body, code, out)?,
        Ok(ApiKey::ListOffsets) => list_offsets(header, body, code, out)?,
        Ok(ApiKey::OffsetForLeaderEpoch) => offset_for_leader_epoch(header, body, code, out)?,
        Ok(ApiKey::DeleteRecords) => delete_records(header, body, code, out)?,
        Ok(ApiKey::ApiVersions) => api_versions(header, code, out)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn request<R: ServedRequest>(header: &RequestHeader, body: Bytes) -> Result<R, CloseReason> {
    let version = header.api_version;
    if !(R::MIN_VERSION..=R::MAX_VERSION).contains(&version) {
        return Err(CloseReason::UnsupportedApi { key: header.api_key, version });
    }
    Ok(decode(body, version)?)
}

fn produce(header: &RequestHeader, body: Bytes, code: i16, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let request: ProduceRequest = request(header, body)?;
    if request.acks == 0 {
        return Err(CloseReason::ProduceFailed);
    }
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| {
            produced::PartitionProduceResponse::default()
                .with_index(data.index)
                .with_error_code(code)
                .with_base_offset(-1)
        });
        let answer = produced::TopicProduceResponse::default().with_partition_responses(partitions.collect());
        if header.api_version >= 13 { answer.with_topic_id(topic.topic_id) } else { answer.with_name(topic.name) }
    });
    let response = produced::ProduceResponse::default().with_responses(topics.collect());
    reply(out, header.response_head(), header.api_version, &response)
}

fn fetch_all(
    state: &NetState,
    header: &RequestHeader,
    body: Bytes,
    code: i16,
    out: &mut Vec<u8>,
) -> Result<(), CloseReason> {
    let version = header.api_version;
    let about_the_session =
        [ErrorCode::FetchSessionIdNotFound, ErrorCode::InvalidFetchSessionEpoch, ErrorCode::FetchSessionTopicIdError];
    if let Some(&error) = about_the_session.iter().find(|error| error.code() == code) {
        fetch::refuse(header, error, out);
        return Ok(());
    }
    let plan = match fetch::plan(state, header, body)? {
        Ok(plan) => plan,
        Err(error) => {
            fetch::refuse(header, error, out);
            return Ok(());
        }
    };
    let mut topics: Vec<fetched::FetchableTopicResponse> = Vec::new();
    for (name, topic_id, index) in plan.wanted() {
        let partition = fetched::PartitionData::default()
            .with_partition_index(index)
            .with_error_code(code)
            .with_high_watermark(-1)
            .with_records(Some(Bytes::new()));
        match topics.last_mut() {
            Some(last) if last.topic_id == topic_id && *last.topic == **name => last.partitions.push(partition),
            _ => topics.push(
                fetched::FetchableTopicResponse::default()
                    .with_topic(TopicName(StrBytes::from_string(name.to_string())))
                    .with_topic_id(topic_id)
                    .with_partitions(vec![partition]),
            ),
        }
    }
    let response = fetched::FetchResponse::default().with_session_id(plan.session_id()).with_responses(topics);
    reply(out, header.response_head(), version, &response)
}

fn metadata(
    state: &NetState,
    header: &RequestHeader,
    body: Bytes,
    code: i16,
    out: &mut Vec<u8>,
) -> Result<(), CloseReason> {
    let version = header.api_version;
    let request: MetadataRequest = request(header, body)?;
    let failed = |name: Option<TopicName>, id| {
        let name = if version < 12 { Some(name.unwrap_or_default()) } else { name };
        MetadataResponseTopic::default().with_error_code(code).with_name(name).with_topic_id(id)
    };
    let topics: Vec<_> = match request.topics {
        Some(list) if version > 0 || !list.is_empty() => {
            list.into_iter().map(|topic| failed(topic.name, topic.topic_id)).collect()
        }
        _ => {
            let all = state.snapshot.all_topics();
            let name = |topic: &str| Some(TopicName(StrBytes::from_string(topic.to_owned())));
            all.iter().map(|topic| failed(name(&topic.name), topic.id)).collect()
        }
    };
    reply(out, header.response_head(), version, &response(state, topics, false))
}

fn list_offsets(header: &RequestHeader, body: Bytes, code: i16, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let request: ListOffsetsRequest = request(header, body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            listed::ListOffsetsPartitionResponse::default()
                .with_partition_index(wanted.partition_index)
                .with_error_code(code)
        });
        listed::ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    let response = listed::ListOffsetsResponse::default().with_topics(topics.collect());
    reply(out, header.response_head(), header.api_version, &response)
}

fn offset_for_leader_epoch(
    header: &RequestHeader,
    body: Bytes,
    code: i16,
    out: &mut Vec<u8>,
) -> Result<(), CloseReason> {
    let request: OffsetForLeaderEpochRequest = request(header, body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            ended::EpochEndOffset::default()
                .with_partition(wanted.partition)
                .with_error_code(code)
                .with_leader_epoch(-1)
                .with_end_offset(-1)
        });
        ended::OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions.collect())
    });
    let response = ended::OffsetForLeaderEpochResponse::default().with_topics(topics.collect());
    reply(out, header.response_head(), header.api_version, &response)
}

fn delete_records(header: &RequestHeader, body: Bytes, code: i16, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let request: DeleteRecordsRequest = request(header, body)?;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            deleted::DeleteRecordsPartitionResult::default()
                .with_partition_index(wanted.partition_index)
                .with_low_watermark(-1)
                .with_error_code(code)
        });
        deleted::DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    let response = deleted::DeleteRecordsResponse::default().with_topics(topics.collect());
    reply(out, header.response_head(), header.api_version, &response)
}

/// Error 35 is always told in version 0, which every client reads (KIP-511).
fn api_versions(header: &RequestHeader, code: i16, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let (min, max) = (ApiVersionsRequest::MIN_VERSION, ApiVersionsRequest::MAX_VERSION);
    let ours = ApiVersion::default().with_api_key(header.api_key).with_min_version(min).with_max_version(max);
    let response = ApiVersionsResponse::default().with_error_code(code).with_api_keys(vec![ours]);
    let known = (min..=max).contains(&header.api_version) && code != ErrorCode::UnsupportedVersion.code();
    reply(out, header.response_head(), if known { header.api_version } else { 0 }, &response)
}
