//! Long polls across I/O threads: a record that is appended always wakes who waits for it.

mod net_support;

use std::thread;

use kafka_protocol::messages::{FetchResponse, ProduceRequest};
use net_support::{Broker, Client, batch, fetch_request, fetch_topic, frame, produce_request, records};

/// Longer than a client waits for an answer, so a lost wake-up fails the test instead of only slowing it.
const NEVER_MS: i32 = 120_000;
const ROUNDS: i64 = 1000;

fn offsets(response: &FetchResponse) -> Vec<i64> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let bytes = partitions.filter_map(|partition| partition.records.as_deref());
    bytes.flat_map(records).map(|(offset, _)| offset).collect()
}

/// Plays `ROUNDS` balls over two partitions: the server speaks first, the other waits for each ball and returns it.
fn volley(mut client: Client, topic: &str, listens: i32, speaks: i32, serves: bool) {
    for round in 0..ROUNDS {
        let listen = fetch_request(topic, &[(listens, round)]).with_max_wait_ms(NEVER_MS);
        let speak = produce_request(topic, speaks, batch(&[b"ball"]), 1);
        if serves {
            client.call(9, &speak);
        }
        assert_eq!(offsets(&client.call(12, &listen)), [round]);
        if !serves {
            client.call(9, &speak);
        }
    }
}

#[test]
fn no_wake_up_is_lost_between_threads() {
    let broker = Broker::start(&[("num.network.threads", "3")]);
    let names: Vec<String> = (0..4).map(|pair| format!("pair-{pair}")).collect();
    for name in &names {
        broker.create(name, 2, &[]);
    }
    thread::scope(|scope| {
        for name in &names {
            let (server, returner) = (broker.connect(), broker.connect());
            scope.spawn(|| volley(server, name, 1, 0, true));
            scope.spawn(|| volley(returner, name, 0, 1, false));
        }
    });
    for name in &names {
        for index in [0, 1] {
            assert_eq!(broker.engine.offsets(name, index).expect("hosted").2, ROUNDS);
        }
    }
}

#[test]
fn many_waiters_on_one_partition_all_hear_of_every_record() {
    let broker = Broker::start(&[("num.network.threads", "3")]);
    broker.create("news", 8, &[]);
    let readers: Vec<Client> = (0..16).map(|_| broker.connect()).collect();
    let mut writer = broker.connect();
    thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || {
                // A session over all partitions: it registers with each of them again and again.
                let all: Vec<_> = (0..8).map(|index| (index, 0)).collect();
                let first = fetch_request("news", &all).with_session_epoch(0);
                let session = reader.call(12, &first);
                let mut next = [0_i64; 8];
                let mut epoch = 1;
                let mut response = session.clone();
                while next.iter().sum::<i64>() < 400 {
                    let mut moved = Vec::new();
                    for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
                        let found = records(partition.records.as_deref().unwrap_or_default());
                        let Some((last, _)) = found.last() else { continue };
                        let index = partition.partition_index;
                        next[usize::try_from(index).expect("index")] = last + 1;
                        moved.push((index, last + 1));
                    }
                    if next.iter().sum::<i64>() == 400 {
                        break;
                    }
                    let request = fetch_request("news", &[])
                        .with_topics(vec![fetch_topic("news", &moved)])
                        .with_session_id(session.session_id)
                        .with_session_epoch(epoch)
                        .with_max_wait_ms(NEVER_MS);
                    response = reader.call(12, &request);
                    assert_eq!(response.error_code, 0);
                    epoch += 1;
                }
            });
        }
        for at in 0..400 {
            writer.call(9, &produce_request("news", at % 8, batch(&[b"item"]), 1));
        }
    });
}

#[test]
fn a_client_that_asks_again_at_once_is_served_whatever_the_size_of_its_requests_and_of_their_pieces() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    let mut next_offset = 0;
    for size in [1, 1800, 1900, 2000, 2048, 4000, 15_000, 16_384, 20_000, 300_000] {
        let value = vec![b'x'; size];
        for round in 0..30 {
            // A small one before each, so that its buffers are of another size.
            for value in [&value[..1], &value] {
                let request = frame(next_offset, 9, &produce_request("orders", 0, batch(&[value]), 1));
                let cut = request.len() * round / 40;
                client.send_raw(&request[..cut]);
                client.send_raw(&request[cut..]);
                let (id, response) = client.receive::<ProduceRequest>(9);
                let answer = &response.responses[0].partition_responses[0];
                assert_eq!((id, answer.base_offset), (next_offset, i64::from(next_offset)), "{size}");
                next_offset += 1;
            }
        }
    }
}
