//! Heartbeats of settled groups are answered without Python; all others are Python's.

mod net_support;

use kafka_protocol::messages::{GroupId, HeartbeatRequest};
use kafka_protocol::protocol::StrBytes;
use net_support::{Broker, frame};

fn heartbeat(generation: i32, member: &'static str) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_generation_id(generation)
        .with_member_id(StrBytes::from_static_str(member))
}

fn broker() -> Broker {
    let broker = Broker::start(&[]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    broker.engine.settle_group("g".to_owned(), 3, vec![("a".to_owned(), None)], 0);
    broker
}

#[test]
fn a_member_of_a_settled_group_is_answered_at_every_version_and_noted() {
    let broker = broker();
    let mut client = broker.connect();
    for version in 0..=4 {
        let answer = client.call(version, &heartbeat(3, "a"));
        assert_eq!((answer.error_code, answer.throttle_time_ms), (0, 0), "version {version}");
    }
    assert!(broker.engine.take_requests(1).is_empty(), "Python was not asked");
    assert_eq!(broker.engine.silences("g").keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn every_other_heartbeat_is_pythons() {
    let broker = broker();
    let mut client = broker.connect();
    let mut asks = |request: &HeartbeatRequest| {
        client.send(4, request);
        let asked = broker.take_request();
        assert_eq!((asked.api_key, asked.api_version), (12, 4));
        broker.engine.respond(asked.token, bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 27, 0]));
        assert_eq!(client.receive::<HeartbeatRequest>(4).1.error_code, 27);
    };
    asks(&heartbeat(2, "a"));
    asks(&heartbeat(3, "b"));
    asks(&heartbeat(3, "a").with_group_instance_id(Some(StrBytes::from_static_str("i"))));
    assert!(broker.engine.unsettle_group("g").is_empty());
    asks(&heartbeat(3, "a"));
}

#[test]
fn a_heartbeat_does_not_overtake_an_earlier_request_of_its_connection() {
    let broker = broker();
    let mut client = broker.connect();
    client.send_raw(&[frame(1, 4, &heartbeat(2, "a")), frame(2, 4, &heartbeat(3, "a"))].concat());
    let first = broker.take_request();
    broker.engine.respond(first.token, bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 22, 0]));
    assert_eq!(client.receive::<HeartbeatRequest>(4).1.error_code, 22);
    let second = broker.take_request();
    broker.engine.respond(second.token, bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 25, 0]));
    assert_eq!(client.receive::<HeartbeatRequest>(4).1.error_code, 25);
}
