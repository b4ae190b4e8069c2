//! A broker that answers whole fetches with an error: they are tried again, and who asks is told why nothing comes.

mod client_support;
mod net_support;
mod reader_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};
use std::time::Instant;

use bytes::Bytes;
use client_support::{Conversation, PATIENCE, Peer, metadata, topic_metadata, versions_and};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse};
use kafka_protocol::protocol::Decodable;
use net_support::{batch, name, topic_id};
use reader_support::Reader;

const UNKNOWN_SERVER_ERROR: i16 = -1;
const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;

/// Answers fetches of offset 0 with the record "first", as soon as `refusal` is 0.
fn serve(mut peer: Conversation, refusal: &AtomicI16) {
    while let Some((asked, mut body)) = peer.request_with_body() {
        match ApiKey::try_from(asked.0).expect("known") {
            ApiKey::ApiVersions => peer.answer(asked, &versions_and(ApiKey::Fetch, 4, 12)),
            ApiKey::Metadata => {
                let topic = topic_metadata(name("orders"), topic_id("orders"));
                peer.answer(asked, &metadata(peer.port).with_topics(vec![topic]));
            }
            ApiKey::Fetch => {
                let request = FetchRequest::decode(&mut body, asked.1).expect("a Fetch");
                let code = refusal.load(Ordering::Acquire);
                if code != 0 {
                    peer.answer(asked, &FetchResponse::default().with_error_code(code));
                    continue;
                }
                if request.topics.iter().any(|topic| topic.partitions[0].fetch_offset > 0) {
                    // Held until the client goes.
                    let _ = peer.request();
                    return;
                }
                let data = PartitionData::default().with_aborted_transactions(None).with_high_watermark(1);
                let data = data.with_records(Some(Bytes::from(batch(&[b"first"]))));
                let topic = FetchableTopicResponse::default().with_topic(name("orders"));
                let topics = vec![topic.with_partitions(vec![data])];
                peer.answer(asked, &FetchResponse::default().with_responses(topics));
            }
            other => panic!("nobody should ask for {other:?}"),
        }
    }
}

/// Why the partition is not served; `None`: it is.
fn trouble(reader: &Reader) -> Option<(Instant, String)> {
    let mut trouble = None;
    let look = |_: &_, partition: &odradek_core::client::consumer::positions::Partition| {
        trouble = partition.trouble().map(|(since, why)| (since, why.to_owned()));
    };
    reader.fetcher.each(look).expect("open");
    trouble
}

#[test]
fn a_fetch_that_is_refused_as_a_whole_is_a_trouble_that_lasts_until_one_is_served() {
    for (code, named) in
        [(UNKNOWN_SERVER_ERROR, "UNKNOWN_SERVER_ERROR"), (CLUSTER_AUTHORIZATION_FAILED, "CLUSTER_AUTHORIZATION_FAILED")]
    {
        let refusal = Arc::new(AtomicI16::new(code));
        let shared = Arc::clone(&refusal);
        let peer = Peer::start(move |_, peer| serve(peer, &shared));
        let reader = Reader::of_port(peer.port, &[("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "2")]);
        reader.assign(&[(0, 0)]);
        let begun = Instant::now();
        let mut troubles = Vec::new();
        while troubles.len() < 5 {
            assert!(begun.elapsed() < PATIENCE, "it is not told");
            let refused = reader.metric("fetch_errors_total");
            assert!(reader.poll(1, std::time::Duration::from_millis(1)).expect("it is tried again").is_empty());
            if reader.metric("fetch_errors_total") > refused {
                troubles.push(trouble(&reader).expect("told"));
            }
        }
        assert!(troubles[0].1.contains(&format!("broker 1 answered {named}")), "{}", troubles[0].1);
        assert!(troubles.iter().all(|(since, _)| *since == troubles[0].0), "it is one trouble");
        refusal.store(0, Ordering::Release);
        assert_eq!(reader.read(1), [(0, 0, "first".to_owned())]);
        assert_eq!(trouble(&reader), None);
    }
}
