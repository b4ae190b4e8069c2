//! The responses that the client decodes in Rust: their form, and the one way to decode them.
//!
//! A broker is trusted with its data, not with our memory: see [`super::shape`].

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsResponse, FetchResponse, FindCoordinatorResponse, InitProducerIdResponse, ListOffsetsResponse,
    MetadataResponse, OffsetForLeaderEpochResponse, ProduceResponse,
};
use kafka_protocol::protocol::Decodable;

use super::shape::Kind::{Array, Blob, Fixed, FixedArray, Struct, Text};
use super::shape::{Field, MAX_ANSWER_ELEMENTS, Shape, WireError, between, field, since, tagged};

/// A response that the client decodes.
pub trait GuardedResponse: Decodable {
    /// Its form in all versions that the codec knows.
    const SHAPE: Shape;
}

/// Decodes a response body after proving its counts. Strings and records share `body`'s memory.
///
/// # Errors
/// What can't be true, or a value the codec refuses.
pub fn decode<R: GuardedResponse>(mut body: Bytes, version: i16) -> Result<R, WireError> {
    R::SHAPE.check_up_to(version, &body, MAX_ANSWER_ELEMENTS)?;
    R::decode(&mut body, version).map_err(|_| WireError::BadValue)
}

macro_rules! guarded {
    ($response:ident, flexible $flexible:literal, [$($field:expr),* $(,)?]) => {
        impl GuardedResponse for $response {
            const SHAPE: Shape = Shape { flexible_from: $flexible, fields: &[$($field),*] };
        }
    };
}

const ENDPOINT: &[Field] = &[field(Fixed(4)), field(Text), field(Fixed(4)), field(Text)];
const LEADER: &[Field] = &[field(Fixed(4)), field(Fixed(4))];
const EPOCH_END: &[Field] = &[field(Fixed(4)), field(Fixed(8))];
const SNAPSHOT: &[Field] = &[field(Fixed(8)), field(Fixed(4))];
const FEATURE: &[Field] = &[field(Text), field(Fixed(2)), field(Fixed(2))];

guarded!(ApiVersionsResponse, flexible 3, [
    field(Fixed(2)),
    field(Array(&[field(Fixed(6))])),
    since(1, Fixed(4)),
    tagged(0, 3, Array(FEATURE)),
    tagged(1, 3, Fixed(8)),
    tagged(2, 3, Array(FEATURE)),
    tagged(3, 3, Fixed(1)),
]);

guarded!(MetadataResponse, flexible 9, [
    since(3, Fixed(4)),
    field(Array(&[field(Fixed(4)), field(Text), field(Fixed(4)), since(1, Text)])),
    since(2, Text),
    since(1, Fixed(4)),
    field(Array(&[
        field(Fixed(2)),
        field(Text),
        since(10, Fixed(16)),
        since(1, Fixed(1)),
        field(Array(&[
            field(Fixed(10)),
            since(7, Fixed(4)),
            field(FixedArray(4)),
            field(FixedArray(4)),
            since(5, FixedArray(4)),
        ])),
        since(8, Fixed(4)),
    ])),
    between(8, 10, Fixed(4)),
    since(13, Fixed(2)),
]);

guarded!(ProduceResponse, flexible 9, [
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[
            field(Fixed(4)),
            field(Fixed(2)),
            field(Fixed(8)),
            field(Fixed(8)),
            since(5, Fixed(8)),
            since(8, Array(&[field(Fixed(4)), field(Text)])),
            since(8, Text),
            tagged(0, 10, Struct(LEADER)),
        ])),
    ])),
    field(Fixed(4)),
    tagged(0, 10, Array(ENDPOINT)),
]);

guarded!(FetchResponse, flexible 12, [
    field(Fixed(4)),
    since(7, Fixed(2)),
    since(7, Fixed(4)),
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[
            field(Fixed(4)),
            field(Fixed(2)),
            field(Fixed(16)),
            since(5, Fixed(8)),
            field(Array(&[field(Fixed(16))])),
            since(11, Fixed(4)),
            field(Blob),
            tagged(0, 12, Struct(EPOCH_END)),
            tagged(1, 12, Struct(LEADER)),
            tagged(2, 12, Struct(SNAPSHOT)),
        ])),
    ])),
    tagged(0, 16, Array(ENDPOINT)),
]);

guarded!(ListOffsetsResponse, flexible 6, [
    since(2, Fixed(4)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(22)), since(4, Fixed(4))]))])),
]);

guarded!(InitProducerIdResponse, flexible 2, [
    field(Fixed(4)),
    field(Fixed(2)),
    field(Fixed(10)),
    since(6, Fixed(10)),
]);

guarded!(OffsetForLeaderEpochResponse, flexible 4, [
    field(Fixed(4)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(18))]))])),
]);

guarded!(FindCoordinatorResponse, flexible 3, [
    since(1, Fixed(4)),
    between(0, 3, Fixed(2)),
    between(1, 3, Text),
    between(0, 3, Fixed(4)),
    between(0, 3, Text),
    between(0, 3, Fixed(4)),
    since(4, Array(&[field(Text), field(Fixed(4)), field(Text), field(Fixed(4)), field(Fixed(2)), field(Text)])),
]);

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
        SnapshotId,
    };
    use kafka_protocol::messages::find_coordinator_response::Coordinator;
    use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::produce_response::{
        self, BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
    };
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::messages::{offset_for_leader_epoch_response as epochs, produce_response as produce};
    use kafka_protocol::protocol::{Encodable, Message, StrBytes};

    use super::*;

    fn text() -> StrBytes {
        StrBytes::from_static_str("text")
    }

    fn name() -> TopicName {
        TopicName(text())
    }

    /// Every version with something in every field: the walk ends exactly at the end, and no shorter message passes.
    fn holds<R: GuardedResponse + Encodable + Message>(make: impl Fn(i16) -> R) {
        for version in R::VERSIONS.min..=R::VERSIONS.max {
            let mut bytes = Vec::new();
            make(version).encode(&mut bytes, version).unwrap_or_else(|error| panic!("v{version}: {error}"));
            assert_eq!(R::SHAPE.check(version, &bytes), Ok(bytes.len()), "v{version}");
            for end in 0..bytes.len() {
                assert!(R::SHAPE.check(version, &bytes[..end]).is_err(), "v{version} cut at {end}");
            }
            decode::<R>(Bytes::from(bytes), version).expect("decodes");
        }
    }

    #[test]
    fn shapes_of_metadata_and_versions_match_the_codec() {
        holds(|version| {
            let answer = ApiVersionsResponse::default().with_api_keys(vec![ApiVersion::default(); 3]);
            if version < 3 {
                return answer;
            }
            answer
                .with_supported_features(vec![SupportedFeatureKey::default().with_name(text()); 2])
                .with_finalized_features_epoch(7)
                .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(text()); 2])
                .with_zk_migration_ready(true)
        });
        holds(|_| {
            let partition = MetadataResponsePartition::default()
                .with_replica_nodes(vec![BrokerId(1); 3])
                .with_isr_nodes(vec![BrokerId(1); 2])
                .with_offline_replicas(vec![BrokerId(1)]);
            let topic = MetadataResponseTopic::default().with_name(Some(name())).with_partitions(vec![partition; 2]);
            MetadataResponse::default()
                .with_cluster_id(Some(text()))
                .with_brokers(vec![MetadataResponseBroker::default().with_host(text()).with_rack(Some(text())); 2])
                .with_topics(vec![topic; 2])
        });
    }

    #[test]
    fn shapes_of_the_data_path_match_the_codec() {
        holds(|version| {
            let mut partition = PartitionProduceResponse::default();
            if version >= 8 {
                let rejected = BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(text()));
                partition = partition.with_record_errors(vec![rejected; 2]).with_error_message(Some(text()));
            }
            let mut answer = ProduceResponse::default();
            if version >= 10 {
                let leader = produce::LeaderIdAndEpoch::default().with_leader_id(BrokerId(3)).with_leader_epoch(9);
                partition = partition.with_current_leader(leader);
                answer =
                    answer.with_node_endpoints(vec![produce_response::NodeEndpoint::default().with_host(text()); 2]);
            }
            let topic = TopicProduceResponse::default().with_name(name()).with_partition_responses(vec![partition; 2]);
            answer.with_responses(vec![topic; 2])
        });
        holds(|version| {
            let mut partition = PartitionData::default()
                .with_aborted_transactions(Some(vec![AbortedTransaction::default(); 2]))
                .with_records(Some(Bytes::from_static(b"batches")));
            if version >= 12 {
                partition = partition
                    .with_diverging_epoch(EpochEndOffset::default().with_epoch(1))
                    .with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(2))
                    .with_snapshot_id(SnapshotId::default().with_epoch(3));
            }
            let topic = FetchableTopicResponse::default().with_topic(name()).with_partitions(vec![partition; 2]);
            let answer = FetchResponse::default().with_responses(vec![topic; 2]);
            if version < 16 {
                return answer;
            }
            answer.with_node_endpoints(vec![NodeEndpoint::default().with_host(text()).with_rack(Some(text())); 2])
        });
    }

    #[test]
    fn shapes_of_offsets_and_coordinators_match_the_codec() {
        holds(|_| {
            let partitions = vec![ListOffsetsPartitionResponse::default(); 2];
            let topic = ListOffsetsTopicResponse::default().with_name(name()).with_partitions(partitions);
            ListOffsetsResponse::default().with_topics(vec![topic; 2])
        });
        holds(|_| InitProducerIdResponse::default());
        holds(|_| {
            let partitions = vec![epochs::EpochEndOffset::default(); 2];
            let topic = epochs::OffsetForLeaderTopicResult::default().with_topic(name()).with_partitions(partitions);
            OffsetForLeaderEpochResponse::default().with_topics(vec![topic; 2])
        });
        holds(|version| {
            if version < 4 {
                return FindCoordinatorResponse::default().with_host(text());
            }
            let coordinator =
                Coordinator::default().with_key(text()).with_host(text()).with_error_message(Some(text()));
            FindCoordinatorResponse::default().with_coordinators(vec![coordinator; 2])
        });
    }

    #[test]
    fn a_known_tagged_field_whose_length_lies_is_refused() {
        // Fetch v12: one topic, one partition, whose tag 1 (two numbers, a struct's end) claims a single byte. The codec
        // would read all nine and take what follows, never walked, for the next fields.
        let mut bytes = vec![0; 10];
        bytes.extend([2, 1 + 4]);
        bytes.extend(b"name");
        bytes.push(2);
        bytes.extend([0; 30]); // index, error, high watermark, last stable offset, log start offset
        bytes.extend([0, 0, 0, 0, 0, 0]); // no aborted transactions, preferred replica, null records
        bytes.extend([1, 1, 1, 0]); // one tagged field: number 1, one byte
        bytes.extend([0; 2]);
        assert!(FetchResponse::SHAPE.check(12, &bytes).is_err());
        let tag_at = bytes.len() - 3;
        bytes.splice(tag_at - 1..tag_at + 1, [9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(FetchResponse::SHAPE.check(12, &bytes), Ok(bytes.len()));
    }

    #[test]
    fn a_count_of_billions_costs_nothing() {
        let mut bytes = vec![0, 0, 0, 0];
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0x07]); // brokers: 2^31 - 2
        assert!(decode::<MetadataResponse>(Bytes::from(bytes), 12).is_err());
    }
}
