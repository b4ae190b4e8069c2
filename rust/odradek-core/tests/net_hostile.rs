//! Input that lies, floods, stalls or never reads: the connection closes or waits, everyone else is served.

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, ProduceRequest,
};
use kafka_protocol::protocol::Request;
use net_support::{Broker, batch, fetch_request, frame, produce_request};
use odradek_core::wire::requests::{ServedRequest, decode};
use odradek_core::wire::shape::MAX_ELEMENTS;
use proptest::prelude::*;

#[test]
fn frames_that_can_not_be_close_the_connection() {
    let broker = Broker::start(&[]);
    let cases: [&[u8]; 8] = [
        &[0xff; 64],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc],
        &[0x80, 0, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 7, 0, 3, 0, 0, 0, 0, 0],
        &[0x06, 0x40, 0, 1, 0, 3],
        // Client id longer than the frame.
        &[0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, b'a', b'b'],
    ];
    for bytes in cases {
        let mut client = broker.connect();
        client.send_raw(bytes);
        client.assert_closed();
    }
    assert_eq!(broker.engine.metrics()["connections_protocol_errors"], cases.len() as u64);
}

#[test]
fn lying_counts_close_the_connection_and_allocate_nothing() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    // Each: API key, version, body with a count of about 2^31 elements (or tagged fields) where few bytes follow.
    let many = [0x7f, 0xff, 0xff, 0xff];
    let compact = [0xff, 0xff, 0xff, 0xff, 0x07];
    let cases: [(u8, u8, Vec<u8>); 8] = [
        (0, 3, [&[0xff, 0xff, 0, 1, 0, 0, 0, 9][..], &many].concat()),
        (0, 9, [&[0, 0, 1, 0, 0, 0, 9][..], &compact].concat()),
        (0, 9, [&[0, 0, 1, 0, 0, 0, 9, 1][..], &compact].concat()),
        (1, 4, [&[0xff; 4][..], &[0; 13], &many].concat()),
        (1, 12, [&[0xff; 4][..], &[0; 21], &compact].concat()),
        (2, 1, [&[0xff; 4][..], &many].concat()),
        (3, 1, many.to_vec()),
        (3, 9, compact.to_vec()),
    ];
    for (key, version, body) in cases {
        let flexible = matches!((key, version), (0 | 3, 9) | (1, 12));
        let mut bytes = vec![0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff];
        if flexible {
            bytes.push(0);
        }
        bytes.extend(body);
        let mut client = broker.connect();
        client.send_raw(&u32::try_from(bytes.len()).expect("small").to_be_bytes());
        client.send_raw(&bytes);
        client.assert_closed();
    }
    assert_eq!(broker.connect().produce("orders", 0, batch(&[b"a"])).error_code, 0);
}

#[test]
fn more_elements_than_any_client_needs_are_refused() {
    let partitions = vec![0_u8; 4 * (MAX_ELEMENTS + 1)];
    let mut body = vec![0xff; 4];
    body.extend([0; 21]);
    body.extend(0_u32.to_be_bytes());
    body.extend(1_u32.to_be_bytes());
    body.extend([0, 1, b't']);
    body.extend(u32::try_from(MAX_ELEMENTS + 1).expect("fits").to_be_bytes());
    body.extend(partitions);
    body.extend([0, 0]);
    assert!(decode::<FetchRequest>(Bytes::from(body), 11).is_err());
}

#[test]
fn half_sent_huge_frames_are_bounded_and_a_good_one_gets_its_turn() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let half = vec![0_u8; 20 << 20];
    let floods: Vec<_> = (0..6)
        .map(|_| {
            let stream = TcpStream::connect(("127.0.0.1", broker.port)).expect("connects");
            stream.set_nonblocking(true).expect("set");
            let mut sent = (&stream).write(&(95_u32 << 20).to_be_bytes()).expect("writes");
            while sent < half.len() {
                match (&stream).write(&half[sent..]) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            stream
        })
        .collect();
    // A large frame waits until the stalled ones before it are cut off, then is served; small ones don't wait.
    let mut large = broker.connect();
    let big = vec![b'x'; 20 << 20];
    large.send(9, &produce_request("orders", 0, batch(&[&big]), 1));
    assert_eq!(broker.connect().produce("orders", 0, batch(&[b"small"])).error_code, 0);
    let (_, response) = large.receive::<ProduceRequest>(9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 10);
    drop(floods);
}

#[test]
fn a_frame_sent_byte_by_byte_is_served() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    for byte in frame(3, 9, &produce_request("orders", 0, batch(&[b"slow"]), 1)) {
        client.send_raw(&[byte]);
    }
    assert_eq!(client.receive::<ProduceRequest>(9).0, 3);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_anything_leaves_nothing_behind() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let request = frame(1, 9, &produce_request("orders", 0, batch(&[&vec![b'x'; 50_000]]), 1));
    for cut in [0, 1, 4, 9, 20, 17_000, 40_000] {
        broker.connect().send_raw(&request[..cut]);
    }
    let mut polling = broker.connect();
    polling.send(12, &fetch_request("orders", &[(0, 0)]).with_max_wait_ms(15_000));
    drop(polling);
    let mut client = broker.connect();
    loop {
        client.call(0, &ApiVersionsRequest::default());
        if broker.engine.metrics()["connections"] == 1 {
            break;
        }
    }
    assert_eq!(broker.engine.offsets("orders", 0).expect("hosted").2, 0);
}

#[test]
fn connection_limits_hold_and_places_come_back() {
    let broker = Broker::start(&[("max.connections.per.ip", "2")]);
    let mut first = broker.connect();
    first.call(0, &ApiVersionsRequest::default());
    let mut second = broker.connect();
    second.call(0, &ApiVersionsRequest::default());
    broker.connect().assert_closed();
    drop(first);
    loop {
        let mut third = broker.connect();
        let request = frame(1, 0, &ApiVersionsRequest::default());
        if third.stream.write_all(&request).is_ok() && third.receive_raw().is_some() {
            break;
        }
    }
    second.call(0, &ApiVersionsRequest::default());
}

#[test]
fn idle_connections_are_closed_and_waiting_ones_are_not() {
    let broker = Broker::start(&[("connections.max.idle.ms", "200")]);
    broker.create("orders", 1, &[]);
    let mut polling = broker.connect();
    polling.send(12, &fetch_request("orders", &[(0, 0)]).with_max_wait_ms(1000));
    let mut idle = broker.connect();
    idle.call(0, &ApiVersionsRequest::default());
    idle.assert_closed();
    assert!(polling.receive_raw().is_some(), "its long poll was answered");
}

#[test]
fn stopping_answers_what_is_under_way() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut polling = broker.connect();
    polling.send(12, &fetch_request("orders", &[(0, 0)]).with_max_wait_ms(60_000));
    let mut idle = broker.connect();
    idle.call(0, &ApiVersionsRequest::default());
    polling.send(9, &produce_request("orders", 0, batch(&[b"a"]), 1));
    polling.receive::<FetchRequest>(12);
    polling.receive::<ProduceRequest>(9);
    polling.send(12, &fetch_request("orders", &[(0, 1)]).with_max_wait_ms(60_000));
    // The long poll has begun once a request behind it has been appended.
    polling.send(9, &produce_request("missing", 0, batch(&[b"a"]), 1));
    broker.engine.stop(Duration::from_secs(20));
    idle.assert_closed();
    let refused = TcpStream::connect(("127.0.0.1", broker.port));
    assert!(refused.is_err(), "no longer listening");
    let mut rest = Vec::new();
    match polling.stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// Encodes a request of a version, as a client would.
fn body<R: Request>(request: &R, version: i16) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.encode(&mut out, version).expect("encodes");
    out.to_vec()
}

fn decodes<R: ServedRequest>(bytes: &[u8], version: i16) {
    let _ = decode::<R>(Bytes::copy_from_slice(bytes), version);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0_i16..20) {
        decodes::<ProduceRequest>(&bytes, version);
        decodes::<FetchRequest>(&bytes, version);
        decodes::<ListOffsetsRequest>(&bytes, version);
        decodes::<MetadataRequest>(&bytes, version);
        decodes::<ApiVersionsRequest>(&bytes, version);
        decodes::<OffsetForLeaderEpochRequest>(&bytes, version);
        decodes::<DeleteRecordsRequest>(&bytes, version);
    }

    #[test]
    fn damaged_requests_do_not_make_a_decoder_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        version in 3_i16..=13,
    ) {
        let mut produce = body(&produce_request("orders", 0, batch(&[b"a"]), 1), version);
        let mut fetch = body(&fetch_request("orders", &[(0, 0), (1, 5)]), version.max(4));
        for (place, byte) in &places {
            let at = place.index(produce.len());
            produce[at] = *byte;
            let at = place.index(fetch.len());
            fetch[at] = *byte;
        }
        decodes::<ProduceRequest>(&produce, version);
        decodes::<FetchRequest>(&fetch, version.max(4));
    }
}

/// A small generator, so that a failure can be run again by its seed.
fn next_random(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 16).unwrap_or(0)
}

#[test]
fn mutated_requests_close_a_connection_at_most() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let requests = [
        frame(1, 9, &produce_request("orders", 0, batch(&[b"a", b"b"]), 1)),
        frame(1, 13, &produce_request("orders", 1, batch(&[b"a"]), -1)),
        frame(1, 3, &produce_request("orders", 0, batch(&[b"a"]), 1)),
        frame(1, 12, &fetch_request("orders", &[(0, 0), (1, 0)])),
        frame(1, 17, &fetch_request("orders", &[(0, 0)]).with_session_epoch(0)),
        frame(1, 4, &fetch_request("orders", &[(0, 0)])),
        frame(1, 12, &MetadataRequest::default().with_topics(None)),
        frame(1, 3, &ApiVersionsRequest::default()),
    ];
    let mut seed = 0x5eed_u64;
    for round in 0..1500 {
        let mut bytes = requests[next_random(&mut seed) % requests.len()].clone();
        for _ in 0..=next_random(&mut seed) % 4 {
            let at = next_random(&mut seed) % bytes.len();
            bytes[at] = next_random(&mut seed) as u8;
        }
        let mut client = broker.connect();
        client.send_raw(&bytes);
        // Whatever the bytes have become, the end of the stream ends the connection, long poll or not.
        client.stream.shutdown(Shutdown::Write).expect("shuts down");
        while client.receive_raw().is_some() {}
        if round % 100 == 0 {
            let answer = broker.connect().produce("orders", 0, batch(&[b"ok"]));
            assert_eq!(answer.error_code, 0, "round {round}");
        }
    }
    assert_eq!(broker.engine.metrics()["connections_panicked"], 0);
}
