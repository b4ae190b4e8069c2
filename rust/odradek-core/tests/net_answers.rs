//! Fetch answers of many pieces, to clients that are slow to take them: every byte arrives once and in order.

mod net_support;

use kafka_protocol::messages::FetchRequest;
use net_support::{Broker, Client, batch, fetch_request, records};

const PARTITIONS: i32 = 60;

/// The value of record `at` of a partition: told apart, and of a length of its own.
fn value(partition: i32, at: i32) -> Vec<u8> {
    let size = 1000 + (partition * 37 + at * 501) % 3000;
    (0..size).map(|byte| (byte * 7 + partition + at * 3) as u8).collect()
}

/// A broker with five batches in each partition of `orders`, some 10 KiB each.
fn filled() -> Broker {
    let broker = Broker::start(&[]);
    broker.create("orders", PARTITIONS, &[]);
    let mut client = broker.connect();
    for partition in 0..PARTITIONS {
        for at in 0..5 {
            assert_eq!(client.produce("orders", partition, batch(&[&value(partition, at)])).error_code, 0);
        }
    }
    broker
}

fn everything() -> FetchRequest {
    let wanted: Vec<_> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    fetch_request("orders", &wanted)
}

fn check(client: &mut Client) {
    let (_, response) = client.receive::<FetchRequest>(12);
    let partitions = &response.responses[0].partitions;
    assert_eq!(partitions.len(), usize::try_from(PARTITIONS).expect("fits"));
    for (index, partition) in (0..).zip(partitions) {
        let found = records(partition.records.as_deref().expect("records"));
        let expected: Vec<_> = (0..5).map(|at| (i64::from(at), value(index, at))).collect();
        assert!(found == expected, "partition {index}");
    }
}

#[test]
fn sixty_partitions_come_in_one_answer() {
    let broker = filled();
    let mut client = broker.connect();
    for _ in 0..3 {
        client.send(12, &everything());
        check(&mut client);
    }
}

#[test]
fn clients_that_take_nothing_for_a_while_get_whole_answers_whether_they_were_kept_or_read_again() {
    // Each answer is more than a socket takes, and all of them more than the broker keeps for sockets that are full.
    let broker = filled();
    let mut clients: Vec<_> = (0..60)
        .map(|_| {
            let mut client = broker.connect();
            client.send(12, &everything());
            client
        })
        .collect();
    // The last one's answer has begun: so have those before it, on the same threads.
    for client in clients.iter_mut().rev() {
        check(client);
    }
}

#[test]
fn a_second_answer_waits_behind_the_first() {
    let broker = filled();
    let mut client = broker.connect();
    for _ in 0..4 {
        client.send(12, &everything());
    }
    (0..4).for_each(|_| check(&mut client));
}
