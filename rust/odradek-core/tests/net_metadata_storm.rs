//! Metadata of all topics, asked again and again by many: never stale, never mixed up, and nobody is forgotten.

mod net_support;

use std::collections::BTreeSet;
use std::thread;

use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use net_support::{Broker, batch, fetch_request, fetched, produce_request};

fn all_topics() -> MetadataRequest {
    MetadataRequest::default().with_topics(None)
}

fn names(response: &MetadataResponse) -> BTreeSet<String> {
    response.topics.iter().map(|topic| topic.name.clone().expect("a name").to_string()).collect()
}

/// A broker with one I/O thread and so many topics that an answer is shared, not copied.
fn broker_of_many() -> Broker {
    let broker = Broker::start(&[("num.network.threads", "1")]);
    for number in 0..300 {
        broker.create(&format!("topic-{number:03}"), 1, &[]);
    }
    broker
}

#[test]
fn an_answer_about_all_topics_is_never_older_than_what_was_published() {
    let broker = broker_of_many();
    let mut client = broker.connect();
    for version in [1, 8, 9, 12, 13, 1, 8] {
        assert_eq!(client.call(version, &all_topics()).topics.len(), 300, "version {version}");
        assert_eq!(client.call(version, &all_topics()).topics.len(), 300, "version {version}, again");
    }
    broker.create("late", 2, &[]);
    assert!(names(&client.call(12, &all_topics())).contains("late"));
    broker.engine.withdraw_topics(&["late".to_owned(), "topic-000".to_owned()]);
    let left = names(&client.call(12, &all_topics()));
    assert!(left.len() == 299 && !left.contains("late") && !left.contains("topic-000"));
    broker.engine.publish_brokers(vec![], 7);
    let response = client.call(12, &all_topics());
    assert!(response.brokers.is_empty() && response.controller_id.0 == 7);
}

#[test]
fn what_a_request_asks_besides_is_not_answered_from_another_ones_answer() {
    let broker = broker_of_many();
    let mut client = broker.connect();
    for (of_topics, of_cluster) in [(false, false), (true, false), (false, true), (true, true), (false, false)] {
        let request = all_topics()
            .with_include_topic_authorized_operations(of_topics)
            .with_include_cluster_authorized_operations(of_cluster);
        let response = client.call(8, &request);
        assert_eq!(response.topics[0].topic_authorized_operations != i32::MIN, of_topics);
        assert_eq!(response.cluster_authorized_operations != i32::MIN, of_cluster);
    }
}

#[test]
fn an_answer_about_all_topics_keeps_its_place_behind_a_waiting_fetch() {
    let broker = broker_of_many();
    let (mut reader, mut writer) = (broker.connect(), broker.connect());
    let waiting = fetch_request("topic-007", &[(0, 0)]).with_max_wait_ms(120_000);
    let first = reader.send(12, &waiting);
    let second = reader.send(12, &all_topics());
    writer.call(9, &produce_request("topic-007", 0, batch(&[b"x"]), 1));
    let (answered, response) = reader.receive::<kafka_protocol::messages::FetchRequest>(12);
    assert!(answered == first && fetched(&response)[0].2 > 0);
    let (answered, response) = reader.receive::<MetadataRequest>(12);
    assert_eq!((answered, response.topics.len()), (second, 300));
}

#[test]
fn in_a_storm_everybody_is_answered_in_order_and_data_passes() {
    let broker = broker_of_many();
    thread::scope(|scope| {
        for _ in 0..24 {
            let mut client = broker.connect();
            scope.spawn(move || {
                // More than one ration of answers a client, sent before the first is read; some hang up half-way.
                let sent: Vec<_> = (0..30).map(|_| client.send(12, &all_topics())).collect();
                let read = if client.stream.local_addr().expect("bound").port().is_multiple_of(3) { 10 } else { 30 };
                for id in &sent[..read] {
                    let (answered, response) = client.receive::<MetadataRequest>(12);
                    assert_eq!((answered, response.topics.len()), (*id, 300));
                }
            });
        }
        let mut writer = broker.connect();
        scope.spawn(move || {
            for _ in 0..200 {
                writer.call(9, &produce_request("topic-001", 0, batch(&[b"x"]), 1));
            }
        });
    });
    assert_eq!(broker.engine.offsets("topic-001", 0).expect("hosted").2, 200);
    let mut after = broker.connect();
    assert_eq!(after.call(12, &all_topics()).topics.len(), 300, "the turn was not lost with those that hung up");
}
