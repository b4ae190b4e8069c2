//! What hostile clients cost in memory. One test after the other: each measures the whole process, so a neighbour in it
//! that has a 20 MiB frame under way (`net_hostile`) would be counted.

mod net_support;

use std::io::Write;

use kafka_protocol::messages::ApiVersionsRequest;
use net_support::{Broker, Client, batch, fetch_request, frame};
use parking_lot::Mutex;

static ALONE: Mutex<()> = Mutex::new(());

/// Anonymous memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("RssAnon");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn forty_claims_of_95_mib_cost_nothing_and_slow_nobody() {
    let _alone = ALONE.lock();
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut good = broker.connect();
    let before = resident_kib();
    let claim = (95_u32 << 20).to_be_bytes();
    let floods: Vec<_> = (0..40)
        .map(|_| {
            let mut client = broker.connect();
            client.send_raw(&claim);
            client.send_raw(&[0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff]);
            client
        })
        .collect();
    for at in 0..200 {
        assert_eq!(good.produce("orders", 0, batch(&[&[b'x'; 100]])).base_offset, at);
        // Ordinary frames that need a grant are served as well.
        if at % 20 == 0 {
            let refused = good.produce("orders", 0, batch(&[&vec![b'x'; 2 << 20]]));
            assert_eq!(refused.error_code, 10);
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    drop(floods);
}

#[test]
fn a_consumer_that_never_reads_costs_no_memory() {
    let _alone = ALONE.lock();
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut producer = broker.connect();
    for _ in 0..32 {
        producer.produce("orders", 0, batch(&[&vec![b'x'; 500_000]]));
    }
    let before = resident_kib();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let client = broker.connect();
            client.stream.set_nonblocking(true).expect("set");
            for _ in 0..300 {
                let mut request = fetch_request("orders", &[(0, 0)]);
                request.topics[0].partitions[0].partition_max_bytes = 16 << 20;
                if (&client.stream).write_all(&frame(1, 12, &request)).is_err() {
                    break;
                }
            }
            client
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(producer.produce("orders", 0, batch(&[b"a"])).error_code, 0);
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
    drop(slow);
}

#[test]
fn many_idle_connections_are_cheap() {
    let _alone = ALONE.lock();
    let broker = Broker::start(&[]);
    let before = resident_kib();
    let mut clients: Vec<Client> = (0..400).map(|_| broker.connect()).collect();
    for client in &mut clients {
        client.call(0, &ApiVersionsRequest::default());
    }
    let per_connection = resident_kib().saturating_sub(before) / 400;
    assert!(per_connection <= 16, "{per_connection} KiB a connection");
}
