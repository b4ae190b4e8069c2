//! Commits of settled groups' members are written and answered without Python; all others are Python's.

mod net_support;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetCommitResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use net_support::{Broker, Client, frame, name, topic_id, wait_readable};
use odradek_core::clock::{Clock, ManualClock};
use odradek_core::engine::{CommittedOffset, Engine};
use odradek_core::fs::faulty::{FaultyFileSystem, Operation};
use odradek_core::record::batch::{BatchHeader, HEADER_BYTES};
use odradek_core::record::reader::Records;

const NOW_MS: i64 = 1_700_000_000_123;
const OFFSETS: &str = "__consumer_offsets";

fn broker_with(settings: &[(&str, &str)], fs: &FaultyFileSystem) -> Broker {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW_MS));
    let broker = Broker::start_with(settings, |settings: &HashMap<String, String>| {
        Engine::open_with(settings, Arc::new(fs.clone()), clock).expect("opens")
    });
    broker.create(OFFSETS, 2, &[("cleanup.policy", "compact")]);
    broker.create("t", 3, &[]);
    broker.engine.publish_apis(&[(8, 2, 10), (12, 0, 4)]);
    broker.engine.settle_group("g".to_owned(), 3, vec![("a".to_owned(), None)], 1);
    broker
}

fn broker() -> Broker {
    broker_with(&[], &FaultyFileSystem::new())
}

fn row(index: i32, offset: i64) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(offset)
}

fn commit(rows: Vec<OffsetCommitRequestPartition>) -> OffsetCommitRequest {
    OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_generation_id_or_member_epoch(3)
        .with_member_id(StrBytes::from_static_str("a"))
        .with_topics(vec![OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(rows)])
}

/// The offsets of "t" that Python is handed.
fn taken(broker: &Broker, hold: bool) -> HashMap<i32, CommittedOffset> {
    broker.engine.take_commits("g", hold).remove("t").unwrap_or_default()
}

/// Key and value of every record in the group's partition.
fn stored(broker: &Broker) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = broker.engine.read(OFFSETS, 1, 0, 1 << 20).expect("reads");
    let (mut rest, mut found) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).expect("a whole batch");
        for record in Records::new(&rest[HEADER_BYTES..header.size()], header.record_count).expect("a count") {
            let record = record.expect("a record");
            found.push((record.key.expect("a key").to_vec(), record.value.expect("a value").to_vec()));
        }
        rest = &rest[header.size()..];
    }
    found
}

/// The request goes to Python, and nothing is stored.
fn is_pythons(broker: &Broker, client: &mut Client, version: i16, request: &OffsetCommitRequest) {
    let before = broker.engine.offsets(OFFSETS, 1).expect("hosted");
    client.send(version, request);
    let asked = broker.take_request();
    assert_eq!((asked.api_key, asked.api_version), (8, version));
    let mut body = Vec::new();
    OffsetCommitResponse::default().with_throttle_time_ms(5).encode(&mut body, version).expect("encodes");
    broker.engine.respond(asked.token, Bytes::from(body));
    assert_eq!(client.receive::<OffsetCommitRequest>(version).1.throttle_time_ms, 5);
    assert_eq!(broker.engine.offsets(OFFSETS, 1).expect("hosted"), before);
}

#[test]
fn a_members_commit_is_in_the_log_when_it_is_answered_and_python_can_take_it() {
    for version in 2..=9 {
        let broker = broker();
        let mut client = broker.connect();
        let noted = row(2, 43).with_committed_leader_epoch(if version >= 6 { 9 } else { -1 });
        let request = commit(vec![row(0, 42), noted.with_committed_metadata(Some(StrBytes::from_static_str("note")))]);
        let answer = client.call(version, &request.with_retention_time_ms(-1));
        let codes: Vec<_> =
            answer.topics[0].partitions.iter().map(|row| (row.partition_index, row.error_code)).collect();
        assert_eq!((&answer.topics[0].name, codes), (&name("t"), vec![(0, 0), (2, 0)]), "version {version}");
        assert!(broker.engine.take_requests(1).is_empty(), "Python was not asked");

        let stamp = NOW_MS.to_be_bytes();
        let epoch: i32 = if version >= 6 { 9 } else { -1 };
        let id = topic_id("t");
        let tail = [&stamp[..], &[1, 0, 16], id.as_bytes()].concat();
        let key = |index: u8| [&[0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0][..], &[index]].concat();
        let plain = [&[0, 4][..], &42_i64.to_be_bytes(), &(-1_i32).to_be_bytes(), &[1], &tail].concat();
        let with_note = [&[0, 4][..], &43_i64.to_be_bytes(), &epoch.to_be_bytes(), &[5], b"note", &tail].concat();
        assert_eq!(stored(&broker), [(key(0), plain), (key(2), with_note)], "version {version}");

        let one = |offset, leader_epoch, metadata: &str| CommittedOffset {
            offset,
            leader_epoch,
            metadata: metadata.into(),
            timestamp_ms: NOW_MS,
            topic_id: id,
        };
        assert_eq!(taken(&broker, false), HashMap::from([(0, one(42, -1, "")), (2, one(43, epoch, "note"))]));
        assert!(broker.engine.take_commits("g", false).is_empty(), "they are handed over once");
        assert_eq!(broker.engine.silences("g").keys().collect::<Vec<_>>(), ["a"], "a commit is a sign of life");
    }
}

#[test]
fn what_is_not_as_usual_is_pythons() {
    let broker = broker();
    let mut client = broker.connect();
    let text = StrBytes::from_static_str;
    let mut asks = |version, request: &OffsetCommitRequest| is_pythons(&broker, &mut client, version, request);
    let good = || commit(vec![row(0, 1)]);
    asks(8, &good().with_generation_id_or_member_epoch(2));
    asks(8, &good().with_member_id(text("b")));
    asks(8, &good().with_group_id(GroupId(text("h"))));
    asks(8, &good().with_group_instance_id(Some(text("i"))));
    asks(4, &good().with_retention_time_ms(60_000));
    asks(8, &good().with_topics(vec![]));
    asks(8, &commit(vec![row(0, 1), row(3, 1)]));
    asks(8, &commit(vec![row(0, 1), row(-1, 1)]));
    let mut unknown = good();
    unknown.topics.push(unknown.topics[0].clone().with_name(name("missing")));
    asks(8, &unknown);
    let long = StrBytes::from_string("x".repeat(4_097));
    asks(8, &commit(vec![row(0, 1), row(1, 1).with_committed_metadata(Some(long))]));
    asks(8, &good().with_unknown_tagged_field(9, Bytes::from_static(b"from the future")));
    assert_eq!(stored(&broker), []);
}

#[test]
fn a_batch_that_would_be_too_large_is_pythons() {
    let broker = broker_with(&[("message.max.bytes", "300")], &FaultyFileSystem::new());
    let mut client = broker.connect();
    assert_eq!(client.call(8, &commit(vec![row(0, 1); 3])).topics[0].partitions.len(), 3);
    is_pythons(&broker, &mut client, 8, &commit(vec![row(0, 1); 4]));
}

#[test]
fn a_group_that_is_held_is_pythons_until_it_is_released() {
    let broker = broker();
    let mut client = broker.connect();
    client.call(8, &commit(vec![row(0, 1)]));
    assert_eq!(broker.engine.take_commits("g", true).len(), 1);
    is_pythons(&broker, &mut client, 8, &commit(vec![row(0, 2)]));
    broker.engine.release_commits("g");
    client.call(8, &commit(vec![row(0, 3)]));
    assert_eq!(taken(&broker, true)[&0].offset, 3);
    let _ = broker.engine.unsettle_group("g");
    is_pythons(&broker, &mut client, 8, &commit(vec![row(0, 4)]));
    assert!(broker.engine.take_commits("g", false).is_empty());
    broker.engine.release_commits("g");
}

#[test]
fn a_topic_that_was_withdrawn_gets_no_more_commits() {
    let broker = broker();
    let mut client = broker.connect();
    broker.engine.withdraw_topics(&["t".to_owned()]);
    is_pythons(&broker, &mut client, 8, &commit(vec![row(0, 1)]));
}

#[test]
fn a_commit_does_not_overtake_an_earlier_request_of_its_connection() {
    let broker = broker();
    let mut client = broker.connect();
    let stale = commit(vec![row(0, 1)]).with_generation_id_or_member_epoch(2);
    client.send_raw(&[frame(1, 8, &stale), frame(2, 8, &commit(vec![row(0, 2)]))].concat());
    for _ in 0..2 {
        let asked = broker.take_request();
        broker.engine.respond(asked.token, Bytes::from_static(&[0, 0, 0, 0, 1, 0]));
        client.receive::<OffsetCommitRequest>(8);
    }
    assert_eq!(stored(&broker), []);
}

#[test]
fn a_commit_that_can_not_be_written_is_not_acknowledged_and_not_kept() {
    let fs = FaultyFileSystem::new();
    let broker = broker_with(&[], &fs);
    let mut client = broker.connect();
    client.call(8, &commit(vec![row(0, 1)]));
    fs.fail_after(Operation::Write, 0, ErrorKind::StorageFull);
    client.send(8, &commit(vec![row(0, 2)]));
    // The event rings as well, before the request is there.
    let asked = loop {
        wait_readable(broker.engine.control_doorbell());
        if let Some(asked) = broker.engine.take_requests(1).pop() {
            break asked;
        }
    };
    assert_eq!(asked.api_key, 8, "Python tells the member");
    assert_eq!(taken(&broker, false)[&0].offset, 1);
    assert!(broker.engine.take_events().iter().any(|(kind, _)| kind == "log_dir_offline"));
}
