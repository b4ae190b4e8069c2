//! Reads that have to wait for the disk: they hold up nobody but their own connection, and end as they would have.

mod net_support;

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest};
use net_support::{Broker, Client, batch, batch_with, fetch_request, fetched, name, produce_request, records};
use odradek_core::clock::SystemClock;
use odradek_core::engine::Engine;
use odradek_core::fs::faulty::{FaultyFileSystem, Operation};
use odradek_core::record::builder::BatchOptions;

/// One I/O thread, so that one wait would hold up everybody; the same folder for each broker on a file system.
const SETTINGS: &[(&str, &str)] = &[("num.network.threads", "1"), ("log.dirs", "/data")];
/// Long enough that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than is loaded of a range, so that it goes from the file to the socket.
const LARGE: usize = 700_000;
/// Of a large range the beginning is in memory, so that the batch is found without the disk.
const HEADER: usize = 4096;
/// The time of the first record that is looked up by it.
const FIRST_MS: i64 = 1_700_000_000_000;

/// Lets a broker close whose test failed while the disk did not answer.
struct OpenAtEnd(FaultyFileSystem);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.disk().open();
    }
}

fn start(fs: &FaultyFileSystem) -> Broker {
    Broker::start_with(SETTINGS, |settings: &HashMap<String, String>| {
        Engine::open_with(settings, Arc::new(fs.clone()), Arc::new(SystemClock)).expect("opens")
    })
}

/// A broker whose topic "cold" has a record of `size` bytes in each of two partitions, on the disk only but for the
/// first `kept` bytes. Topic "warm" is in memory. The disk doesn't answer yet.
fn cold_broker(fs: &FaultyFileSystem, size: usize, kept: usize) -> (Broker, Client, OpenAtEnd) {
    let broker = start(fs);
    let mut client = broker.connect();
    broker.create("cold", 2, &[]);
    for index in [0, 1] {
        assert_eq!(client.produce("cold", index, batch(&[&value(index, size)])).error_code, 0);
    }
    fs.evict(kept);
    broker.create("warm", 1, &[]);
    assert_eq!(client.produce("warm", 0, batch(&[b"warm"])).error_code, 0);
    fs.disk().shut();
    (broker, client, OpenAtEnd(fs.clone()))
}

fn value(index: i32, size: usize) -> Vec<u8> {
    vec![b'a' + index as u8; size]
}

fn found(response: &FetchResponse, partition: usize) -> Vec<(i64, Vec<u8>)> {
    records(response.responses[0].partitions[partition].records.as_deref().expect("records"))
}

/// Another connection is served as ever: Produce, and Fetch of what is in memory.
fn assert_others_are_served(broker: &Broker) {
    let mut other = broker.connect();
    assert_eq!(other.produce("warm", 0, batch(&[b"more"])).error_code, 0);
    let response = other.call(12, &fetch_request("warm", &[(0, 0)]));
    assert_eq!(found(&response, 0).last().map(|(_, value)| value.as_slice()), Some(&b"more"[..]));
}

#[test]
fn while_a_small_fetch_waits_for_the_disk_others_are_served() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    client.send(12, &fetch_request("cold", &[(0, 0)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    assert_eq!(found(&client.receive::<FetchRequest>(12).1, 0), [(0, value(0, 100))]);
}

#[test]
fn while_a_large_range_waits_for_the_disk_others_are_served() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, LARGE, HEADER);
    client.send(12, &fetch_request("cold", &[(0, 0), (1, 0)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    let response = client.receive::<FetchRequest>(12).1;
    assert_eq!(found(&response, 0), [(0, value(0, LARGE))]);
    assert_eq!(found(&response, 1), [(0, value(1, LARGE))]);
}

#[test]
fn while_the_indexes_of_a_log_are_read_for_the_first_time_others_are_served() {
    let fs = FaultyFileSystem::new();
    let small = [("segment.bytes", "20000"), ("index.interval.bytes", "500")];
    let broker = start(&fs);
    broker.create("cold", 1, &small);
    let mut client = broker.connect();
    for _ in 0..100 {
        assert_eq!(client.produce("cold", 0, batch(&[&value(0, 1000)])).error_code, 0);
    }
    drop((client, broker));
    let broker = start(&fs);
    broker.create("cold", 1, &small);
    broker.create("warm", 1, &[]);
    let mut client = broker.connect();
    client.produce("warm", 0, batch(&[b"warm"]));
    // The log is loaded, of its closed segments nothing was read.
    assert_eq!(fetched(&client.call(12, &fetch_request("cold", &[(0, 100)]))), [(0, 0, 0)]);
    fs.evict(0);
    fs.disk().shut();
    let _gate = OpenAtEnd(fs.clone());
    let before = fs.calls(Operation::Read);
    client.send(12, &fetch_request("cold", &[(0, 30)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    let response = client.receive::<FetchRequest>(12).1;
    assert_eq!(found(&response, 0).first(), Some(&(30, value(0, 1000))));
    assert!(fs.calls(Operation::Read) > before + 2, "an index and the log were read");
}

#[test]
fn what_is_asked_behind_a_cold_fetch_is_answered_after_it() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    let ids = [
        client.send(12, &fetch_request("cold", &[(0, 0)])),
        client.send(9, &produce_request("warm", 0, batch(&[b"behind"]), -1)),
        client.send(12, &fetch_request("warm", &[(0, 1)])),
    ];
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    let (first, response) = client.receive::<FetchRequest>(12);
    assert_eq!(found(&response, 0), [(0, value(0, 100))]);
    let (second, response) = client.receive::<ProduceRequest>(9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    let (third, response) = client.receive::<FetchRequest>(12);
    assert_eq!(found(&response, 0).len(), 2);
    assert_eq!([first, second, third], ids);
}

#[test]
fn cold_partitions_of_one_fetch_are_read_and_answered_together() {
    let fs = FaultyFileSystem::new();
    let (_broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    fs.disk().open();
    let response = client.call(12, &fetch_request("cold", &[(0, 0), (1, 0)]));
    assert_eq!(found(&response, 0), [(0, value(0, 100))]);
    assert_eq!(found(&response, 1), [(0, value(1, 100))]);
}

#[test]
fn a_cold_read_that_fails_is_56_and_is_told_to_python() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    fs.disk().open();
    fs.fail_after(Operation::Read, 0, ErrorKind::Other);
    assert_eq!(fetched(&client.call(12, &fetch_request("cold", &[(0, 0)]))), [(0, 56, 0)]);
    let events = broker.engine.take_events();
    assert_eq!(events.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["log_dir_offline"]);
}

#[test]
fn a_large_cold_range_that_cannot_be_read_ends_its_connection_only() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, LARGE, HEADER);
    client.send(12, &fetch_request("cold", &[(0, 0)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    fs.fail_after(Operation::Read, 0, ErrorKind::Other);
    fs.disk().open();
    let mut received = Vec::new();
    match client.stream.read_to_end(&mut received) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(_) => assert!(received.len() < LARGE, "bytes that nobody could read were sent"),
    }
    fs.heal();
    assert_others_are_served(&broker);
}

#[test]
fn a_partition_deleted_while_it_is_read_is_answered_as_deleted() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    client.send(12, &fetch_request("cold", &[(0, 0)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    broker.engine.delete_partitions("cold", &[0, 1]).expect("deleted");
    fs.disk().open();
    let response = client.receive::<FetchRequest>(12).1;
    assert_eq!(fetched(&response), [(0, 6, 0)]);
}

#[test]
fn a_client_that_leaves_a_cold_read_behind_costs_no_other_one() {
    let fs = FaultyFileSystem::new();
    let (broker, _client, _gate) = cold_broker(&fs, 100, 0);
    // More of them than there are helpers.
    let mut leaving: Vec<_> = (0..20).map(|_| broker.connect()).collect();
    for client in &mut leaving {
        client.send(12, &fetch_request("cold", &[(0, 0)]));
    }
    fs.disk().wait_for_reads(2).expect("reads of the disk");
    drop(leaving);
    assert_others_are_served(&broker);
    fs.disk().open();
    let response = broker.connect().call(12, &fetch_request("cold", &[(0, 0)]));
    assert_eq!(found(&response, 0), [(0, value(0, 100))]);
}

#[test]
fn a_shutdown_does_not_wait_for_the_disk() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_broker(&fs, 100, 0);
    client.send(12, &fetch_request("cold", &[(0, 0)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    let (engine, (tell, told)) = (Arc::clone(&broker.engine), mpsc::channel());
    let stopping = thread::spawn(move || {
        engine.stop(Duration::ZERO);
        let _ = tell.send(());
    });
    told.recv_timeout(PATIENCE).expect("it stopped");
    stopping.join().expect("no panic");
    client.assert_closed();
}

/// Two partitions of 100 batches, a ms apart, in several segments of which nothing is in memory, and the disk is shut.
fn cold_segments(fs: &FaultyFileSystem) -> (Broker, Client, OpenAtEnd) {
    let small = [("segment.bytes", "20000"), ("index.interval.bytes", "500")];
    let broker = start(fs);
    broker.create("cold", 2, &small);
    let mut client = broker.connect();
    for (index, number) in [0, 1].into_iter().flat_map(|index| (0..100).map(move |number| (index, number))) {
        let records = batch_with(BatchOptions::default(), FIRST_MS + number, &[&value(index, 1000)]);
        assert_eq!(client.produce("cold", index, records).error_code, 0);
    }
    drop((client, broker));
    let broker = start(fs);
    broker.create("cold", 2, &small);
    broker.create("warm", 1, &[]);
    let mut client = broker.connect();
    client.produce("warm", 0, batch(&[b"warm"]));
    // The logs are loaded, of their closed segments nothing was read.
    assert_eq!(offsets(&client.call(7, &offsets_request(&[(0, -1), (1, -1)]))), [(0, 100), (0, 100)]);
    assert_eq!(fetched(&client.call(12, &fetch_request("cold", &[(0, 100), (1, 100)]))), [(0, 0, 0), (1, 0, 0)]);
    fs.evict(0);
    fs.disk().shut();
    (broker, client, OpenAtEnd(fs.clone()))
}

/// ListOffsets of topic "cold" for (partition, time).
fn offsets_request(wanted: &[(i32, i64)]) -> ListOffsetsRequest {
    let partitions = wanted.iter().map(|&(index, timestamp)| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_timestamp(timestamp)
            .with_current_leader_epoch(-1)
    });
    ListOffsetsRequest::default()
        .with_topics(vec![ListOffsetsTopic::default().with_name(name("cold")).with_partitions(partitions.collect())])
}

/// (error, offset) of each partition.
fn offsets(response: &ListOffsetsResponse) -> Vec<(i16, i64)> {
    response.topics[0].partitions.iter().map(|answer| (answer.error_code, answer.offset)).collect()
}

#[test]
fn while_a_lookup_by_time_waits_for_the_disk_others_are_served() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_segments(&fs);
    client.send(7, &offsets_request(&[(0, FIRST_MS + 30), (1, FIRST_MS + 55), (0, -9)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    let response = client.receive::<ListOffsetsRequest>(7).1;
    assert_eq!(offsets(&response), [(0, 30), (0, 55), (42, -1)]);
}

#[test]
fn while_the_record_with_the_greatest_time_is_looked_for_on_the_disk_others_are_served() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_segments(&fs);
    client.send(7, &offsets_request(&[(0, -3), (1, -2)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    assert_eq!(offsets(&client.receive::<ListOffsetsRequest>(7).1), [(0, 99), (0, 0)]);
}

#[test]
fn what_is_asked_around_a_cold_lookup_is_answered_in_order() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_segments(&fs);
    let ids = [
        client.send(9, &produce_request("warm", 0, batch(&[b"before"]), -1)),
        client.send(7, &offsets_request(&[(0, FIRST_MS + 30)])),
        client.send(7, &offsets_request(&[(1, FIRST_MS + 31)])),
        client.send(9, &produce_request("warm", 0, batch(&[b"behind"]), -1)),
    ];
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    assert_others_are_served(&broker);
    fs.disk().open();
    let before = client.receive::<ProduceRequest>(9).0;
    let (first, one) = client.receive::<ListOffsetsRequest>(7);
    let (second, other) = client.receive::<ListOffsetsRequest>(7);
    let behind = client.receive::<ProduceRequest>(9).0;
    assert_eq!([before, first, second, behind], ids);
    assert_eq!([offsets(&one), offsets(&other)], [[(0, 30)], [(0, 31)]]);
}

#[test]
fn a_cold_lookup_that_fails_is_56_and_one_of_a_deleted_partition_6() {
    let fs = FaultyFileSystem::new();
    let (broker, mut client, _gate) = cold_segments(&fs);
    client.send(7, &offsets_request(&[(1, FIRST_MS + 30)]));
    fs.disk().wait_for_reads(1).expect("a read of the disk");
    broker.engine.delete_partitions("cold", &[1]).expect("deleted");
    fs.disk().open();
    assert_eq!(offsets(&client.receive::<ListOffsetsRequest>(7).1), [(6, -1)]);
    fs.fail_after(Operation::Read, 0, ErrorKind::Other);
    assert_eq!(offsets(&client.call(7, &offsets_request(&[(0, FIRST_MS + 30)]))), [(56, -1)]);
}
