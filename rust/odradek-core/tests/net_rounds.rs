//! JoinGroup and SyncGroup of known members are kept until Python takes them together; all others are Python's at once.

mod net_support;

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use net_support::{Broker, frame, wait_readable};
use odradek_core::engine::{Awaited, ControlRequest, Kept};
use odradek_core::net::faults::Effect;

/// Of one I/O thread: what a later connection asks is served after what was there before.
fn broker() -> Broker {
    let broker = Broker::start(&[("num.network.threads", "1")]);
    broker.engine.publish_apis(&[(11, 0, 9), (12, 0, 4), (14, 0, 5)]);
    let member = |id: &str| (id.to_owned(), None, vec!["range".to_owned()]);
    broker.engine.know_members("g", "consumer".to_owned(), ["a", "b", "c"].map(member).into());
    broker
}

/// With `hold_syncs`, for "a".
fn gather(broker: &Broker, joins_of: &[&str], hold_syncs: bool) {
    let joins_of = joins_of.iter().map(|id| (*id).to_owned()).collect();
    let sync_of = hold_syncs.then(|| "a".to_owned());
    broker.engine.gather("g", Awaited { generation: 7, protocol: Some("range".to_owned()), joins_of, sync_of });
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from("topics"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn sync(version: i16, member: &str, assignments: &[(&str, &'static [u8])]) -> SyncGroupRequest {
    let assignment = |(member, bytes): &(&str, &'static [u8])| {
        SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(Bytes::from_static(bytes))
    };
    SyncGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id(7)
        .with_member_id(text(member))
        .with_protocol_type((version >= 5).then(|| text("consumer")))
        .with_protocol_name((version >= 5).then(|| text("range")))
        .with_assignments(assignments.iter().map(assignment).collect())
}

fn heartbeat() -> HeartbeatRequest {
    HeartbeatRequest::default().with_group_id(GroupId(text("g"))).with_member_id(text("a"))
}

fn body(message: &impl Encodable, version: i16) -> Bytes {
    let mut body = Vec::new();
    message.encode(&mut body, version).expect("encodes");
    Bytes::from(body)
}

fn joined(version: i16, member: &str) -> Bytes {
    let answer = JoinGroupResponse::default().with_generation_id(8).with_member_id(text(member));
    body(&answer.with_protocol_name(Some(text("range"))), version)
}

/// Waits until a counter of the engine is there.
fn wait_for(broker: &Broker, counter: &str, count: u64) {
    let patience = Instant::now() + Duration::from_secs(20);
    while broker.engine.metrics()[counter] < count {
        assert!(Instant::now() < patience, "{counter} is {}", broker.engine.metrics()[counter]);
        thread::yield_now();
    }
    assert_eq!(broker.engine.metrics()[counter], count, "{counter}");
}

fn wait_kept(broker: &Broker, count: u64) {
    wait_for(broker, "gathered_requests", count);
}

/// Waits for the next request that comes to Python on its own; rings for anything else are passed over.
fn asked(broker: &Broker) -> ControlRequest {
    loop {
        wait_readable(broker.engine.control_doorbell());
        if let Some(asked) = broker.engine.take_requests(1).pop() {
            return asked;
        }
    }
}

/// Waits for the ring and takes the events.
fn rung(broker: &Broker) -> Vec<(String, String)> {
    wait_readable(broker.engine.control_doorbell());
    broker.engine.take_events()
}

fn gathered() -> Vec<(String, String)> {
    vec![("gathered".to_owned(), "g".to_owned())]
}

fn members(of: &[Kept]) -> Vec<&str> {
    of.iter().map(|kept| kept.join().expect("a join").member).collect()
}

#[test]
fn joins_ring_when_all_are_there_and_are_answered_together_at_every_version() {
    for version in 0..=9 {
        let broker = broker();
        gather(&broker, &["a", "b"], false);
        let (mut first, mut second) = (broker.connect(), broker.connect());
        let first_id = first.send(version, &join("b"));
        wait_kept(&broker, 1);
        assert!(broker.engine.take_events().is_empty(), "version {version}: a is missing");
        let second_id = second.send(version, &join("a"));
        assert_eq!(rung(&broker), gathered(), "version {version}");

        let taken = broker.engine.take_gathered("g");
        assert_eq!((members(&taken.joins), taken.syncs.len()), (vec!["b", "a"], 0));
        let kept = &taken.joins[0];
        assert_eq!(
            (kept.api_version, kept.client_id.as_deref(), &*kept.peer_host),
            (version, Some("test"), "127.0.0.1")
        );
        let request = kept.join().expect("a join");
        assert_eq!(request.protocols, [("range", &b"topics"[..])]);
        let rebalance_timeout_ms = if version >= 1 { 60_000 } else { 10_000 };
        assert_eq!((request.session_timeout_ms, request.rebalance_timeout_ms), (10_000, rebalance_timeout_ms));
        assert_eq!(broker.engine.metrics()["control_pending"], 2, "both are to be answered");

        let answers = taken.joins.iter().zip(["to b", "to a"]).map(|(kept, to)| (kept.token, joined(version, to)));
        broker.engine.respond_all(answers);
        for (client, id, to) in [(&mut first, first_id, "to b"), (&mut second, second_id, "to a")] {
            let (answered, answer) = client.receive::<JoinGroupRequest>(version);
            assert_eq!((answered, &*answer.member_id, answer.generation_id), (id, to, 8), "version {version}");
        }
        assert_eq!(broker.engine.metrics()["control_pending"], 0);
        assert!(broker.engine.take_requests(1).is_empty(), "version {version}: none came on its own");
    }
}

#[test]
fn syncs_ring_with_the_leaders_and_can_be_answered_one_by_one_at_every_version() {
    for version in 0..=5 {
        let broker = broker();
        gather(&broker, &[], true);
        let (mut member, mut leader) = (broker.connect(), broker.connect());
        member.send(version, &sync(version, "b", &[]));
        wait_kept(&broker, 1);
        assert!(broker.engine.take_events().is_empty(), "version {version}: the leader is missing");
        leader.send(version, &sync(version, "a", &[("a", b"0"), ("b", b"1")]));
        assert_eq!(rung(&broker), gathered(), "version {version}");
        let taken = broker.engine.take_gathered("g");
        let of = |at: usize| taken.syncs[at].sync().expect("a sync");
        assert_eq!((of(0).member, of(0).generation, of(0).assignments), ("b", 7, vec![]));
        assert_eq!(of(1).assignments, [("a", &b"0"[..]), ("b", &b"1"[..])]);
        for (kept, assignment) in taken.syncs.iter().zip([&b"1"[..], b"0"]) {
            let answer = SyncGroupResponse::default().with_assignment(Bytes::from_static(assignment));
            broker.engine.respond(kept.token, body(&answer, version));
            broker.engine.respond(kept.token, body(&answer, version)); // and no more than once
        }
        assert_eq!(member.receive::<SyncGroupRequest>(version).1.assignment, "1");
        assert_eq!(leader.receive::<SyncGroupRequest>(version).1.assignment, "0");
    }
}

#[test]
fn nothing_behind_a_request_that_is_kept_is_served_before_its_answer() {
    let broker = broker();
    gather(&broker, &["a", "b"], false);
    let (mut client, mut other) = (broker.connect(), broker.connect());
    client.send_raw(&[frame(1, 5, &join("a")), frame(2, 4, &heartbeat()), frame(3, 5, &join("a"))].concat());
    wait_kept(&broker, 1);
    other.send(4, &heartbeat());
    let elsewhere = asked(&broker);
    assert!(broker.engine.take_requests(1).is_empty(), "the heartbeat waits");
    broker.engine.respond(elsewhere.token, Bytes::from_static(&[0; 7]));

    let taken = broker.engine.take_gathered("g");
    assert_eq!(members(&taken.joins), ["a"]);
    broker.engine.respond(taken.joins[0].token, joined(5, "a"));
    assert_eq!(client.receive::<JoinGroupRequest>(5).0, 1);
    let waited = asked(&broker);
    assert_eq!((waited.api_key, waited.correlation_id), (12, 2));
    assert_ne!(waited.connection_id, elsewhere.connection_id);
    // A join behind a request that is Python's is Python's as well.
    let join_behind = asked(&broker);
    assert_eq!((join_behind.api_key, join_behind.correlation_id), (11, 3));
    assert_eq!(broker.engine.metrics()["gathered_requests"], 1);
}

#[test]
fn a_long_frame_behind_a_request_that_is_kept_is_served_after_its_answer() {
    let broker = broker();
    gather(&broker, &["a", "b"], false);
    let mut client = broker.connect();
    client.send(5, &join("a"));
    wait_kept(&broker, 1);
    let before = broker.engine.metrics()["bytes_in"];
    let mut long = join("a");
    long.protocols[0].metadata = Bytes::from(vec![b'x'; 3 << 20]);
    thread::scope(|scope| {
        // More than the sockets hold: it can't be sent before it is read.
        let mut writer = client.stream.try_clone().expect("clones");
        scope.spawn(move || std::io::Write::write_all(&mut writer, &frame(9, 5, &long)).expect("writes"));
        while broker.engine.metrics()["bytes_in"] == before {
            thread::yield_now();
        }
        broker
            .engine
            .respond_all(broker.engine.take_gathered("g").joins.iter().map(|kept| (kept.token, joined(5, "a"))));
        assert_eq!(client.receive::<JoinGroupRequest>(5).1.member_id, text("a"));
        let asked = asked(&broker);
        assert_eq!((asked.correlation_id, asked.body.len() > 3 << 20), (9, true));
    });
}

#[test]
fn a_join_stays_when_its_connection_goes_which_is_noticed() {
    let broker = broker();
    gather(&broker, &["a", "b"], false);
    let (mut quiet, mut eager) = (broker.connect(), broker.connect());
    quiet.send(5, &join("a"));
    eager.send_raw(&[frame(1, 5, &join("b")), frame(2, 4, &heartbeat())].concat());
    wait_kept(&broker, 2);
    drop((quiet, eager));
    wait_for(&broker, "connections_closed", 2);
    let mut taken = broker.engine.take_gathered("g");
    taken.joins.sort_by_key(|kept| kept.join().map(|request| request.member.to_owned()));
    assert_eq!(members(&taken.joins), ["a", "b"]);
    broker.engine.respond_all(taken.joins.iter().map(|kept| (kept.token, joined(5, "gone"))));
    assert_eq!(broker.engine.metrics()["control_pending"], 0);
    assert!(broker.engine.take_requests(1).is_empty(), "nobody waits for the heartbeat any more");
}

#[test]
fn the_connection_of_a_request_that_is_kept_can_be_closed_in_place_of_an_answer() {
    let broker = broker();
    gather(&broker, &[], false);
    let mut client = broker.connect();
    client.send(5, &join("a"));
    assert_eq!(rung(&broker), gathered());
    broker.engine.disconnect(broker.engine.take_gathered("g").joins[0].token);
    client.assert_closed();
}

#[test]
fn a_group_that_is_forgotten_hands_over_what_is_kept_and_its_requests_are_pythons() {
    let broker = broker();
    let mut client = broker.connect();
    let answer = |client: &mut net_support::Client, token| {
        broker.engine.respond(token, joined(5, "a"));
        assert_eq!(client.receive::<JoinGroupRequest>(5).1.member_id, text("a"));
    };
    client.send(5, &join("a"));
    answer(&mut client, asked(&broker).token); // nothing was gathered yet
    gather(&broker, &["a", "b"], true);
    client.send(5, &join("a"));
    wait_kept(&broker, 1);
    let last = broker.engine.forget_members("g");
    assert_eq!(members(&last.joins), ["a"]);
    answer(&mut client, last.joins[0].token);
    client.send(5, &join("a"));
    answer(&mut client, asked(&broker).token);
    assert!(broker.engine.forget_members("g").joins.is_empty());
}

#[test]
fn what_is_not_plain_is_pythons() {
    let broker = broker();
    gather(&broker, &[], false);
    let mut client = broker.connect();
    let mut is_pythons = |bytes: Vec<u8>, api_key: i16, what: &str| {
        client.send_raw(&bytes);
        let asked = asked(&broker);
        assert_eq!(asked.api_key, api_key, "{what}");
        broker.engine.respond(asked.token, Bytes::new());
        client.receive_raw().expect("an answer");
    };
    let tag = || Bytes::from_static(b"from the future");
    is_pythons(frame(1, 5, &join("")), 11, "no member");
    is_pythons(frame(1, 5, &join("a").with_session_timeout_ms(5_999)), 11, "a short session");
    is_pythons(frame(1, 5, &join("a").with_session_timeout_ms(1_800_001)), 11, "a long session");
    is_pythons(frame(1, 5, &join("a").with_rebalance_timeout_ms(-1)), 11, "a negative time");
    is_pythons(frame(1, 9, &join("a").with_unknown_tagged_field(9, tag())), 11, "a tagged field");
    let mut long = join("a");
    long.protocols[0].metadata = Bytes::from(vec![0; 16 << 10]);
    is_pythons(frame(1, 9, &long), 11, "more than 16 KiB");
    let mut malformed = frame(1, 5, &join("a"));
    let at = malformed.len() - 10;
    malformed[at] = 0x7f; // the length of the metadata
    is_pythons(malformed, 11, "malformed");
    is_pythons(frame(1, 5, &sync(5, "a", &[]).with_generation_id(6)), 14, "another generation");
    is_pythons(frame(1, 5, &sync(5, "a", &[]).with_protocol_type(None)), 14, "no protocol type");
    let long = SyncGroupRequestAssignment::default().with_assignment(Bytes::from(vec![0; 1 << 20]));
    is_pythons(frame(1, 5, &sync(5, "a", &[]).with_assignments(vec![long])), 14, "more than 1 MiB");
    let taken = broker.engine.take_gathered("g");
    assert!(taken.joins.is_empty() && taken.syncs.is_empty());
    client.send(5, &join("a"));
    wait_kept(&broker, 1);
}

#[test]
fn session_timeouts_are_those_of_the_settings() {
    let broker = Broker::start(&[("group.min.session.timeout.ms", "9000"), ("group.max.session.timeout.ms", "9500")]);
    broker.engine.publish_apis(&[(11, 0, 9)]);
    broker.engine.know_members("g", "consumer".to_owned(), vec![("a".to_owned(), None, vec!["range".to_owned()])]);
    gather(&broker, &[], false);
    for (timeout_ms, kept) in [(8_999, 0), (9_000, 1), (9_500, 2), (9_501, 2)] {
        let mut client = broker.connect();
        client.send(5, &join("a").with_session_timeout_ms(timeout_ms));
        if timeout_ms % 500 == 0 {
            wait_kept(&broker, kept);
        } else {
            assert_eq!(asked(&broker).api_key, 11, "{timeout_ms} ms");
        }
    }
}

#[test]
fn a_request_that_meets_a_fault_is_pythons() {
    let broker = broker();
    gather(&broker, &[], false);
    let faults = broker.engine.faults();
    for (api_key, effect, fault_code) in
        [(11, Effect::Fail(27), 27), (14, Effect::Fail(16), 16), (11, Effect::DropAfter, 0)]
    {
        faults.add(api_key, effect, Some(1));
        let mut client = broker.connect();
        if api_key == 11 {
            client.send(5, &join("a"));
        } else {
            client.send(5, &sync(5, "a", &[]));
        }
        let asked = asked(&broker);
        assert_eq!((asked.api_key, asked.fault_code), (api_key, fault_code));
    }
    broker.connect().send(5, &join("a"));
    wait_kept(&broker, 1);
}

#[test]
fn an_event_is_not_silenced_with_the_requests() {
    let broker = broker();
    gather(&broker, &[], false);
    let mut client = broker.connect();
    client.send(5, &join("a"));
    wait_kept(&broker, 1);
    // As when the event comes between Python's look at the events and at the requests.
    assert!(broker.engine.take_requests(1).is_empty());
    assert_eq!(rung(&broker), gathered());
}
