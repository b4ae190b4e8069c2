//! Fetch sessions (KIP-227): only what changed is asked and told.

mod net_support;

use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use net_support::{Broker, Client, batch, fetch_request, fetch_topic, fetched, name, topic_id};

fn open_session(client: &mut Client, version: i16) -> i32 {
    let request = fetch_request("orders", &[(0, 0), (1, 0), (2, 0)]).with_session_epoch(0);
    let response = client.call(version, &request);
    assert_eq!(fetched(&response), [(0, 0, 0), (1, 0, 0), (2, 0, 0)], "the first answer names all");
    assert!(response.session_id > 0);
    response.session_id
}

fn next(session_id: i32, epoch: i32) -> FetchRequest {
    fetch_request("orders", &[]).with_topics(vec![]).with_session_id(session_id).with_session_epoch(epoch)
}

#[test]
fn an_incremental_fetch_tells_only_what_is_new() {
    let broker = Broker::start(&[]);
    broker.create("orders", 3, &[]);
    for version in [7, 12, 13] {
        let mut client = broker.connect();
        let request = fetch_request("orders", &[(0, 0), (1, 0), (2, 0)]).with_session_epoch(-1);
        let start: Vec<_> = client.call(version, &request).responses[0]
            .partitions
            .iter()
            .map(|partition| (partition.partition_index, partition.high_watermark))
            .collect();
        let session = client.call(version, &fetch_request("orders", &start).with_session_epoch(0)).session_id;
        let nothing = client.call(version, &next(session, 1));
        assert_eq!((nothing.error_code, nothing.session_id), (0, session));
        assert!(nothing.responses.is_empty(), "v{version}: nothing is new");
        client.produce("orders", 1, batch(&[b"a"]));
        let length = batch(&[b"a"]).len();
        assert_eq!(fetched(&client.call(version, &next(session, 2))), [(1, 0, length)]);
        assert_eq!(fetched(&client.call(version, &next(session, 3))), [(1, 0, length)], "not moved on, told again");
        let mut moved = next(session, 4);
        moved.topics = vec![fetch_topic("orders", &[(1, start[1].1 + 1)])];
        assert!(client.call(version, &moved).responses.is_empty());
        let mut forget = next(session, 5);
        forget.forgotten_topics_data = vec![
            ForgottenTopic::default()
                .with_topic(name("orders"))
                .with_topic_id(topic_id("orders"))
                .with_partitions(vec![2]),
        ];
        client.produce("orders", 2, batch(&[b"b"]));
        assert!(client.call(version, &forget).responses.is_empty(), "forgotten");
    }
}

#[test]
fn a_session_long_polls_and_outlives_its_connection() {
    let broker = Broker::start(&[]);
    broker.create("orders", 3, &[]);
    let mut client = broker.connect();
    let session = open_session(&mut client, 12);
    drop(client);
    let (mut client, mut producer) = (broker.connect(), broker.connect());
    client.send(12, &next(session, 1).with_max_wait_ms(15_000));
    producer.produce("orders", 2, batch(&[b"a"]));
    let (_, response) = client.receive::<FetchRequest>(12);
    assert_eq!(fetched(&response), [(2, 0, batch(&[b"a"]).len())]);
}

#[test]
fn a_wrong_session_or_epoch_is_an_error_of_the_whole_answer() {
    let broker = Broker::start(&[]);
    broker.create("orders", 3, &[]);
    let mut client = broker.connect();
    let session = open_session(&mut client, 12);
    let mut error = |version, request: &FetchRequest| {
        let response = client.call(version, request);
        assert!(response.responses.is_empty());
        response.error_code
    };
    assert_eq!(error(12, &next(session, 5)), 71);
    assert_eq!(error(12, &next(session ^ 1, 1)), 70);
    assert_eq!(error(13, &next(session, 1)), 106, "by name first, by id now");
    assert_eq!(error(12, &next(session, 1)), 0);
    let mut full = fetch_request("orders", &[(0, 0)]).with_session_id(session);
    full.session_epoch = -1;
    assert_eq!(client.call(12, &full).session_id, 0, "epoch -1 ends the session");
    assert_eq!(client.call(12, &next(session, 2)).error_code, 70);
}

#[test]
fn a_client_without_room_for_a_session_is_served_without_one() {
    let broker = Broker::start(&[("max.incremental.fetch.session.cache.slots", "1")]);
    broker.create("orders", 3, &[]);
    let (mut first, mut second) = (broker.connect(), broker.connect());
    let session = open_session(&mut first, 12);
    let request = fetch_request("orders", &[(0, 0), (1, 0), (2, 0)]).with_session_epoch(0);
    let response = second.call(12, &request);
    assert_eq!((response.session_id, fetched(&response).len()), (0, 3));
    assert_eq!(first.call(12, &next(session, 1)).error_code, 0);
}

#[test]
fn a_byte_limit_starves_no_partition_of_a_session() {
    let broker = Broker::start(&[]);
    broker.create("orders", 3, &[]);
    let mut client = broker.connect();
    for index in 0..3 {
        client.produce("orders", index, batch(&[b"0123456789"]));
    }
    let request = fetch_request("orders", &[(0, 0), (1, 0), (2, 0)]).with_session_epoch(0).with_max_bytes(1);
    let session = client.call(12, &request).session_id;
    let mut served = Vec::new();
    for epoch in 1..=3 {
        let response = client.call(12, &next(session, epoch).with_max_bytes(1));
        served.extend(fetched(&response).iter().filter(|(_, _, length)| *length > 0).map(|(index, ..)| *index));
    }
    served.sort_unstable();
    assert_eq!(served, [0, 1, 2]);
}

#[test]
fn a_partition_named_often_is_answered_once_as_it_was_named_last() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    for value in [b"a", b"b", b"c"] {
        client.produce("orders", 0, batch(&[value]));
    }
    let one = batch(&[b"a"]).len();
    let wanted = [(0, 0), (1, 0), (0, 1), (1, 0), (0, 2)];
    for version in [11, 12] {
        let response = client.call(version, &fetch_request("orders", &wanted));
        assert_eq!(fetched(&response), [(0, 0, one), (1, 0, 0)], "v{version}");
    }
}
