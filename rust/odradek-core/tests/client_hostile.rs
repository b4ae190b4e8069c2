//! The client's transport against peers that are no broker, or a broken one: what is said, and that nothing hangs.

mod client_support;

use std::time::Duration;

use client_support::{Conversation, PATIENCE, Peer, cluster, on, refreshed, start, versions};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse};
use odradek_core::client::{Channel, ClientError, Cluster, Node};
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::time::Instant;

/// What a client says of a peer whose every connection goes as scripted.
fn said_of(script: impl Fn(usize, Conversation) + Send + Sync + 'static) -> (ClientError, String) {
    let peer = Peer::start(script);
    let cluster = cluster(&peer.address(), &[("socket.connection.setup.timeout.ms", "50")]);
    let error = refreshed(&cluster, Duration::from_millis(400)).expect_err("no broker is there");
    let text = error.to_string();
    assert!(text.contains(&peer.address()), "the address is named: {text}");
    (error, text)
}

/// Asks for a producer id: an API that peers of these tests answer by script.
fn ask(cluster: &Arc<Cluster>, timeout: Duration) -> Result<InitProducerIdResponse, ClientError> {
    on(cluster, move |cluster| async move { asking(&cluster, timeout).await })
}

async fn asking(cluster: &Cluster, timeout: Duration) -> Result<InitProducerIdResponse, ClientError> {
    let ask = |_| InitProducerIdRequest::default();
    let answer = cluster.call::<InitProducerIdRequest>(Node::Any, Channel::Control, 0..=4, timeout, ask).await;
    answer.map(|(response, _)| response)
}

#[test]
fn a_web_server_is_told_by_its_answer_at_once() {
    let (error, text) = said_of(|_, mut peer| {
        peer.request();
        peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    assert!(matches!(error, ClientError::NoBrokers { .. }));
    assert!(text.contains("HTTP") && text.contains("check the port"), "{text}");
}

#[test]
fn a_tls_port_is_told_by_its_alert() {
    let (_, text) = said_of(|_, mut peer| {
        peer.request();
        peer.send(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]);
    });
    assert!(text.contains("TLS"), "{text}");
}

#[test]
fn a_silent_peer_is_told_after_the_set_up_time() {
    let (_, text) = said_of(|_, mut peer| while peer.request().is_some() {});
    assert!(text.contains("did not answer within"), "{text}");
}

#[test]
fn a_peer_that_closes_at_once_is_said_to() {
    let (_, text) = said_of(|_, mut peer| {
        peer.request();
    });
    assert!(text.contains("closed the connection at the first request"), "{text}");
}

#[test]
fn garbage_is_shown() {
    let (_, text) = said_of(|_, mut peer| {
        peer.request();
        peer.send(&[0x00, 0x00, 0x00, 0x08, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4]);
    });
    assert!(text.contains("de ad be ef"), "{text}");
    let (_, text) = said_of(|_, mut peer| {
        peer.request();
        peer.send(&[0xff; 32]);
    });
    assert!(text.contains("ff ff ff ff"), "{text}");
}

#[test]
fn a_peer_that_is_no_broker_is_not_waited_for() {
    let peer = Peer::start(|_, mut peer| {
        peer.request();
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let cluster = cluster(&peer.address(), &[]);
    let begun = std::time::Instant::now();
    refreshed(&cluster, Duration::from_secs(600)).expect_err("a web server");
    assert!(begun.elapsed() < PATIENCE, "it was tried until the deadline");
}

#[test]
fn a_broker_without_our_version_of_api_versions_is_asked_in_version_0() {
    let peer = Peer::start(|_, mut peer| {
        let Some((key, version, id)) = peer.request() else { return };
        assert_eq!((key, version), (ApiKey::ApiVersions as i16, 3));
        peer.answer((key, 0, id), &ApiVersionsResponse::default().with_error_code(35));
        let asked = peer.request().expect("asks again");
        assert_eq!(asked.1, 0);
        peer.answer(asked, &versions());
        peer.until_other();
    });
    let cluster = cluster(&peer.address(), &[]);
    assert_eq!(refreshed(&cluster, PATIENCE).expect("metadata").brokers.len(), 1);
}

#[test]
fn a_connection_that_ends_fails_what_is_under_way_and_the_next_request_makes_another() {
    let peer = Peer::start(|number, mut peer| {
        let Some(asked) = peer.until_other() else { return };
        if number > 0 {
            peer.answer(asked, &InitProducerIdResponse::default().with_producer_epoch(7));
            peer.until_other();
        }
    });
    let cluster = cluster(&peer.address(), &[]);
    let error = ask(&cluster, PATIENCE).expect_err("the first connection ends");
    assert!(matches!(error, ClientError::Disconnected { .. }) && error.retriable(), "{error:?}");
    assert_eq!(ask(&cluster, PATIENCE).expect("the second answers").producer_epoch, 7);
}

#[test]
fn a_wrong_correlation_id_ends_the_connection_with_an_error_for_all() {
    let peer = Peer::start(|_, mut peer| {
        let first = peer.until_other().expect("a request");
        peer.request();
        peer.answer((first.0, first.1, first.2 + 100), &InitProducerIdResponse::default());
        while peer.request().is_some() {}
    });
    let cluster = cluster(&peer.address(), &[]);
    refreshed(&cluster, PATIENCE).expect("metadata");
    let waiting = [(); 2].map(|()| start(&cluster, |cluster| async move { asking(&cluster, PATIENCE).await }));
    for receiver in waiting {
        let error = receiver.recv_timeout(PATIENCE).expect("ends").expect_err("a wrong answer");
        assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains("answered request"), "{error}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let peer = Peer::start(|number, mut peer| {
        let Some(asked) = peer.until_other() else { return };
        peer.answer(asked, &InitProducerIdResponse::default());
        if number == 0 {
            peer.answer(asked, &InitProducerIdResponse::default());
        }
        while let Some(asked) = peer.request() {
            peer.answer(asked, &InitProducerIdResponse::default());
        }
    });
    let cluster = cluster(&peer.address(), &[]);
    ask(&cluster, PATIENCE).expect("the first answer is right");
    assert_eq!(peer.accepted.recv_timeout(PATIENCE), Ok(0));
    loop {
        // Either the second connection already, or the first, which fails as soon as the extra answer is seen.
        match ask(&cluster, PATIENCE) {
            Ok(_) if peer.accepted.try_recv() == Ok(1) => break,
            Ok(_) => {}
            Err(error) => assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}"),
        }
    }
}

#[test]
fn a_frame_that_never_ends_is_a_time_out_and_the_claimed_length_costs_no_memory() {
    let peer = Peer::start(|number, mut peer| {
        let Some(asked) = peer.until_other() else { return };
        if number > 0 {
            peer.answer(asked, &InitProducerIdResponse::default());
            peer.until_other();
            return;
        }
        let mut half = (1_i32 << 30).to_be_bytes().to_vec();
        half.extend_from_slice(&asked.2.to_be_bytes());
        peer.send(&half);
        while peer.request().is_some() {}
    });
    let cluster = cluster(&peer.address(), &[]);
    refreshed(&cluster, PATIENCE).expect("metadata");
    let error = ask(&cluster, Duration::from_millis(100)).expect_err("half a frame");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert!(error.to_string().contains("InitProducerId to 127.0.0.1"), "{error}");
    let kib: u64 = std::fs::read_to_string("/proc/self/status")
        .expect("status")
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
        .expect("a figure");
    assert!(kib < 512 * 1024, "{kib} KiB were used at most");
    // The connection was stuck; it has been given up, and the next request gets another one.
    ask(&cluster, PATIENCE).expect("a new connection answers");
}

#[test]
fn a_length_beyond_all_answers_ends_the_connection() {
    for claim in [i32::MAX, -1, 3] {
        let peer = Peer::start(move |_, mut peer| {
            if peer.until_other().is_some() {
                peer.send(&claim.to_be_bytes());
                while peer.request().is_some() {}
            }
        });
        let cluster = cluster(&peer.address(), &[]);
        let error = ask(&cluster, PATIENCE).expect_err("an impossible length");
        assert!(matches!(error, ClientError::Protocol { .. }), "{claim}: {error:?}");
    }
}

#[test]
fn an_answer_whose_counts_lie_is_an_error_and_no_allocation() {
    let peer = Peer::start(|_, mut peer| {
        let Some(asked) = peer.request() else { return };
        peer.answer(asked, &versions());
        let Some((_, _, id)) = peer.request() else { return };
        let mut frame = id.to_be_bytes().to_vec();
        frame.push(0); // no tagged fields in the header
        frame.extend_from_slice(&[0; 4]); // throttle time
        frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07]); // two billion brokers
        peer.send(&i32::try_from(frame.len()).expect("small").to_be_bytes());
        peer.send(&frame);
        while peer.request().is_some() {}
    });
    let cluster = cluster(&peer.address(), &[]);
    let text = refreshed(&cluster, PATIENCE).expect_err("a lie").to_string();
    assert!(text.contains("Metadata version 12 can't be read"), "{text}");
}

#[test]
fn an_idle_connection_is_closed_and_made_anew() {
    let (closed, closes) = channel();
    let closed = parking_lot::Mutex::new(closed);
    let peer = Peer::start(move |number, mut peer| {
        while let Some(asked) = peer.until_other() {
            peer.answer(asked, &InitProducerIdResponse::default());
        }
        let _ = closed.lock().send(number);
    });
    let cluster = cluster(&peer.address(), &[("connections.max.idle.ms", "20")]);
    ask(&cluster, PATIENCE).expect("an answer");
    assert_eq!(closes.recv_timeout(PATIENCE), Ok(0), "the idle connection stays open");
    ask(&cluster, PATIENCE).expect("an answer over a new one");
}

#[test]
fn a_request_nobody_answers_fails_when_its_time_is_over_and_those_behind_it_too() {
    let peer = Peer::start(|_, mut peer| {
        peer.until_other();
        while peer.request().is_some() {}
    });
    let cluster = cluster(&peer.address(), &[]);
    refreshed(&cluster, PATIENCE).expect("metadata");
    let first = start(&cluster, |cluster| async move { asking(&cluster, Duration::from_millis(60)).await });
    let second = start(&cluster, |cluster| async move { asking(&cluster, PATIENCE).await });
    let error = first.recv_timeout(PATIENCE).expect("ends").expect_err("silence");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    let error = second.recv_timeout(PATIENCE).expect("ends").expect_err("its connection is given up");
    assert!(
        matches!(error, ClientError::Disconnected { .. }) && error.to_string().contains("InitProducerId"),
        "{error}"
    );
}

#[test]
fn closing_does_not_wait_for_a_peer_that_never_answers() {
    let peer = Peer::start(|_, mut peer| while peer.request().is_some() {});
    let cluster = cluster(&peer.address(), &[]);
    let waiting = start(&cluster, |cluster| async move { cluster.refreshed(Instant::now() + PATIENCE).await });
    assert_eq!(peer.accepted.recv_timeout(PATIENCE), Ok(0));
    cluster.close(Duration::ZERO);
    assert!(waiting.recv_timeout(PATIENCE).is_err(), "the task was to be dropped");
}
