//! Writes a Fetch response whose records may come straight from a file.
//!
//! `kafka-protocol`'s response type would need the records in memory, between the fields; so this one response is laid
//! out here. The tests read every version back with `kafka-protocol`.
//!
//! ```text
//! throttle ms i32 | error i16, session id i32 (v7+) | topics: name (to v12) or id (v13+) | partitions:
//!   index i32 | error i16 | high watermark i64 | last stable offset i64 | log start i64 (v5+)
//!   | aborted: nullable array of (producer id i64, first offset i64) | preferred read replica i32 (v11+) | records
//!   | tags (v12+): 0 diverging epoch, 1 current leader
//! ```
//! Lengths are compact from v12 on. Source: Kafka `FetchResponse.json`.

use bytes::BufMut;
use uuid::Uuid;

use super::error_code::ErrorCode;
use super::primitives::put_unsigned_varint;
use crate::log::types::AbortedTransaction;

/// First version with compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 12;

/// What a partition's answer says before its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionHead {
    /// Partition number.
    pub index: i32,
    /// Error.
    pub error: ErrorCode,
    /// High watermark, -1 with an error.
    pub high_watermark: i64,
    /// Last stable offset, -1 with an error.
    pub last_stable_offset: i64,
    /// Log start offset, -1 with an error.
    pub log_start_offset: i64,
    /// For `read_committed`; `None` is null.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// (epoch, end offset) where a follower's log leaves ours (KIP-595).
    pub diverging: Option<(i32, i64)>,
    /// (leader's node id, its epoch), for a client that asked the wrong broker (KIP-951).
    pub current_leader: Option<(i32, i32)>,
}

impl PartitionHead {
    /// An answer without records.
    #[must_use]
    pub fn failed(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: None,
            diverging: None,
            current_leader: None,
        }
    }
}

/// Writes the parts in order: [`Self::begin`], then for each topic [`Self::topic`], its partitions
/// ([`Self::partition`], the records' bytes, [`Self::end_partition`]), [`Self::end_struct`]; last [`Self::end_struct`].
pub struct FetchResponseWriter<'a> {
    /// Where the response goes.
    pub out: &'a mut Vec<u8>,
    version: i16,
}

impl<'a> FetchResponseWriter<'a> {
    /// Starts the body.
    pub fn begin(out: &'a mut Vec<u8>, version: i16, error: ErrorCode, session_id: i32, topics: usize) -> Self {
        let mut writer = Self { out, version };
        writer.out.put_i32(0);
        if version >= 7 {
            writer.out.put_i16(error.code());
            writer.out.put_i32(session_id);
        }
        writer.count(topics);
        writer
    }

    /// Starts a topic.
    pub fn topic(&mut self, name: &str, id: Uuid, partitions: usize) {
        if self.version >= 13 {
            self.out.put_slice(id.as_bytes());
        } else {
            if self.flexible() {
                put_unsigned_varint(self.out, name.len() + 1);
            } else {
                self.out.put_i16(i16::try_from(name.len()).unwrap_or(i16::MAX));
            }
            self.out.put_slice(name.as_bytes());
        }
        self.count(partitions);
    }

    /// Starts a partition; `records_len` bytes must follow.
    pub fn partition(&mut self, head: &PartitionHead, records_len: usize) {
        self.out.put_i32(head.index);
        self.out.put_i16(head.error.code());
        self.out.put_i64(head.high_watermark);
        self.out.put_i64(head.last_stable_offset);
        if self.version >= 5 {
            self.out.put_i64(head.log_start_offset);
        }
        match &head.aborted {
            None if self.flexible() => self.out.put_u8(0),
            None => self.out.put_i32(-1),
            Some(aborted) => {
                self.count(aborted.len());
                for transaction in aborted {
                    self.out.put_i64(transaction.producer_id);
                    self.out.put_i64(transaction.first_offset);
                    self.end_struct();
                }
            }
        }
        if self.version >= 11 {
            self.out.put_i32(-1);
        }
        self.count(records_len);
    }

    /// Ends a partition, after its records.
    pub fn end_partition(&mut self, head: &PartitionHead) {
        if !self.flexible() {
            return;
        }
        let tags = usize::from(head.diverging.is_some()) + usize::from(head.current_leader.is_some());
        put_unsigned_varint(self.out, tags);
        if let Some((epoch, end_offset)) = head.diverging {
            self.out.put_slice(&[0, 13]);
            self.out.put_i32(epoch);
            self.out.put_i64(end_offset);
            self.out.put_u8(0);
        }
        if let Some((leader_id, leader_epoch)) = head.current_leader {
            self.out.put_slice(&[1, 9]);
            self.out.put_i32(leader_id);
            self.out.put_i32(leader_epoch);
            self.out.put_u8(0);
        }
    }

    /// Ends a topic, or the response.
    pub fn end_struct(&mut self) {
        if self.flexible() {
            self.out.put_u8(0);
        }
    }

    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM
    }

    fn count(&mut self, count: usize) {
        if self.flexible() {
            put_unsigned_varint(self.out, count + 1);
        } else {
            self.out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::FetchResponse;
    use kafka_protocol::protocol::Decodable;

    use super::*;

    #[test]
    fn every_version_reads_back_with_another_codec() {
        let id = Uuid::from_u128(77);
        for version in 4..=18 {
            let mut head = PartitionHead {
                index: 3,
                error: ErrorCode::None,
                high_watermark: 10,
                last_stable_offset: 8,
                log_start_offset: 2,
                aborted: Some(vec![AbortedTransaction { producer_id: 5, first_offset: 6 }]),
                diverging: None,
                current_leader: None,
            };
            let failed = PartitionHead { diverging: Some((4, 9)), current_leader: Some((1, 7)), ..head.clone() };
            head.aborted = Some(vec![AbortedTransaction { producer_id: 5, first_offset: 6 }]);
            let mut out = Vec::new();
            let mut writer = FetchResponseWriter::begin(&mut out, version, ErrorCode::None, 9, 1);
            writer.topic("orders", id, 3);
            for head in [&head, &failed, &PartitionHead::failed(8, ErrorCode::OffsetOutOfRange)] {
                writer.partition(head, 5);
                writer.out.extend_from_slice(b"batch");
                writer.end_partition(head);
            }
            writer.end_struct();
            writer.end_struct();

            let mut bytes = Bytes::from(out);
            let response = FetchResponse::decode(&mut bytes, version).expect("decodes");
            assert!(bytes.is_empty(), "v{version} leaves bytes");
            assert_eq!(response.session_id, if version >= 7 { 9 } else { 0 });
            let topic = &response.responses[0];
            if version >= 13 {
                assert_eq!(topic.topic_id, id);
            } else {
                assert_eq!(topic.topic.as_str(), "orders");
            }
            let [first, second, third] = &topic.partitions[..] else { panic!("three partitions") };
            assert_eq!((first.partition_index, first.high_watermark, first.last_stable_offset), (3, 10, 8));
            assert_eq!(first.records.as_deref(), Some(&b"batch"[..]));
            assert_eq!(first.aborted_transactions.as_ref().map(|list| list[0].first_offset), Some(6.into()));
            assert_eq!(first.preferred_read_replica, -1);
            assert_eq!(first.current_leader.leader_id, -1, "no leader hint by accident");
            if version >= 12 {
                assert_eq!(second.diverging_epoch.end_offset, 9);
                assert_eq!(second.current_leader.leader_epoch, 7);
            }
            assert_eq!((third.error_code, third.aborted_transactions.as_ref()), (1, None));
        }
    }
}
