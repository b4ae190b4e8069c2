//! The client's transport against the real server.

mod client_support;
mod net_support;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use client_support::{PATIENCE, cluster, dead_port, on, refreshed, start};
use kafka_protocol::messages::{ApiKey, FetchRequest, ListOffsetsRequest, ProduceResponse};
use kafka_protocol::protocol::Encodable;
use net_support::{Broker, batch, fetch_request, fetched, produce_request};
use odradek_core::client::{Channel, ClientError, Node};
use odradek_core::engine::{BrokerInfo, PartitionInfo, TopicInfo};
use odradek_core::wire::responses::decode;
use tokio::time::Instant;

fn servers(broker: &Broker) -> String {
    format!("127.0.0.1:{}", broker.port)
}

/// A broker whose metadata names a port that refuses, and that port.
fn advertising_where_nobody_listens() -> (Broker, u16) {
    let broker = Broker::start(&[]);
    let wrong = dead_port();
    let advertised = BrokerInfo { node_id: 1, host: "127.0.0.1".to_owned(), port: i32::from(wrong), rack: None };
    broker.engine.publish_brokers(vec![advertised], 1);
    (broker, wrong)
}

#[test]
fn watched_topics_are_in_the_metadata_and_others_are_not() {
    let broker = Broker::start(&[]);
    let id = broker.create("seen", 3, &[]);
    broker.create("unseen", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    cluster.watch_topic("seen");
    let view = refreshed(&cluster, PATIENCE).expect("metadata");
    assert_eq!(view.topics.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["seen"]);
    assert_eq!((view.leader("seen", 2), view.leader("seen", 3)), (Some((1, 0)), None));
    assert_eq!((view.topics["seen"].id, &*view.topic_ids[&id]), (id, "seen"));
    cluster.watch_all_topics(true);
    assert_eq!(refreshed(&cluster, PATIENCE).expect("metadata").topics.len(), 2);
    cluster.watch_all_topics(false);
    cluster.unwatch_topic("seen");
    assert!(refreshed(&cluster, PATIENCE).expect("metadata").topics.is_empty());
}

#[test]
fn a_new_picture_tells_those_who_wait_for_it() {
    let broker = Broker::start(&[]);
    broker.create("t", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    let version = on(&cluster, |cluster| async move {
        let mut changed = cluster.metadata_changed();
        cluster.watch_topic("t");
        changed.changed().await.expect("the sender lives");
        *changed.borrow()
    });
    assert!(version >= 1);
    assert!(cluster.metadata().version >= version);
}

#[test]
fn bootstrap_servers_that_are_dead_are_passed_over() {
    let broker = Broker::start(&[]);
    let list = format!("127.0.0.1:{},{},127.0.0.1:{}", dead_port(), servers(&broker), dead_port());
    let cluster = cluster(&list, &[]);
    assert_eq!(refreshed(&cluster, PATIENCE).expect("metadata").brokers.len(), 1);
}

#[test]
fn no_server_at_all_is_an_error_that_lists_each_with_its_reason() {
    let (first, second) = (dead_port(), dead_port());
    let cluster = cluster(&format!("127.0.0.1:{first},127.0.0.1:{second},no-such-host.invalid:9092"), &[]);
    let error = refreshed(&cluster, Duration::from_millis(300)).expect_err("nobody is there");
    assert!(matches!(error, ClientError::NoBrokers { .. }) && error.retriable(), "{error:?}");
    let text = error.to_string();
    for part in
        [&format!("127.0.0.1:{first}: "), &format!("127.0.0.1:{second}: "), "refused", "no-such-host.invalid:9092"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_body_in_parts_arrives_as_one_request() {
    let broker = Broker::start(&[]);
    broker.create("t", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    let mut body = BytesMut::new();
    produce_request("t", 0, batch(&[b"one", b"two"]), -1).encode(&mut body, 9).expect("encodes");
    let body = body.freeze();
    let parts: Vec<Bytes> = body.chunks(7).map(|part| body.slice_ref(part)).collect();
    let answer = on(&cluster, |cluster| async move {
        cluster.call_raw(Node::Id(1), Channel::Data, ApiKey::Produce as i16, 9, parts, PATIENCE, true).await
    });
    let response: ProduceResponse = decode(answer.expect("an answer"), 9).expect("a response");
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    let (response, version) = on(&cluster, |cluster| async move {
        cluster
            .call::<FetchRequest>(Node::Id(1), Channel::Data, 4..=12, PATIENCE, |_| fetch_request("t", &[(0, 0)]))
            .await
    })
    .expect("an answer");
    assert_eq!((version, fetched(&response)[0].1), (12, 0));
    assert!(fetched(&response)[0].2 > 60);
}

#[test]
fn a_request_without_an_answer_is_done_when_it_is_written() {
    let broker = Broker::start(&[]);
    broker.create("t", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    let end = on(&cluster, |cluster| async move {
        for _ in 0..3 {
            let mut body = BytesMut::new();
            produce_request("t", 0, batch(&[b"x"]), 0).encode(&mut body, 9).expect("encodes");
            let body = vec![body.freeze()];
            let done =
                cluster.call_raw(Node::Id(1), Channel::Data, ApiKey::Produce as i16, 9, body, PATIENCE, false).await;
            assert!(done.expect("written").is_empty());
        }
        // Behind them on the same connection: its answer is not taken for one of theirs.
        cluster
            .call::<FetchRequest>(Node::Id(1), Channel::Data, 12..=12, PATIENCE, |_| fetch_request("t", &[(0, 0)]))
            .await
    });
    let (response, _) = end.expect("an answer");
    assert_eq!(response.responses[0].partitions[0].high_watermark, 3);
}

#[test]
fn many_requests_at_once_each_get_their_own_answer() {
    let broker = Broker::start(&[]);
    broker.create("t", 50, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    let waiting: Vec<_> = (0..50)
        .map(|partition| {
            start(&cluster, move |cluster| async move {
                let ask = |_| fetch_request("t", &[(partition, 0)]);
                cluster.call::<FetchRequest>(Node::Any, Channel::Data, 12..=12, PATIENCE, ask).await
            })
        })
        .collect();
    for (partition, receiver) in (0..).zip(waiting) {
        let (response, _) = receiver.recv_timeout(PATIENCE).expect("ends").expect("an answer");
        assert_eq!(fetched(&response), [(partition, 0, 0)]);
    }
}

#[test]
fn a_broker_that_lacks_the_version_is_named_with_both_ranges() {
    let broker = Broker::start(&[]);
    let cluster = cluster(&servers(&broker), &[]);
    let error = on(&cluster, |cluster| async move {
        let ask = |_| ListOffsetsRequest::default();
        cluster.call::<ListOffsetsRequest>(Node::Controller, Channel::Control, 90..=99, PATIENCE, ask).await
    })
    .expect_err("no version in common");
    assert!(matches!(error, ClientError::Unsupported { .. }) && !error.retriable());
    assert!(error.to_string().contains("90 to 99"), "{error}");
}

#[test]
fn a_leader_that_moves_is_seen_at_the_next_refresh() {
    let broker = Broker::start(&[]);
    let id = broker.create("t", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    cluster.watch_topic("t");
    assert_eq!(refreshed(&cluster, PATIENCE).expect("metadata").leader("t", 0), Some((1, 0)));
    let moved =
        PartitionInfo { index: 0, leader: 2, leader_epoch: 1, replicas: vec![1, 2], isr: vec![2], offline: vec![] };
    let topic = TopicInfo { name: "t".into(), id, internal: false, partitions: vec![moved] };
    broker.engine.publish_topics(vec![topic]);
    assert_eq!(refreshed(&cluster, PATIENCE).expect("metadata").leader("t", 0), Some((2, 1)));
}

#[test]
fn an_advertised_address_that_is_wrong_is_told_from_a_dead_server() {
    let (broker, wrong) = advertising_where_nobody_listens();
    let cluster = cluster(&servers(&broker), &[]);
    assert!(refreshed(&cluster, PATIENCE).is_ok(), "the bootstrap server answers");
    for node in [Node::Id(1), Node::Any] {
        let error = on(&cluster, move |cluster| async move {
            cluster.versions(node, Channel::Control, Instant::now() + PATIENCE).await
        })
        .expect_err("nothing listens there");
        let text = error.to_string();
        assert_eq!(matches!(error, ClientError::NoBrokers { .. }), node == Node::Any, "{error:?}");
        assert!(text.contains(&format!("127.0.0.1:{wrong}")) && text.contains("advertised.listeners"), "{text}");
    }
}

#[test]
fn a_call_whose_time_ends_before_the_next_attempt_says_why_the_last_one_failed() {
    let (broker, _) = advertising_where_nobody_listens();
    let never = [("reconnect.backoff.ms", "3600000"), ("reconnect.backoff.max.ms", "3600000")];
    let cluster = cluster(&servers(&broker), &never);
    assert!(refreshed(&cluster, PATIENCE).is_ok(), "the bootstrap server answers");
    for patience in [PATIENCE, Duration::from_millis(20)] {
        let error = on(&cluster, move |cluster| async move {
            cluster.versions(Node::Id(1), Channel::Data, Instant::now() + patience).await
        })
        .expect_err("nothing listens there");
        let text = error.to_string();
        assert!(text.contains("refused") && text.contains("advertised.listeners"), "{text}");
    }
}

#[test]
fn a_broker_that_is_not_in_the_cluster_is_an_error_that_names_it() {
    let broker = Broker::start(&[]);
    let cluster = cluster(&servers(&broker), &[]);
    let error = on(&cluster, |cluster| async move {
        cluster.versions(Node::Id(77), Channel::Control, Instant::now() + PATIENCE).await
    })
    .expect_err("no such broker");
    assert!(error.to_string().contains("broker 77"), "{error}");
    cluster.learn_broker(77, "127.0.0.1", broker.port);
    on(
        &cluster,
        |cluster| async move { cluster.versions(Node::Id(77), Channel::Control, Instant::now() + PATIENCE).await },
    )
    .expect("it is known now");
}

#[test]
fn closing_twice_is_fine_and_what_is_asked_afterwards_is_dropped() {
    let broker = Broker::start(&[]);
    let cluster = cluster(&servers(&broker), &[]);
    refreshed(&cluster, PATIENCE).expect("metadata");
    cluster.close(Duration::ZERO);
    cluster.close(Duration::ZERO);
    assert!(cluster.is_closed());
    let never = start(&cluster, |_| async {});
    assert!(never.recv_timeout(PATIENCE).is_err(), "the task was run after close");
}

#[test]
fn closing_with_grace_lets_a_request_under_way_end() {
    let broker = Broker::start(&[]);
    broker.create("t", 1, &[]);
    let cluster = cluster(&servers(&broker), &[]);
    refreshed(&cluster, PATIENCE).expect("metadata");
    let waiting = start(&cluster, |cluster| async move {
        let ask = |_| fetch_request("t", &[(0, 0)]).with_max_wait_ms(100);
        cluster.call::<FetchRequest>(Node::Id(1), Channel::Control, 12..=12, PATIENCE, ask).await
    });
    // The request is on its way once it stands before this one.
    let mut body = BytesMut::new();
    produce_request("t", 0, batch(&[b"x"]), 0).encode(&mut body, 9).expect("encodes");
    on(&cluster, |cluster| async move {
        let body = vec![body.freeze()];
        cluster.call_raw(Node::Id(1), Channel::Control, ApiKey::Produce as i16, 9, body, PATIENCE, false).await
    })
    .expect("written");
    cluster.close(PATIENCE);
    assert!(waiting.recv_timeout(PATIENCE).expect("it ends").is_ok());
}
