//! The requests that Rust decodes: which versions, which form, and the one way to decode them.

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, DeleteRecordsRequest, FetchRequest, HeartbeatRequest, ListOffsetsRequest,
    MetadataRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};
use kafka_protocol::protocol::Decodable;

use super::shape::Kind::{Array, Blob, Fixed, FixedArray, Struct, Text};
use super::shape::{Shape, WireError, between, field, since, tagged};

/// A request served in Rust.
pub trait ServedRequest: Decodable {
    /// Its API key.
    const KEY: ApiKey;
    /// Lowest version decoded here.
    const MIN_VERSION: i16;
    /// Highest version decoded here.
    const MAX_VERSION: i16;
    /// Its form in all those versions.
    const SHAPE: Shape;
}

/// Decodes a request body after proving its counts. Strings and records share `body`'s memory.
///
/// # Errors
/// What can't be true, or a value the codec refuses.
pub fn decode<R: ServedRequest>(mut body: Bytes, version: i16) -> Result<R, WireError> {
    R::SHAPE.check(version, &body)?;
    R::decode(&mut body, version).map_err(|_| WireError::BadValue)
}

macro_rules! served {
    ($request:ident, $key:ident, $min:literal..=$max:literal, flexible $flexible:literal, [$($field:expr),* $(,)?]) => {
        impl ServedRequest for $request {
            const KEY: ApiKey = ApiKey::$key;
            const MIN_VERSION: i16 = $min;
            const MAX_VERSION: i16 = $max;
            const SHAPE: Shape = Shape { flexible_from: $flexible, fields: &[$($field),*] };
        }
    };
}

served!(ProduceRequest, Produce, 3..=13, flexible 9, [
    since(3, Text),
    field(Fixed(2)),
    field(Fixed(4)),
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[field(Fixed(4)), field(Blob)])),
    ])),
]);

served!(FetchRequest, Fetch, 4..=18, flexible 12, [
    between(0, 14, Fixed(4)),
    field(Fixed(4)),
    field(Fixed(4)),
    since(3, Fixed(4)),
    since(4, Fixed(1)),
    since(7, Fixed(8)),
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[
            field(Fixed(4)),
            since(9, Fixed(4)),
            field(Fixed(8)),
            since(12, Fixed(4)),
            since(5, Fixed(8)),
            field(Fixed(4)),
            tagged(0, 17, Fixed(16)),
            tagged(1, 18, Fixed(8)),
        ])),
    ])),
    since(7, Array(&[between(7, 12, Text), since(13, Fixed(16)), field(FixedArray(4))])),
    since(11, Text),
    tagged(0, 12, Text),
    tagged(1, 15, Struct(&[field(Fixed(4)), field(Fixed(8))])),
]);

served!(ListOffsetsRequest, ListOffsets, 1..=10, flexible 6, [
    field(Fixed(4)),
    since(2, Fixed(1)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), since(4, Fixed(4)), field(Fixed(8))]))])),
    since(10, Fixed(4)),
]);

served!(MetadataRequest, Metadata, 0..=13, flexible 9, [
    field(Array(&[since(10, Fixed(16)), field(Text)])),
    since(4, Fixed(1)),
    between(8, 10, Fixed(1)),
    since(8, Fixed(1)),
]);

served!(ApiVersionsRequest, ApiVersions, 0..=4, flexible 3, [since(3, Text), since(3, Text)]);

served!(OffsetForLeaderEpochRequest, OffsetForLeaderEpoch, 2..=4, flexible 4, [
    since(3, Fixed(4)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), since(2, Fixed(4)), field(Fixed(4))]))])),
]);

served!(DeleteRecordsRequest, DeleteRecords, 0..=2, flexible 2, [
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), field(Fixed(8))]))])),
    field(Fixed(4)),
]);

served!(HeartbeatRequest, Heartbeat, 0..=4, flexible 4, [field(Text), field(Fixed(4)), field(Text), since(3, Text)]);

/// (API key, lowest, highest version) that ApiVersions advertises for Rust. Produce is advertised from 0 as Kafka does,
/// for clients that take its lowest version for a sign of what compression works; versions 0-2 are refused.
pub const ADVERTISED: [(ApiKey, i16, i16); 7] = [
    (ApiKey::Produce, 0, ProduceRequest::MAX_VERSION),
    (ApiKey::Fetch, FetchRequest::MIN_VERSION, FetchRequest::MAX_VERSION),
    (ApiKey::ListOffsets, ListOffsetsRequest::MIN_VERSION, ListOffsetsRequest::MAX_VERSION),
    (ApiKey::Metadata, MetadataRequest::MIN_VERSION, MetadataRequest::MAX_VERSION),
    (ApiKey::ApiVersions, ApiVersionsRequest::MIN_VERSION, ApiVersionsRequest::MAX_VERSION),
    (ApiKey::DeleteRecords, DeleteRecordsRequest::MIN_VERSION, DeleteRecordsRequest::MAX_VERSION),
    (ApiKey::OffsetForLeaderEpoch, OffsetForLeaderEpochRequest::MIN_VERSION, OffsetForLeaderEpochRequest::MAX_VERSION),
];

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
    use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    /// Every version of a request with something in every field: the walk ends exactly at its end, and short of it
    /// when the last byte is missing.
    fn holds<R: ServedRequest + Encodable + PartialEq + std::fmt::Debug>(make: impl Fn(i16) -> R) {
        for version in R::MIN_VERSION..=R::MAX_VERSION {
            let mut bytes = Vec::new();
            make(version).encode(&mut bytes, version).expect("encodes");
            assert_eq!(R::SHAPE.check(version, &bytes), Ok(bytes.len()), "{:?} v{version}", R::KEY);
            if let [short @ .., _] = &bytes[..] {
                assert!(R::SHAPE.check(version, short).is_err());
            }
            decode::<R>(Bytes::from(bytes), version).expect("decodes");
        }
    }

    #[test]
    fn shapes_match_the_codec() {
        let text = || StrBytes::from_static_str("text");
        let name = || TopicName(text());
        holds(|_| {
            let data = PartitionProduceData::default().with_records(Some(Bytes::from_static(b"batch")));
            let topic = TopicProduceData::default().with_name(name()).with_partition_data(vec![data; 3]);
            ProduceRequest::default().with_transactional_id(Some(text().into())).with_topic_data(vec![topic; 2])
        });
        holds(|version| {
            let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![FetchPartition::default(); 3]);
            let forgotten = ForgottenTopic::default().with_topic(name()).with_partitions(vec![1, 2]);
            let request = FetchRequest::default().with_topics(vec![topic; 2]);
            let request = if version >= 7 { request.with_forgotten_topics_data(vec![forgotten; 2]) } else { request };
            let request = if version >= 11 { request.with_rack_id(text()) } else { request };
            if version >= 12 { request.with_cluster_id(Some(text())) } else { request }
        });
        holds(|_| {
            let partitions = vec![ListOffsetsPartition::default(); 3];
            let topic = ListOffsetsTopic::default().with_name(name()).with_partitions(partitions);
            ListOffsetsRequest::default().with_topics(vec![topic; 2])
        });
        holds(|_| {
            MetadataRequest::default()
                .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name())); 3]))
        });
        holds(|version| {
            let request = ApiVersionsRequest::default();
            if version >= 3 { request.with_client_software_name(text()) } else { request }
        });
        holds(|_| {
            let partitions = vec![OffsetForLeaderPartition::default(); 3];
            let topic = OffsetForLeaderTopic::default().with_topic(name()).with_partitions(partitions);
            OffsetForLeaderEpochRequest::default().with_topics(vec![topic; 2])
        });
        holds(|_| {
            let partitions = vec![DeleteRecordsPartition::default(); 3];
            let topic = DeleteRecordsTopic::default().with_name(name()).with_partitions(partitions);
            DeleteRecordsRequest::default().with_topics(vec![topic; 2])
        });
    }

    /// Compact lengths can say more than the two bytes of old; Kafka calls that malformed.
    #[test]
    fn a_string_is_as_long_as_kafka_has_it_at_most() {
        for (length, taken) in [(32_767, true), (32_768, false)] {
            let mut bytes = Vec::new();
            let name = TopicName(StrBytes::from_string("a".repeat(length)));
            let topic = MetadataRequestTopic::default().with_name(Some(name));
            MetadataRequest::default().with_topics(Some(vec![topic])).encode(&mut bytes, 12).expect("encodes");
            assert_eq!(MetadataRequest::SHAPE.check(12, &bytes).is_ok(), taken, "{length} bytes");
        }
    }

    #[test]
    fn unknown_tagged_fields_are_walked_over() {
        let mut bytes = Vec::new();
        MetadataRequest::default()
            .with_unknown_tagged_field(9, Bytes::from_static(b"from the future"))
            .encode(&mut bytes, 12)
            .expect("encodes");
        assert_eq!(MetadataRequest::SHAPE.check(12, &bytes), Ok(bytes.len()));
    }
}
