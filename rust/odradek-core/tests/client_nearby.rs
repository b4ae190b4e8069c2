//! Reading from a replica nearby (KIP-392): which of two scripted brokers is asked, and what happens when the replica fails.

mod client_support;
mod net_support;
mod reader_support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use bytes::Bytes;
use client_support::{Conversation, PATIENCE, Peer, dead_port, versions_and};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiKey, BrokerId, FetchRequest, FetchResponse, MetadataResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use net_support::{batch, name, topic_id};
use parking_lot::{Condvar, Mutex};
use reader_support::Reader;

const LEADER: i32 = 1;
const NEARBY: i32 = 2;
const RACK: (&str, &str) = ("client.rack", "here");

/// What a broker does with a Fetch.
#[derive(Clone, Copy)]
enum Serves {
    Records,
    Error(i16),
    /// Closes the connection.
    Nothing,
}

/// What the brokers play. The log has a record at each offset below `end`, whose value is "NODE:OFFSET".
struct Script {
    end: i64,
    leader_epoch: i32,
    /// Whom the leader names to a client that has told its rack.
    preferred: i32,
    nearby: Serves,
    newest_fetch: i16,
    ports: HashMap<i32, u16>,
}

/// A Fetch that came: to which broker, from which offset on, with which rack.
type Seen = (i32, i64, String);

/// Two brokers of one cluster.
struct Pair {
    script: Arc<(Mutex<Script>, Condvar)>,
    seen: Receiver<Seen>,
    port: u16,
}

impl Pair {
    fn start() -> Self {
        let (sender, seen) = channel();
        let script = Script {
            end: 0,
            leader_epoch: 0,
            preferred: NEARBY,
            nearby: Serves::Records,
            newest_fetch: 12,
            ports: HashMap::new(),
        };
        let script = Arc::new((Mutex::new(script), Condvar::new()));
        let peer = |node| {
            let (script, sender) = (Arc::clone(&script), sender.clone());
            Peer::start(move |_, peer| serve(node, peer, &script, &sender))
        };
        let (leader, nearby) = (peer(LEADER), peer(NEARBY));
        script.0.lock().ports = HashMap::from([(LEADER, leader.port), (NEARBY, nearby.port)]);
        Self { script, seen, port: leader.port }
    }

    fn reader(&self, settings: &[(&str, &str)]) -> Reader {
        let quick = [("reconnect.backoff.ms", "1"), ("reconnect.backoff.max.ms", "10"), ("retry.backoff.ms", "1")];
        let reader = Reader::of_port(self.port, &[&quick, settings].concat());
        reader.assign(&[(0, 0)]);
        reader
    }

    /// Changes what is played; fetches that are held look again.
    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.0.lock());
        self.script.1.notify_all();
    }

    /// So many records more, which are read; who served each.
    fn read(&self, reader: &Reader, count: usize) -> Vec<i32> {
        let mut end = 0;
        self.change(|script| {
            script.end += count as i64;
            end = script.end;
        });
        let served = |(at, (_, offset, value)): (i64, (i32, i64, String))| {
            assert_eq!(offset, at, "a record is lost or comes twice");
            value.split_once(':').expect("a node and an offset").0.parse().expect("a node")
        };
        (end - count as i64..).zip(reader.read(count)).map(served).collect()
    }

    /// Reads a record at a time until `node` served one.
    fn read_until(&self, reader: &Reader, node: i32) {
        let begun = Instant::now();
        while self.read(reader, 1) != [node] {
            assert!(begun.elapsed() < PATIENCE, "broker {node} serves nothing");
        }
    }

    fn fetches(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

fn serve(node: i32, mut peer: Conversation, script: &(Mutex<Script>, Condvar), seen: &Sender<Seen>) {
    while let Some((asked, mut body)) = peer.request_with_body() {
        match ApiKey::try_from(asked.0).expect("known") {
            ApiKey::ApiVersions => {
                peer.answer(asked, &versions_and(ApiKey::Fetch, 4, script.0.lock().newest_fetch));
            }
            ApiKey::Metadata => peer.answer(asked, &metadata(&script.0.lock())),
            ApiKey::Fetch => {
                let request = FetchRequest::decode(&mut body, asked.1).expect("a Fetch");
                match answer(node, &request, script, seen) {
                    Some(answer) => peer.answer(asked, &answer),
                    None => return,
                }
            }
            other => panic!("nobody should ask for {other:?}"),
        }
    }
}

/// The answer to a Fetch, once there is one.
fn answer(
    node: i32,
    request: &FetchRequest,
    (script, changed): &(Mutex<Script>, Condvar),
    seen: &Sender<Seen>,
) -> Option<FetchResponse> {
    let Some(wanted) = request.topics.iter().flat_map(|topic| &topic.partitions).next() else {
        return Some(FetchResponse::default());
    };
    let (offset, rack) = (wanted.fetch_offset, request.rack_id.to_string());
    let mut script = script.lock();
    let _ = seen.send((node, offset, rack.clone()));
    let data = loop {
        if node == LEADER && !rack.is_empty() && script.preferred >= 0 {
            break data().with_preferred_read_replica(BrokerId(script.preferred));
        }
        match script.nearby {
            Serves::Error(code) if node == NEARBY && offset < script.end => break data().with_error_code(code),
            Serves::Nothing if node == NEARBY && offset < script.end => return None,
            _ => {}
        }
        if offset < script.end {
            let mut records = batch(&[format!("{node}:{offset}").as_bytes()]);
            records[..8].copy_from_slice(&offset.to_be_bytes());
            break data().with_high_watermark(script.end).with_records(Some(Bytes::from(records)));
        }
        assert!(!changed.wait_for(&mut script, PATIENCE).timed_out(), "nothing more happens");
    };
    let topic = FetchableTopicResponse::default().with_topic(name("orders")).with_partitions(vec![data]);
    Some(FetchResponse::default().with_responses(vec![topic]))
}

fn data() -> PartitionData {
    PartitionData::default().with_high_watermark(0).with_aborted_transactions(None).with_records(Some(Bytes::new()))
}

fn metadata(script: &Script) -> MetadataResponse {
    let brokers = script.ports.iter().map(|(&node, &port)| {
        let host = StrBytes::from_static_str("127.0.0.1");
        MetadataResponseBroker::default().with_node_id(BrokerId(node)).with_host(host).with_port(i32::from(port))
    });
    let partition = MetadataResponsePartition::default()
        .with_leader_id(BrokerId(LEADER))
        .with_leader_epoch(script.leader_epoch)
        .with_replica_nodes(vec![BrokerId(LEADER), BrokerId(NEARBY)]);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(name("orders")))
        .with_topic_id(topic_id("orders"))
        .with_partitions(vec![partition]);
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_controller_id(BrokerId(LEADER))
        .with_topics(vec![topic])
}

#[test]
fn the_replica_that_the_leader_names_for_the_rack_is_read() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK]);
    assert_eq!(pair.read(&reader, 50), [NEARBY; 50]);
    let fetches = pair.fetches();
    let at_leader: Vec<_> = fetches.iter().filter(|(node, ..)| *node == LEADER).collect();
    assert_eq!(at_leader, [&(LEADER, 0, "here".to_owned())], "the leader is asked once");
    assert!(fetches.iter().all(|(_, _, rack)| rack == "here"));
}

#[test]
fn without_a_rack_and_with_a_broker_too_old_for_one_the_leader_is_read() {
    for (settings, newest) in [(&[][..], 12), (&[RACK][..], 10)] {
        let pair = Pair::start();
        pair.change(|script| script.newest_fetch = newest);
        let reader = pair.reader(settings);
        assert_eq!(pair.read(&reader, 20), [LEADER; 20]);
        assert!(pair.fetches().iter().all(|(node, _, rack)| *node == LEADER && rack.is_empty()));
    }
}

#[test]
fn an_error_of_the_replica_has_the_leader_read_on_from_the_same_offset() {
    // Out of range, which must not reset anything, and what a replica answers that is behind, moved or gone.
    for code in [1, 3, 5, 6, 9, 56, 74, 75, 76, 78, 100, 103, -1] {
        let pair = Pair::start();
        let reader = pair.reader(&[RACK, ("auto.offset.reset", "none")]);
        assert_eq!(pair.read(&reader, 3), [NEARBY; 3]);
        pair.change(|script| script.nearby = Serves::Error(code));
        assert_eq!(pair.read(&reader, 3), [LEADER; 3], "code {code}");
    }
}

#[test]
fn a_replica_that_hangs_up_or_is_not_there_has_the_leader_read_on() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK]);
    assert_eq!(pair.read(&reader, 3), [NEARBY; 3]);
    pair.change(|script| script.nearby = Serves::Nothing);
    assert_eq!(pair.read(&reader, 3), [LEADER; 3]);

    let pair = Pair::start();
    pair.change(|script| {
        script.ports.insert(NEARBY, dead_port());
    });
    let reader = pair.reader(&[RACK]);
    assert_eq!(pair.read(&reader, 3), [LEADER; 3]);
}

#[test]
fn a_replica_that_metadata_does_not_know_has_the_leader_read() {
    let pair = Pair::start();
    pair.change(|script| script.preferred = 77);
    let reader = pair.reader(&[RACK]);
    assert_eq!(pair.read(&reader, 3), [LEADER; 3]);
}

#[test]
fn a_replica_that_failed_is_left_alone_for_a_while() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK, ("retry.backoff.max.ms", "3600000")]);
    pair.change(|script| script.nearby = Serves::Error(78));
    assert_eq!(pair.read(&reader, 200), [LEADER; 200]);
    let at_nearby = pair.fetches().iter().filter(|(node, ..)| *node == NEARBY).count();
    assert_eq!(at_nearby, 1);
}

#[test]
fn a_replica_that_has_recovered_is_read_again() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK, ("retry.backoff.max.ms", "1")]);
    pair.change(|script| script.nearby = Serves::Error(6));
    assert_eq!(pair.read(&reader, 3), [LEADER; 3]);
    pair.change(|script| script.nearby = Serves::Records);
    pair.read_until(&reader, NEARBY);
}

#[test]
fn the_leader_is_asked_anew_when_its_word_is_as_old_as_metadata_may_be() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK, ("metadata.max.age.ms", "50")]);
    assert_eq!(pair.read(&reader, 3), [NEARBY; 3]);
    pair.change(|script| script.preferred = -1);
    pair.read_until(&reader, LEADER);
}

#[test]
fn a_new_leader_epoch_has_the_leader_asked_anew() {
    let pair = Pair::start();
    let reader = pair.reader(&[RACK]);
    assert_eq!(pair.read(&reader, 3), [NEARBY; 3]);
    pair.change(|script| (script.leader_epoch, script.preferred) = (1, -1));
    reader.cluster.request_refresh();
    pair.read_until(&reader, LEADER);
}
