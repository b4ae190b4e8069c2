//! ApiVersions, Metadata, ListOffsets, OffsetForLeaderEpoch, DeleteRecords and what goes to Python.

mod net_support;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DeleteRecordsRequest, HeartbeatRequest, HeartbeatResponse,
    ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use net_support::{Broker, Client, batch, batch_with, fetch_request, fetched, frame, name, topic_id};
use odradek_core::engine::{Engine, PartitionInfo, TopicInfo};

fn named_client() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("test-client"))
        .with_client_software_version(StrBytes::from_static_str("1.0"))
}

#[test]
fn api_versions_tell_what_rust_and_python_serve() {
    let broker = Broker::start(&[]);
    broker.engine.publish_apis(&[(12, 0, 4), (19, 2, 7)]);
    let mut client = broker.connect();
    for version in 0..=4 {
        let response = client.call(version, &named_client());
        assert_eq!(response.error_code, 0);
        let range = |key| {
            let row = response.api_keys.iter().find(|row| row.api_key == key);
            row.map(|row| (row.min_version, row.max_version))
        };
        assert_eq!(range(0), Some((0, 13)), "Produce is advertised from 0");
        assert_eq!((range(1), range(2), range(3)), (Some((4, 18)), Some((1, 10)), Some((0, 13))));
        assert_eq!((range(18), range(23), range(21)), (Some((0, 4)), Some((2, 4)), Some((0, 2))));
        assert_eq!((range(12), range(19)), (Some((0, 4)), Some((2, 7))));
        assert_eq!((range(71), range(72)), (None, None), "telemetry is not served");
        assert!(response.supported_features.is_empty() && response.finalized_features.is_empty());
    }
    let nameless = client.call(3, &ApiVersionsRequest::default());
    assert_eq!(nameless.error_code, 42, "a client must name itself from v3 on");
}

#[test]
fn a_version_from_the_future_is_answered_in_v0_form_with_35() {
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    let mut request = frame(7, 4, &named_client());
    request[7] = 99;
    client.send_raw(&request);
    let mut answer = client.receive_raw().expect("an answer");
    assert_eq!(answer.split_to(4)[..], [0, 0, 0, 7], "response header v0");
    let response = ApiVersionsResponse::decode(&mut answer, 0).expect("v0 body");
    assert!(answer.is_empty());
    assert_eq!(response.error_code, 35);
    let row = &response.api_keys[0];
    assert_eq!((row.api_key, row.min_version, row.max_version), (18, 0, 4));
    assert_eq!(client.call(4, &named_client()).error_code, 0, "and the client may go on");
}

#[test]
fn unknown_apis_and_versions_close_the_connection_after_earlier_answers() {
    let broker = Broker::start(&[]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    for (key, version) in [(99_u8, 0_u8), (4, 0), (12, 5), (3, 14), (1, 3), (0, 14), (200, 200)] {
        let mut client = broker.connect();
        client.send(0, &ApiVersionsRequest::default());
        client.send_raw(&[0, 0, 0, 10, 0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff]);
        assert!(client.receive_raw().is_some(), "the answer before");
        client.assert_closed();
    }
}

#[test]
fn metadata_tells_brokers_and_topics_at_every_version() {
    let broker = Broker::start(&[("auto.create.topics.enable", "false")]);
    broker.create("orders", 3, &[]);
    broker.create("audit", 1, &[]);
    let mut client = broker.connect();
    for version in 0..=13 {
        let wanted =
            ["orders", "missing", "bad name"].map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
        let request = MetadataRequest::default().with_topics(Some(wanted.to_vec()));
        let response = client.call(version, &request);
        let me = &response.brokers[0];
        assert_eq!((me.node_id.0, i32::from(broker.port), &*me.host), (1, me.port, "127.0.0.1"));
        if version >= 1 {
            assert_eq!(response.controller_id.0, 1);
        }
        let [orders, missing, bad] = &response.topics[..] else { panic!("three topics") };
        assert_eq!((orders.error_code, orders.partitions.len()), (0, 3));
        assert!(orders.partitions.iter().all(|partition| partition.leader_id.0 == 1 && partition.error_code == 0));
        assert_eq!((missing.error_code, bad.error_code), (3, 17));
        if version >= 10 {
            assert_eq!(orders.topic_id, topic_id("orders"));
        }
        if version >= 2 {
            assert_eq!(response.cluster_id.as_deref(), Some(broker.engine.cluster_id()));
        }
        let all = MetadataRequest::default().with_topics(if version == 0 { Some(vec![]) } else { None });
        let names: Vec<_> = client
            .call(version, &all)
            .topics
            .iter()
            .map(|topic| topic.name.clone().expect("a name").to_string())
            .collect();
        assert_eq!(names, ["audit", "orders"], "v{version}");
    }
    let none = client.call(1, &MetadataRequest::default().with_topics(Some(vec![])));
    assert!(none.topics.is_empty(), "an empty list asks for no topic from v1 on");
    let by_id = [topic_id("orders"), topic_id("missing")]
        .map(|id| MetadataRequestTopic::default().with_topic_id(id).with_name(None));
    let response = client.call(12, &MetadataRequest::default().with_topics(Some(by_id.to_vec())));
    assert_eq!(response.topics[0].name.as_ref().map(|name| name.to_string()).as_deref(), Some("orders"));
    assert_eq!((response.topics[1].error_code, response.topics[1].name.as_ref()), (100, None));
    broker.engine.withdraw_topics(&["audit".to_owned()]);
    assert_eq!(client.call(12, &MetadataRequest::default().with_topics(None)).topics.len(), 1);
}

#[test]
fn metadata_of_a_missing_topic_asks_python_to_create_it() {
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    let wanted = vec![MetadataRequestTopic::default().with_name(Some(name("fresh")))];
    let request = MetadataRequest::default().with_topics(Some(wanted)).with_allow_auto_topic_creation(true);
    client.send(12, &request);
    let asked = broker.take_request();
    assert_eq!((asked.api_key, asked.api_version, asked.client_id.as_deref()), (3, 12, Some("test")));
    assert_eq!(MetadataRequest::decode(&mut asked.body.clone(), 12).expect("the body"), request);
    broker.create("fresh", 2, &[]);
    broker.engine.reroute(asked.token);
    let (_, response) = client.receive::<MetadataRequest>(12);
    assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (0, 2));
    let forbidden = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name("other")))]))
        .with_allow_auto_topic_creation(false);
    assert_eq!(client.call(12, &forbidden).topics[0].error_code, 3);
}

#[test]
fn python_answers_in_any_order_and_clients_hear_in_theirs() {
    let broker = Broker::start(&[]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    let mut client = broker.connect();
    let ids: Vec<_> = (0..3).map(|_| client.send(4, &HeartbeatRequest::default())).collect();
    let mut taken = Vec::new();
    while taken.len() < 3 {
        net_support::wait_readable(broker.engine.control_doorbell());
        taken.extend(broker.engine.take_requests(10));
    }
    assert_eq!(taken.iter().map(|request| request.correlation_id).collect::<Vec<_>>(), ids);
    assert!(taken.iter().all(|request| request.peer_host.as_ref() == "127.0.0.1"));
    for (error, request) in (1..=3).zip(&taken).rev() {
        let mut body = BytesMut::new();
        HeartbeatResponse::default().with_error_code(error).encode(&mut body, 4).expect("encodes");
        broker.engine.respond(request.token, body.freeze());
    }
    for (error, id) in (1..).zip(ids) {
        let (answered, response) = client.receive::<HeartbeatRequest>(4);
        assert_eq!((answered, response.error_code), (id, error));
    }
    broker.engine.respond(taken[0].token, Bytes::from_static(b"twice"));
    client.send(0, &HeartbeatRequest::default());
    broker.engine.disconnect(broker.take_request().token);
    client.assert_closed();
}

#[test]
fn a_full_control_queue_holds_clients_back_and_loses_nothing() {
    let broker = Broker::start(&[("queued.max.requests", "2")]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    let mut clients: Vec<_> = (0..5).map(|_| broker.connect()).collect();
    for client in &mut clients {
        for _ in 0..4 {
            client.send(0, &HeartbeatRequest::default());
        }
    }
    let mut answered = 0;
    while answered < 20 {
        net_support::wait_readable(broker.engine.control_doorbell());
        let requests = broker.engine.take_requests(100);
        assert!(requests.len() <= 2, "{} requests in a queue of 2", requests.len());
        for request in requests {
            answered += 1;
            broker.engine.respond(request.token, Bytes::from_static(&[0, 0]));
        }
    }
    for client in &mut clients {
        for _ in 0..4 {
            assert_eq!(client.receive::<HeartbeatRequest>(0).1.error_code, 0);
        }
    }
}

#[test]
fn a_request_of_a_client_that_left_is_dropped() {
    let broker = Broker::start(&[]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    let mut gone = broker.connect();
    gone.send(0, &HeartbeatRequest::default());
    let held = broker.take_request();
    drop(gone);
    let mut client = broker.connect();
    let id = client.send(0, &HeartbeatRequest::default());
    broker.engine.respond(held.token, Bytes::from_static(&[0, 0]));
    let request = broker.take_request();
    assert_eq!(request.correlation_id, id);
    broker.engine.respond(request.token, Bytes::from_static(&[0, 0]));
    assert_eq!(client.receive::<HeartbeatRequest>(0).0, id);
}

fn list_offsets(timestamp: i64, index: i32) -> ListOffsetsRequest {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(index)
        .with_timestamp(timestamp)
        .with_current_leader_epoch(-1);
    ListOffsetsRequest::default()
        .with_topics(vec![ListOffsetsTopic::default().with_name(name("orders")).with_partitions(vec![wanted])])
}

#[test]
fn offsets_are_found_by_time_exactly_and_by_name() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    let start = 1_700_000_000_000;
    for (first, values) in [(start, 3), (start + 100, 2), (start + 50, 2)] {
        client.produce("orders", 0, batch_with(Default::default(), first, &vec![&b"v"[..]; values]));
    }
    let mut ask = |version, timestamp, index| {
        let response = client.call(version, &list_offsets(timestamp, index));
        let found = response.topics[0].partitions[0].clone();
        (found.error_code, found.offset, found.timestamp)
    };
    for version in 1..=10 {
        assert_eq!(ask(version, -1, 0), (0, 7, -1), "latest, v{version}");
        assert_eq!(ask(version, -2, 0), (0, 0, -1), "earliest");
        assert_eq!(ask(version, start + 2, 0), (0, 2, start + 2), "inside a batch");
        assert_eq!(ask(version, start + 3, 0), (0, 3, start + 100), "between batches");
        assert_eq!(ask(version, start + 1000, 0), (0, -1, -1), "after all");
        assert_eq!(ask(version, -1, 9), (3, -1, -1), "no such partition");
    }
    assert_eq!(ask(7, -3, 0), (0, 4, start + 101), "greatest timestamp");
    assert_eq!((ask(8, -4, 0), ask(9, -5, 0)), ((0, 0, -1), (0, -1, -1)));
    assert_eq!((ask(6, -3, 0).0, ask(7, -4, 0).0, ask(8, -5, 0).0), (35, 35, 35), "asked for too early");
    let mut stale = list_offsets(-1, 0);
    stale.topics[0].partitions[0].current_leader_epoch = 3;
    assert_eq!(client.call(4, &stale).topics[0].partitions[0].error_code, 75);
    let twice = ListOffsetsRequest::default().with_topics(vec![list_offsets(-1, 0).topics[0].clone(); 2]);
    assert_eq!(client.call(4, &twice).topics[1].partitions[0].error_code, 42);
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    broker.create("latest", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.connect();
    for _ in 0..3 {
        client.produce("orders", 0, batch(&[b"a", b"b"]));
    }
    let mut delete = |version, topic: &str, index, offset| {
        let wanted = DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![wanted]);
        let response =
            client.call(version, &DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000));
        let found = &response.topics[0].partitions[0];
        (found.error_code, found.low_watermark)
    };
    assert_eq!(delete(0, "orders", 0, 3), (0, 3));
    assert_eq!(delete(1, "orders", 0, 7), (1, -1), "past the end");
    assert_eq!(delete(2, "orders", 5, 1), (3, -1));
    assert_eq!(delete(2, "latest", 0, 0), (44, -1), "a compacted topic");
    assert_eq!(delete(2, "orders", 0, -1), (0, 6));
    let mut client = broker.connect();
    let response = client.call(12, &fetch_request("orders", &[(0, 3)]));
    assert_eq!(fetched(&response), [(0, 1, 0)], "below the log start");
}

#[test]
fn leader_epochs_tell_where_they_end() {
    let broker = Broker::start(&[]);
    let id = broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    client.produce("orders", 0, batch(&[b"a", b"b"]));
    broker.engine.host_partitions("orders", id, &Default::default(), &[(0, 4, 1)]).expect("leads");
    client.produce("orders", 0, batch(&[b"c"]));
    let mut ask = |version, index, current, epoch| {
        let wanted = OffsetForLeaderPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(name("orders")).with_partitions(vec![wanted]);
        let response = client.call(version, &OffsetForLeaderEpochRequest::default().with_topics(vec![topic]));
        let found = &response.topics[0].partitions[0];
        (found.error_code, found.leader_epoch, found.end_offset)
    };
    for version in 2..=4 {
        assert_eq!(ask(version, 0, -1, 0), (0, 0, 2));
        assert_eq!(ask(version, 0, 4, 4), (0, 4, 3));
        assert_eq!(ask(version, 0, 3, 0), (74, -1, -1));
        assert_eq!(ask(version, 0, 5, 0), (75, -1, -1));
        assert_eq!(ask(version, 8, -1, 0), (3, -1, -1));
    }
}

#[test]
fn a_port_is_taken_once_and_localhost_is_ipv4() {
    let broker = Broker::start(&[]);
    let dir = tempfile::tempdir().expect("temporary directory");
    let settings =
        [("log.dirs".to_owned(), dir.path().to_string_lossy().into_owned()), ("node.id".to_owned(), "2".to_owned())];
    let engine = Engine::open(&settings.into_iter().collect()).expect("opens");
    assert!(engine.start().is_err(), "not bound yet");
    let taken = engine.bind("localhost", broker.port).expect_err("taken").to_string();
    assert!(taken.contains(&broker.port.to_string()), "{taken}");
    let port = engine.bind("localhost", 0).expect("a free one");
    assert!(engine.bind("localhost", 0).is_err(), "bound already");
    engine.start().expect("starts");
    assert_eq!(Client::connect(port).call(4, &named_client()).error_code, 0);
    engine.close().expect("closes");
    engine.close().expect("closes again");
}

#[test]
fn a_partition_led_elsewhere_is_not_served_here() {
    let broker = Broker::start(&[]);
    let elsewhere =
        PartitionInfo { index: 0, leader: 2, leader_epoch: 0, replicas: vec![2], isr: vec![2], offline: vec![] };
    broker.engine.publish_topics(vec![TopicInfo {
        name: Arc::from("far"),
        id: topic_id("far"),
        internal: false,
        partitions: vec![elsewhere],
    }]);
    let mut client = broker.connect();
    assert_eq!(client.produce("far", 0, batch(&[b"a"])).error_code, 6);
    assert_eq!(fetched(&client.call(13, &fetch_request("far", &[(0, 0), (1, 0)]))), [(0, 6, 0), (1, 3, 0)]);
}
