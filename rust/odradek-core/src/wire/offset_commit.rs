//! OffsetCommit as far as Rust serves it: what a request says, read in place, and the answer that has no error.
//!
//! Not here: which requests Rust answers and what becomes of the offsets (`net::commits`), and everything that is out of
//! the ordinary. [`read`] has no errors of its own: what it can't read, tagged fields too, is Python's to judge.
//!
//! ```text
//! request   group string, generation int32, member string, [instance nullable string: 7+], [retention int64: 2-4],
//!           topics array of: name string, or from 10 on id 16 bytes; partitions array of:
//!             index int32, offset int64, [leader epoch int32: 6+], metadata nullable string
//! answer    [throttle int32: 3+], topics array of: name or id; partitions array of: index int32, error int16
//! ```
//! From version 8 on lengths are varints and each struct ends with its tagged fields.
//! Source: Kafka `OffsetCommitRequest.json`, `OffsetCommitResponse.json`.

use uuid::Uuid;

use super::fields::Fields;
use super::primitives::put_unsigned_varint;

/// Versions read here.
pub const VERSIONS: std::ops::RangeInclusive<i16> = 2..=10;
const FLEXIBLE_FROM: i16 = 8;
const IDS_FROM: i16 = 10;
/// No partition takes less.
const MIN_PARTITION_BYTES: usize = 14;

/// An OffsetCommit request; borrows from the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRequest<'a> {
    /// Group id.
    pub group: &'a str,
    /// Generation of a classic group, or a member's epoch.
    pub generation: i32,
    /// Member id.
    pub member: &'a str,
    /// `group.instance.id`.
    pub instance: Option<&'a str>,
    /// How long to keep the offsets, ms; negative = as the broker has it.
    pub retention_ms: i64,
    /// What to commit.
    pub topics: Vec<CommitTopic<'a>>,
}

/// How a request names a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// Versions 2 to 9.
    Name(&'a str),
    /// Version 10.
    Id(Uuid),
}

/// One topic of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic<'a> {
    /// Which.
    pub topic: TopicRef<'a>,
    /// Its partitions.
    pub partitions: Vec<CommitPartition<'a>>,
}

/// One offset to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPartition<'a> {
    /// Partition number.
    pub index: i32,
    /// The offset.
    pub offset: i64,
    /// Leader epoch, -1 = not given.
    pub leader_epoch: i32,
    /// Metadata; null is "".
    pub metadata: &'a str,
}

/// Reads a request's body; `None` when it is anything but a plain request of one of [`VERSIONS`] to its last byte.
#[must_use]
pub fn read(version: i16, body: &[u8]) -> Option<CommitRequest<'_>> {
    if !VERSIONS.contains(&version) {
        return None;
    }
    let mut fields = Fields::new(body, version >= FLEXIBLE_FROM);
    let request = CommitRequest {
        group: fields.text()??,
        generation: fields.int()?,
        member: fields.text()??,
        instance: if version >= 7 { fields.text()? } else { None },
        retention_ms: if version <= 4 { fields.long()? } else { -1 },
        topics: topics(&mut fields, version)?,
    };
    fields.end()?;
    Some(request)
}

/// Appends the body of an answer without any error.
pub fn write_answer(out: &mut Vec<u8>, version: i16, topics: &[CommitTopic<'_>]) {
    let flexible = version >= FLEXIBLE_FROM;
    let put_tags = |out: &mut Vec<u8>| out.extend_from_slice(if flexible { &[0] } else { &[] });
    if version >= 3 {
        out.extend_from_slice(&[0; 4]);
    }
    put_count(out, topics.len(), flexible);
    for topic in topics {
        match topic.topic {
            TopicRef::Id(id) => out.extend_from_slice(id.as_bytes()),
            TopicRef::Name(name) => {
                if flexible {
                    put_unsigned_varint(out, name.len() + 1);
                } else {
                    out.extend_from_slice(&(name.len() as u16).to_be_bytes()); // as it was read
                }
                out.extend_from_slice(name.as_bytes());
            }
        }
        put_count(out, topic.partitions.len(), flexible);
        for partition in &topic.partitions {
            out.extend_from_slice(&partition.index.to_be_bytes());
            out.extend_from_slice(&[0; 2]);
            put_tags(out);
        }
        put_tags(out);
    }
    put_tags(out);
}

fn put_count(out: &mut Vec<u8>, count: usize, flexible: bool) {
    if flexible {
        put_unsigned_varint(out, count + 1);
    } else {
        out.extend_from_slice(&(count as u32).to_be_bytes()); // as it was read
    }
}

fn topics<'a>(fields: &mut Fields<'a>, version: i16) -> Option<Vec<CommitTopic<'a>>> {
    let mut topics = Vec::new();
    for _ in 0..fields.count()? {
        let topic = if version >= IDS_FROM {
            TopicRef::Id(Uuid::from_bytes(fields.bytes()?))
        } else {
            TopicRef::Name(fields.text()??)
        };
        topics.push(CommitTopic { topic, partitions: partitions(fields, version)? });
        fields.no_tags()?;
    }
    Some(topics)
}

fn partitions<'a>(fields: &mut Fields<'a>, version: i16) -> Option<Vec<CommitPartition<'a>>> {
    let count = fields.count()?;
    let mut partitions = Vec::with_capacity(count.min(fields.remaining() / MIN_PARTITION_BYTES));
    for _ in 0..count {
        partitions.push(CommitPartition {
            index: fields.int()?,
            offset: fields.long()?,
            leader_epoch: if version >= 6 { fields.int()? } else { -1 },
            metadata: fields.text()?.unwrap_or_default(),
        });
        fields.no_tags()?;
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetCommitResponse, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    type Row = (i32, i64, i32, Option<String>);
    type Rows = Vec<(String, Vec<Row>)>;

    fn partition((index, offset, epoch, metadata): &Row, version: i16) -> OffsetCommitRequestPartition {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*index)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(if version >= 6 { *epoch } else { -1 })
            .with_committed_metadata(metadata.as_deref().map(text))
    }

    fn codecs(version: i16, group: &str, member: &str, instance: Option<&str>, rows: &Rows) -> OffsetCommitRequest {
        let topic = |(name, partitions): &(String, Vec<Row>)| {
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions.iter().map(|row| partition(row, version)).collect())
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(7)
            .with_member_id(text(member))
            .with_topics(rows.iter().map(topic).collect());
        let request = if version <= 4 { request.with_retention_time_ms(99) } else { request };
        if version >= 7 { request.with_group_instance_id(instance.map(text)) } else { request }
    }

    fn encoded(message: &impl Encodable, version: i16) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes, version).expect("encodes");
        bytes
    }

    fn rows() -> impl Strategy<Value = Rows> {
        let row = (any::<i32>(), any::<i64>(), any::<i32>(), option::of(".{0,200}"));
        vec((".{0,200}", vec(row, 0..200)), 0..4)
    }

    proptest! {
        #[test]
        fn a_request_is_read_and_answered_as_the_codec_has_it(
            version in 2..=9_i16, group in ".{0,200}", member in ".{0,20}", instance in option::of(".{0,20}"), rows in rows(),
        ) {
            let bytes = encoded(&codecs(version, &group, &member, instance.as_deref(), &rows), version);
            let request = read(version, &bytes).expect("is plain");
            prop_assert_eq!((request.group, request.generation, request.member), (&*group, 7, &*member));
            prop_assert_eq!(request.instance, instance.as_deref().filter(|_| version >= 7));
            prop_assert_eq!(request.retention_ms, if version <= 4 { 99 } else { -1 });
            let expected: Vec<_> = rows.iter().map(|(name, partitions)| CommitTopic {
                topic: TopicRef::Name(name),
                partitions: partitions.iter().map(|(index, offset, epoch, metadata)| CommitPartition {
                    index: *index,
                    offset: *offset,
                    leader_epoch: if version >= 6 { *epoch } else { -1 },
                    metadata: metadata.as_deref().unwrap_or_default(),
                }).collect(),
            }).collect();
            prop_assert_eq!(&request.topics, &expected);

            let mut answer = Vec::new();
            write_answer(&mut answer, version, &request.topics);
            let topics = rows.iter().map(|(name, partitions)| {
                let row = |row: &Row| OffsetCommitResponsePartition::default().with_partition_index(row.0);
                let partitions = partitions.iter().map(row).collect();
                OffsetCommitResponseTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
            });
            let theirs = OffsetCommitResponse::default().with_topics(topics.collect());
            prop_assert_eq!(answer, encoded(&theirs, version));
        }

        #[test]
        fn no_part_of_a_request_and_nothing_longer_is_one(version in 2..=9_i16, rows in rows(), at in any::<prop::sample::Index>()) {
            let mut bytes = encoded(&codecs(version, "g", "m", None, &rows), version);
            prop_assert_eq!(read(version, &bytes[..at.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(read(version, &bytes), None);
        }

        #[test]
        fn any_bytes_are_read_without_harm(version in -1..=12_i16, bytes in vec(any::<u8>(), 0..200)) {
            let _ = read(version, &bytes);
        }

        #[test]
        fn any_change_of_a_byte_is_read_without_harm(
            version in 2..=10_i16, rows in rows(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = encoded(&codecs(version.min(9), "g", "m", None, &rows), version.min(9));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = read(version, &bytes);
        }
    }

    #[test]
    fn tagged_fields_are_left_to_python() {
        let rows = vec![("t".to_owned(), vec![(0, 1, 2, None)])];
        let plain = codecs(8, "g", "m", None, &rows);
        assert!(read(8, &encoded(&plain, 8)).is_some());
        let tagged = plain.with_unknown_tagged_field(9, bytes::Bytes::from_static(b"from the future"));
        assert_eq!(read(8, &encoded(&tagged, 8)), None);
    }

    #[test]
    fn version_10_names_topics_by_id() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let mut body = vec![2, b'g', 0, 0, 0, 7, 2, b'm', 0, 2];
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(&[2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 5, 0, 0, 0, 0]);
        let request = read(10, &body).expect("is plain");
        let partitions = vec![CommitPartition { index: 3, offset: 42, leader_epoch: 5, metadata: "" }];
        assert_eq!(request.topics, [CommitTopic { topic: TopicRef::Id(id), partitions }]);
        let mut answer = Vec::new();
        write_answer(&mut answer, 10, &request.topics);
        assert_eq!(answer, [&[0, 0, 0, 0, 2], &id.as_bytes()[..], &[2, 0, 0, 0, 3, 0, 0, 0, 0, 0]].concat());
    }

    #[test]
    fn a_count_that_lies_makes_no_room() {
        let mut body = vec![2, b'g', 0, 0, 0, 7, 2, b'm', 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(read(9, &body), None);
        body[9..].copy_from_slice(&[2, 2, b't', 0xff, 0xff]);
        body.extend_from_slice(&[0xff, 0xff, 0x0f]);
        assert_eq!(read(9, &body), None);
    }
}
