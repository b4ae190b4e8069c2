//! How many Produce requests a producer leaves unanswered on a connection, and in which order a broker takes its batches.
//!
//! The broker is scripted. It takes in what comes at once and answers the oldest request only when nothing has come for a
//! moment, so the most that were unanswered shows the most that the producer dares.

mod client_support;
mod net_support;

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use client_support::{Asked, Conversation, PATIENCE, Peer, metadata, topic_metadata, versions_and};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId};
use kafka_protocol::protocol::Decodable;
use net_support::{name, records, topic_id};
use odradek_core::client::producer::accumulator::NewRecord;
use odradek_core::client::producer::{Producer, Sent};
use odradek_core::record::batch::BatchHeader;
use parking_lot::Mutex;

/// Records, each in a batch and a request of its own.
const SENT: usize = 30;
/// How long nothing comes before the broker answers.
const QUIET: Duration = Duration::from_millis(5);
const NOT_ENOUGH_REPLICAS: i16 = 19;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;

/// What happens to a Produce request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Taken,
    /// Refused with an error that another attempt may mend.
    Refused,
    /// The connection ends, with what is unanswered on it.
    Cut,
}

/// The partition, as the broker has it.
struct Log {
    fate: fn(usize) -> Fate,
    /// Produce requests so far.
    requests: usize,
    /// Most that were unanswered at a time.
    most: usize,
    values: Vec<String>,
    refused_for_sequence: usize,
}

impl Log {
    /// The broker's verdict on a batch; `None`: it cuts the connection.
    fn take(&mut self, batch: &[u8]) -> Option<PartitionProduceResponse> {
        self.requests += 1;
        let verdict = PartitionProduceResponse::default();
        match (self.fate)(self.requests) {
            Fate::Cut => return None,
            Fate::Refused => return Some(verdict.with_error_code(NOT_ENOUGH_REPLICAS)),
            Fate::Taken => {}
        }
        let header = BatchHeader::parse(batch).expect("a batch");
        assert!(header.producer_epoch <= 0, "the producer gave its batches new sequences");
        if header.base_sequence >= 0 {
            let expected = i32::try_from(self.values.len()).expect("few");
            if header.base_sequence > expected {
                self.refused_for_sequence += 1;
                return Some(verdict.with_error_code(OUT_OF_ORDER_SEQUENCE));
            }
            if header.base_sequence < expected {
                return Some(verdict.with_base_offset(i64::from(header.base_sequence)));
            }
        }
        let offset = self.values.len() as i64;
        for (_, value) in records(batch) {
            self.values.push(String::from_utf8(value).expect("text"));
        }
        Some(verdict.with_base_offset(offset))
    }
}

fn serve(mut peer: Conversation, log: &Mutex<Log>) {
    let mut unanswered: VecDeque<(Asked, PartitionProduceResponse)> = VecDeque::new();
    loop {
        if !unanswered.is_empty() && is_quiet(&peer) {
            if let Some((asked, verdict)) = unanswered.pop_front() {
                let topic = TopicProduceResponse::default().with_name(name("orders"));
                let answer = topic.with_partition_responses(vec![verdict]);
                peer.answer(asked, &ProduceResponse::default().with_responses(vec![answer]));
            }
            continue;
        }
        let Some((asked, mut body)) = peer.request_with_body() else { return };
        match ApiKey::try_from(asked.0).expect("known") {
            ApiKey::ApiVersions => {
                peer.answer(asked, &versions_and(ApiKey::Produce, 3, 9));
            }
            ApiKey::Metadata => {
                let topic = topic_metadata(name("orders"), topic_id("orders"));
                peer.answer(asked, &metadata(peer.port).with_topics(vec![topic]));
            }
            ApiKey::InitProducerId => {
                peer.answer(asked, &InitProducerIdResponse::default().with_producer_id(ProducerId(9)));
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut body, asked.1).expect("a Produce");
                let data = &request.topic_data[0].partition_data;
                assert_eq!((request.topic_data.len(), data.len()), (1, 1));
                let mut log = log.lock();
                let Some(verdict) = log.take(data[0].records.as_ref().expect("a batch")) else { return };
                unanswered.push_back((asked, verdict));
                log.most = log.most.max(unanswered.len());
            }
            other => panic!("nobody should ask for {other:?}"),
        }
    }
}

/// True if nothing comes for a moment.
fn is_quiet(peer: &Conversation) -> bool {
    peer.stream.set_read_timeout(Some(QUIET)).expect("set");
    let looked = peer.stream.peek(&mut [0]);
    peer.stream.set_read_timeout(None).expect("set");
    looked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// Has a producer send the numbers from 0 on to one partition of a broker that deals with them by `fate`.
fn sent(settings: &[(&str, &str)], fate: fn(usize) -> Fate) -> Log {
    let log = Log { fate, requests: 0, most: 0, values: Vec::new(), refused_for_sequence: 0 };
    let log = Arc::new(Mutex::new(log));
    let shared = Arc::clone(&log);
    let peer = Peer::start(move |_, peer| serve(peer, &shared));
    let mut texts: BTreeMap<String, String> = [
        ("bootstrap.servers", peer.address().as_str()),
        ("batch.size", "1"),
        ("linger.ms", "0"),
        ("retry.backoff.ms", "1"),
        ("retry.backoff.max.ms", "2"),
        ("reconnect.backoff.ms", "1"),
        ("reconnect.backoff.max.ms", "2"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .into();
    texts.extend(settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    let producer = Producer::open(&texts).expect("opens");
    let (found, topic) = channel();
    let deadline = Instant::now() + PATIENCE;
    producer.find_topic("orders", 1, deadline, move |topic| found.send(topic).expect("waited for"));
    let topic = topic.recv_timeout(PATIENCE).expect("found or not").expect("a topic");
    for number in 0..SENT {
        let value = number.to_string();
        let record = NewRecord { timestamp_ms: 1, key: None, value: Some(value.as_bytes()), headers: &[] };
        let placed = producer.send(&topic, Some(0), &record, &mut None).expect("a record");
        assert!(matches!(placed, Sent::Placed(_)));
    }
    let mark = producer.flush();
    assert!(producer.shared().accumulator.outstanding.wait_until(mark, deadline), "it hangs");
    let rows = producer.shared().metrics.rows();
    producer.close();
    assert!(rows.contains(&("record_error_total", 0.0)), "{rows:?}");
    let mut log = log.lock();
    std::mem::replace(&mut *log, Log { fate, requests: 0, most: 0, values: Vec::new(), refused_for_sequence: 0 })
}

fn in_order() -> Vec<String> {
    (0..SENT).map(|number| number.to_string()).collect()
}

fn limited_to(most: &str) -> [(&str, &str); 1] {
    [("max.in.flight.requests.per.connection", most)]
}

#[test]
fn no_more_requests_are_unanswered_than_allowed_and_as_many_as_allowed_are() {
    for most in [1, 2, 3, 4, 5] {
        for idempotent in ["true", "false"] {
            let text = most.to_string();
            let settings = [&limited_to(&text)[..], &[("enable.idempotence", idempotent)]].concat();
            let log = sent(&settings, |_| Fate::Taken);
            assert_eq!((log.most, log.values), (most, in_order()), "idempotent: {idempotent}");
        }
    }
    let log = sent(&[&limited_to("9")[..], &[("enable.idempotence", "false")]].concat(), |_| Fate::Taken);
    assert_eq!((log.most, log.values), (9, in_order()));
}

#[test]
fn one_at_a_time_keeps_the_order_over_refusals_and_lost_connections() {
    let settings = [&limited_to("1")[..], &[("enable.idempotence", "false")]].concat();
    let log = sent(&settings, |request| match request {
        2 | 3 | 9 | 20 => Fate::Refused,
        1 | 5 | 10 | 11 | 25 => Fate::Cut,
        _ => Fate::Taken,
    });
    assert_eq!((log.most, log.requests, log.values), (1, SENT + 9, in_order()));
}

#[test]
fn idempotence_keeps_the_order_with_five_in_flight_over_refusals_and_lost_connections() {
    let refused = |request| if matches!(request, 7 | 8 | 20) { Fate::Refused } else { Fate::Taken };
    let log = sent(&limited_to("5"), refused);
    assert_eq!((log.most, log.values), (5, in_order()));
    assert!(log.refused_for_sequence > 0, "nothing was in flight behind what was refused");

    let cut = |request| if matches!(request, 8 | 9 | 22) { Fate::Cut } else { Fate::Taken };
    let log = sent(&limited_to("5"), cut);
    assert_eq!((log.most, log.values), (5, in_order()));
    assert!(log.requests > SENT + 3, "nothing was in flight that the broker had taken already");
}

#[test]
fn without_idempotence_what_is_in_flight_goes_before_what_is_sent_again_and_all_is_sent_once() {
    let settings = [&limited_to("5")[..], &[("enable.idempotence", "false")]].concat();
    let mut log = sent(&settings, |request| if request == 7 { Fate::Refused } else { Fate::Taken });
    assert_eq!(log.values[6..10], ["7", "8", "9", "10"]);
    log.values.sort_by_key(|value| value.parse::<usize>().expect("a number"));
    assert_eq!(log.values, in_order());
}
