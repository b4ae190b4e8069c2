//! Produce requests written by hand around the batches, so that no record is copied; answers read by `kafka-protocol`.
//!
//! Versions 3..=12 name topics; 9 is the first flexible one. Source: Kafka `ProduceRequest.json`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceResponse;

use super::batches::Batch;
use super::settings::Acks;
use crate::record::batch::{BatchError, HEADER_BYTES};
use crate::wire::primitives::put_unsigned_varint;
use crate::wire::responses;

/// Kafka's number of the API.
pub const PRODUCE: i16 = 0;
/// What this file can write.
pub const VERSIONS: RangeInclusive<i16> = 3..=12;
const FIRST_FLEXIBLE: i16 = 9;
/// Bytes that a partition takes in a request beside its batch, and a request beside its partitions and topic names; generous.
pub const PARTITION_OVERHEAD: usize = 24;

/// One partition's batch in a request.
pub struct Part {
    /// Where the sender keeps what it knows of the partition.
    pub lane: usize,
    /// The batch.
    pub batch: Batch,
}

/// What a broker says of one batch.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Kafka's error code; 0 = written.
    pub code: i16,
    /// What the broker adds to the code.
    pub message: Option<String>,
    /// Offset of the first record, -1 if it doesn't say.
    pub base_offset: i64,
    /// The broker's time, ms, where it stamped the records.
    pub append_time_ms: Option<i64>,
}

struct Writer {
    small: Vec<u8>,
    /// Where in `small` which part's records are to stand.
    cuts: Vec<(usize, Bytes)>,
    flexible: bool,
}

impl Writer {
    fn unsigned(&mut self, value: usize) {
        put_unsigned_varint(&mut self.small, value);
    }

    fn count(&mut self, count: usize) {
        if self.flexible { self.unsigned(count + 1) } else { self.int(count as i32) }
    }

    fn int(&mut self, value: i32) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    fn short(&mut self, value: i16) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    fn name(&mut self, name: &str) {
        if self.flexible {
            self.unsigned(name.len() + 1)
        } else {
            self.short(name.len() as i16)
        }
        self.small.extend_from_slice(name.as_bytes());
    }

    fn tags(&mut self) {
        if self.flexible {
            self.small.push(0);
        }
    }

    fn part(&mut self, part: &Part) -> Result<(), BatchError> {
        let (header, records) = part.batch.seal()?;
        self.int(part.batch.state.queue.index);
        self.count(HEADER_BYTES + records.len());
        self.small.extend_from_slice(&header);
        self.cuts.push((self.small.len(), records));
        self.tags();
        Ok(())
    }

    fn pieces(self) -> Vec<Bytes> {
        let small = Bytes::from(self.small);
        let mut pieces = Vec::with_capacity(self.cuts.len() * 2 + 1);
        let mut from = 0;
        for (cut, records) in self.cuts {
            pieces.push(small.slice(from..cut));
            pieces.push(records);
            from = cut;
        }
        if from < small.len() {
            pieces.push(small.slice(from..));
        }
        pieces
    }
}

/// Parts of the same topic stand together.
pub fn sort(parts: &mut [Part]) {
    parts.sort_by(|left, right| left.batch.state.queue.topic.cmp(&right.batch.state.queue.topic));
}

/// The body of a Produce request, to be written piece after piece. `parts` are sorted.
///
/// # Errors
/// [`BatchError`] for a batch over 2 GiB.
pub fn encode(parts: &[Part], version: i16, acks: Acks, timeout: Duration) -> Result<Vec<Bytes>, BatchError> {
    let flexible = version >= FIRST_FLEXIBLE;
    let small = Vec::with_capacity(64 + parts.len() * (PARTITION_OVERHEAD + HEADER_BYTES));
    let mut out = Writer { small, cuts: Vec::with_capacity(parts.len()), flexible };
    if flexible {
        out.unsigned(0)
    } else {
        out.short(-1)
    }
    out.short(acks as i16);
    out.int(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    let same_topic =
        |left: &Part, right: &Part| Arc::ptr_eq(&left.batch.state.queue.topic, &right.batch.state.queue.topic);
    out.count(parts.chunk_by(same_topic).count());
    for of_topic in parts.chunk_by(same_topic) {
        out.name(&of_topic[0].batch.state.queue.topic);
        out.count(of_topic.len());
        for part in of_topic {
            out.part(part)?;
        }
        out.tags();
    }
    out.tags();
    Ok(out.pieces())
}

/// Reads an answer: a verdict for each part, in their order; `None` where the broker says nothing of it.
///
/// # Errors
/// A sentence when the bytes are no Produce answer.
pub fn decode(answer: Bytes, version: i16, parts: &[Part]) -> Result<Vec<Option<Verdict>>, String> {
    let answer: ProduceResponse = responses::decode(answer, version).map_err(|error| error.to_string())?;
    let said: Vec<_> = answer
        .responses
        .iter()
        .flat_map(|topic| topic.partition_responses.iter().map(move |partition| (&*topic.name, partition)))
        .collect();
    let find = |at: usize, part: &Part| {
        let queue = &part.batch.state.queue;
        let is_it = |at: usize| {
            said.get(at).is_some_and(|(topic, partition)| partition.index == queue.index && ***topic == *queue.topic)
        };
        // Brokers answer in the order of the request; nothing says that they must.
        let at = if is_it(at) { Some(at) } else { (0..said.len()).find(|&at| is_it(at)) };
        at.map(|at| {
            let partition = said[at].1;
            Verdict {
                code: partition.error_code,
                message: partition.error_message.as_ref().map(ToString::to_string),
                base_offset: partition.base_offset,
                append_time_ms: (partition.log_append_time_ms >= 0).then_some(partition.log_append_time_ms),
            }
        })
    };
    Ok(parts.iter().enumerate().map(|(at, part)| find(at, part)).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use kafka_protocol::messages::{ProduceRequest, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    use super::super::test_support::{accumulator, put};
    use super::*;
    use crate::compress::Compression;
    use crate::record::batch::BatchHeader;

    fn parts() -> Vec<Part> {
        let batches = accumulator(1_000, 100_000, Duration::ZERO);
        let long = "l".repeat(200);
        let topics: Vec<std::sync::Arc<str>> = vec!["b".into(), long.as_str().into()];
        let mut parts = Vec::new();
        for (topic, index) in [(0, 0), (1, 3), (0, 7)] {
            let queue = batches.queue(&topics[topic], index, std::sync::Weak::new());
            put(&batches, &queue, format!("{topic}-{index}").as_bytes()).expect("room");
            let (batch, _) = batches.take(&queue, Instant::now(), true);
            let mut batch = batch.expect("a batch");
            batch.pack(Compression::None, None).expect("packs");
            parts.push(Part { lane: 0, batch });
        }
        sort(&mut parts);
        parts
    }

    #[test]
    fn an_independent_decoder_reads_every_version_back() {
        for version in VERSIONS {
            let parts = parts();
            let pieces = encode(&parts, version, Acks::All, Duration::from_millis(1_234)).expect("encodes");
            let mut body = Bytes::from(pieces.concat());
            let read = ProduceRequest::decode(&mut body, version).expect("decodes");
            assert!(body.is_empty(), "version {version}");
            assert_eq!((read.acks, read.timeout_ms, read.transactional_id), (-1, 1_234, None));
            let found: Vec<_> = read
                .topic_data
                .iter()
                .flat_map(|topic| topic.partition_data.iter().map(|data| (topic.name.len(), data.index, data)))
                .collect();
            assert_eq!(
                found.iter().map(|(name, index, _)| (*name, *index)).collect::<Vec<_>>(),
                [(1, 0), (1, 7), (200, 3)]
            );
            assert_eq!(read.topic_data.len(), 2);
            for (_, _, data) in found {
                let records = data.records.as_ref().expect("records");
                let (header, batch, rest) = BatchHeader::split_first(records).expect("a batch");
                crate::record::batch::check_crc(&header, batch).expect("its checksum");
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn verdicts_find_their_parts_in_whatever_order_they_come() {
        let parts = parts();
        for version in VERSIONS {
            let of = |index: i32, code| {
                PartitionProduceResponse::default()
                    .with_index(index)
                    .with_error_code(code)
                    .with_base_offset(i64::from(index))
            };
            let answer = ProduceResponse::default().with_responses(vec![
                TopicProduceResponse::default()
                    .with_name(TopicName(StrBytes::from_string("l".repeat(200))))
                    .with_partition_responses(vec![of(3, 6)]),
                TopicProduceResponse::default()
                    .with_name(TopicName(StrBytes::from_static_str("b")))
                    .with_partition_responses(vec![of(0, 0)]),
            ]);
            let mut bytes = bytes::BytesMut::new();
            answer.encode(&mut bytes, version).expect("encodes");
            let verdicts = decode(bytes.freeze(), version, &parts).expect("decodes");
            let seen: Vec<_> =
                verdicts.iter().map(|verdict| verdict.as_ref().map(|v| (v.code, v.base_offset))).collect();
            assert_eq!(seen, [Some((0, 0)), None, Some((6, 3))], "version {version}");
        }
    }

    #[test]
    fn bytes_that_are_no_answer_are_refused() {
        assert!(decode(Bytes::from_static(&[0xff; 7]), 9, &parts()).is_err());
    }
}
