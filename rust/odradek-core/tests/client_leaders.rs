//! The fetcher while a partition's leadership moves from one broker to another, whose log may be shorter.

mod net_support;
mod reader_support;

use std::collections::HashMap;

use net_support::{Broker, batch, topic_id};
use odradek_core::client::consumer::FetchError;
use odradek_core::engine::{BrokerInfo, PartitionInfo, TopicInfo};
use reader_support::{Reader, name};

/// Two brokers of one cluster, of which the first leads the partition.
struct Pair {
    first: Broker,
    second: Broker,
}

impl Pair {
    fn start() -> Self {
        let (first, second) = (Broker::start(&[]), Broker::start(&[("node.id", "2")]));
        let info =
            |node_id, port| BrokerInfo { node_id, host: "127.0.0.1".to_owned(), port: i32::from(port), rack: None };
        let pair = Self { first, second };
        for broker in [&pair.first, &pair.second] {
            broker.engine.publish_brokers(vec![info(1, pair.first.port), info(2, pair.second.port)], 1);
            broker.create("orders", 1, &[]);
        }
        pair.publish(1, 0);
        pair
    }

    /// Tells clients of both brokers who leads.
    fn publish(&self, leader: i32, leader_epoch: i32) {
        for broker in [&self.first, &self.second] {
            let partition = PartitionInfo {
                index: 0,
                leader,
                leader_epoch,
                replicas: vec![1, 2],
                isr: vec![leader],
                offline: vec![],
            };
            broker.engine.publish_topics(vec![TopicInfo {
                name: "orders".into(),
                id: topic_id("orders"),
                internal: false,
                partitions: vec![partition],
            }]);
        }
    }

    /// Has the second broker lead, and the first one know nothing of the partition any more.
    fn move_leader(&self) {
        self.lead(1);
        self.publish(2, 1);
        self.first.engine.delete_partitions("orders", &[0]).expect("deletes");
    }

    /// A reader that knows the first broker, and asks again soon.
    fn reader(&self, reset: &str) -> Reader {
        let quick = [("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "10")];
        Reader::new(&self.first, &[quick[0], quick[1], ("auto.offset.reset", reset)])
    }

    /// Has the second broker append under this leader epoch.
    fn lead(&self, epoch: i32) {
        let wanted = [(0, epoch, 1)];
        self.second.engine.host_partitions("orders", topic_id("orders"), &HashMap::new(), &wanted).expect("hosts");
    }
}

fn write(broker: &Broker, what: &str, offsets: std::ops::Range<i64>) {
    let mut client = broker.connect();
    for offset in offsets {
        let answer = client.produce("orders", 0, batch(&[format!("{what}:{offset}").as_bytes()]));
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
}

fn told(what: &str, offsets: std::ops::Range<i64>) -> Vec<(i32, i64, String)> {
    offsets.map(|offset| (0, offset, format!("{what}:{offset}"))).collect()
}

#[test]
fn a_new_leader_is_read_on_from_the_position() {
    let pair = Pair::start();
    write(&pair.first, "old", 0..10);
    write(&pair.second, "old", 0..10);
    let reader = pair.reader("latest");
    reader.assign(&[(0, 0)]);
    assert_eq!(reader.read(10), told("old", 0..10));
    pair.move_leader();
    write(&pair.second, "new", 10..15);
    assert_eq!(reader.read(5), told("new", 10..15));
    assert_eq!(reader.fetcher.position(&name(0)).expect("open"), Some((15, 1)));
}

#[test]
fn where_a_new_leader_has_less_it_is_read_on_from_where_the_old_epoch_ends() {
    let pair = Pair::start();
    write(&pair.first, "old", 0..10);
    write(&pair.second, "old", 0..6);
    let reader = pair.reader("earliest");
    reader.assign(&[(0, 0)]);
    assert_eq!(reader.read(10), told("old", 0..10));
    pair.move_leader();
    // So many that the offset alone shows nothing.
    write(&pair.second, "new", 6..12);
    assert_eq!(reader.read(6), told("new", 6..12));
}

#[test]
fn without_a_policy_what_a_new_leader_lacks_is_an_error_until_a_seek() {
    let pair = Pair::start();
    write(&pair.first, "old", 0..10);
    write(&pair.second, "old", 0..6);
    let reader = pair.reader("none");
    reader.assign(&[(0, 0)]);
    assert_eq!(reader.read(10), told("old", 0..10));
    pair.move_leader();
    write(&pair.second, "new", 6..12);
    for _ in 0..2 {
        let error = reader.error();
        assert!(matches!(error, FetchError::OutOfRange { offset: 10, end: 6, .. }), "{error}");
    }
    reader.fetcher.set_position(&name(0), 6, 0).expect("open");
    assert_eq!(reader.read(6), told("new", 6..12));
}
