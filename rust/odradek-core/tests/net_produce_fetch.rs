//! Produce and Fetch over real sockets: what goes in comes out, at every version, and errors are Kafka's.

mod net_support;

use bytes::Bytes;
use kafka_protocol::messages::{FetchRequest, ProduceRequest};
use net_support::{Broker, batch, batch_with, fetch_request, fetched, produce_request, records, topic_id};
use odradek_core::record::builder::BatchOptions;
use uuid::Uuid;

#[test]
fn records_come_back_at_every_version() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    for version in 3..=13 {
        let request = produce_request("orders", 1, batch(&[b"a", b"b"]), 1);
        let response = client.call(version, &request);
        let topic = &response.responses[0];
        let answer = &topic.partition_responses[0];
        assert_eq!((answer.index, answer.error_code), (1, 0), "v{version}");
        assert_eq!(answer.base_offset, i64::from(version - 3) * 2);
        assert_eq!((answer.log_append_time_ms, answer.current_leader.leader_id.0), (-1, -1));
        assert_eq!(topic.topic_id, if version >= 13 { topic_id("orders") } else { Uuid::nil() });
    }
    for version in 4..=18 {
        let response = client.call(version, &fetch_request("orders", &[(0, 0), (1, 0)]));
        let partitions = &response.responses[0].partitions;
        assert_eq!((partitions[0].high_watermark, partitions[0].error_code), (0, 0), "v{version}");
        let found = records(partitions[1].records.as_deref().expect("records"));
        assert_eq!(found.len(), 22);
        assert_eq!(found[3], (3, b"b".to_vec()));
        assert_eq!((partitions[1].high_watermark, partitions[1].last_stable_offset), (22, 22));
        assert_eq!(partitions[1].preferred_read_replica.0, -1);
    }
}

#[test]
fn a_fetch_from_the_middle_of_a_batch_returns_the_whole_batch() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    client.produce("orders", 0, batch(&[b"a", b"b", b"c"]));
    client.produce("orders", 0, batch(&[b"d", b"e", b"f"]));
    let response = client.call(12, &fetch_request("orders", &[(0, 4)]));
    let found = records(response.responses[0].partitions[0].records.as_deref().expect("records"));
    assert_eq!(found.first(), Some(&(3, b"d".to_vec())));
    assert_eq!(found.len(), 3);
}

#[test]
fn a_first_batch_larger_than_every_limit_is_returned_and_the_next_partition_waits_its_turn() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    let value = vec![b'x'; 5000];
    for index in [0, 0, 1] {
        client.produce("orders", index, batch(&[&value]));
    }
    let mut request = fetch_request("orders", &[(0, 0), (1, 0)]).with_max_bytes(100);
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = 10;
    }
    let response = client.call(11, &request);
    let one = batch(&[&value]).len();
    assert_eq!(fetched(&response), [(0, 0, one), (1, 0, 0)]);
}

#[test]
fn large_answers_are_whole_and_in_order() {
    // Larger than what is copied into the response, so the records go from the file to the socket.
    let broker = Broker::start(&[]);
    broker.create("orders", 3, &[("max.message.bytes", "4000000")]);
    let mut client = broker.connect();
    let value = |fill: u8, size: usize| vec![fill; size];
    for (index, size) in [(0, 300_000), (1, 20), (2, 3_000_000)] {
        let answer = client.produce("orders", index, batch(&[&value(index as u8, size)]));
        assert_eq!(answer.error_code, 0);
    }
    let mut request = fetch_request("orders", &[(0, 0), (1, 0), (2, 0)]);
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = 8 << 20;
    }
    for version in [4, 11, 12, 17] {
        let response = client.call(version, &request);
        for (partition, size) in response.responses[0].partitions.iter().zip([300_000, 20, 3_000_000]) {
            let found = records(partition.records.as_deref().expect("records"));
            assert_eq!(found, [(0, value(partition.partition_index as u8, size))]);
        }
    }
}

#[test]
fn pipelined_requests_are_appended_and_answered_in_order() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    let mut sent = Vec::new();
    for at in 0..200_u32 {
        sent.push(client.send(9, &produce_request("orders", 0, batch(&[&at.to_be_bytes()]), -1)));
    }
    for (offset, id) in (0..).zip(sent) {
        let (answered, response) = client.receive::<ProduceRequest>(9);
        assert_eq!(answered, id);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
}

#[test]
fn a_produce_behind_a_waiting_fetch_is_appended_at_once_and_answered_in_turn() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let (mut waiting, mut other) = (broker.connect(), broker.connect());
    let long_poll = fetch_request("orders", &[(0, 0)]).with_max_wait_ms(15_000);
    let fetch = waiting.send(12, &long_poll);
    let produce = waiting.send(9, &produce_request("orders", 1, batch(&[b"behind"]), -1));
    // A long poll of another client sees the record: it was appended although its answer still waits.
    let seen = other.call(12, &fetch_request("orders", &[(1, 0)]).with_max_wait_ms(15_000));
    assert_eq!(fetched(&seen), [(1, 0, batch(&[b"behind"]).len())]);
    other.produce("orders", 0, batch(&[b"wake"]));
    let (answered, response) = waiting.receive::<FetchRequest>(12);
    assert_eq!(answered, fetch);
    assert_eq!(fetched(&response), [(0, 0, batch(&[b"wake"]).len())]);
    assert_eq!(waiting.receive::<ProduceRequest>(9).0, produce);
}

#[test]
fn a_long_poll_waits_for_min_bytes_and_is_woken_by_appends() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let (mut consumer, mut producer) = (broker.connect(), broker.connect());
    let one = batch(&[b"0123456789"]);
    let min_bytes = i32::try_from(3 * one.len()).expect("small");
    consumer.send(12, &fetch_request("orders", &[(0, 0)]).with_max_wait_ms(15_000).with_min_bytes(min_bytes));
    for _ in 0..3 {
        producer.produce("orders", 0, one.clone());
    }
    let (_, response) = consumer.receive::<FetchRequest>(12);
    assert_eq!(fetched(&response), [(0, 0, 3 * one.len())]);
}

#[test]
fn a_long_poll_ends_with_what_there_is_when_its_time_is_up() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    client.produce("orders", 0, batch(&[b"a"]));
    let request = fetch_request("orders", &[(0, 0)]).with_max_wait_ms(50).with_min_bytes(1 << 20);
    assert_eq!(fetched(&client.call(12, &request)), [(0, 0, batch(&[b"a"]).len())]);
}

#[test]
fn deleting_a_partition_answers_the_fetches_that_wait_on_it() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    client.send(12, &fetch_request("orders", &[(0, 0)]).with_max_wait_ms(15_000));
    // Answered requests of the same thread tell that the fetch before them was taken.
    client.send(9, &produce_request("missing", 0, batch(&[b"a"]), -1));
    broker.engine.delete_partitions("orders", &[0]).expect("deletes");
    let (_, response) = client.receive::<FetchRequest>(12);
    let error = fetched(&response)[0].1;
    assert!(error == 6 || error == 3, "error {error}");
}

#[test]
fn errors_are_kafkas() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[("max.message.bytes", "1000")]);
    let mut client = broker.connect();
    let mut bad_crc = batch(&[b"a"]);
    *bad_crc.last_mut().expect("bytes") ^= 1;
    let magic = |magic: u8| {
        let mut bytes = batch(&[b"a"]);
        bytes[16] = magic;
        bytes
    };
    let two_batches = [batch(&[b"a"]), batch(&[b"b"])].concat();
    let partial_after = [batch(&[b"a"]), batch(&[b"b"])[..40].to_vec()].concat();
    let cases = [
        ("bad CRC", "orders", 0, bad_crc, 2),
        ("magic 0", "orders", 0, magic(0), 87),
        ("magic 1", "orders", 0, magic(1), 87),
        ("magic 3", "orders", 0, magic(3), 2),
        ("too large", "orders", 0, batch(&[&[b'x'; 2000]]), 10),
        ("no records", "orders", 0, Vec::new(), 87),
        ("two batches", "orders", 0, two_batches, 87),
        ("unknown topic", "missing", 0, batch(&[b"a"]), 3),
        ("unknown partition", "orders", 7, batch(&[b"a"]), 3),
        ("negative partition", "orders", -1, batch(&[b"a"]), 3),
        ("internal topic", "__consumer_offsets", 0, batch(&[b"a"]), 17),
        ("a whole batch and half of another", "orders", 0, partial_after, 0),
    ];
    broker.create("__consumer_offsets", 1, &[]);
    for (case, topic, index, bytes, error) in cases {
        let answer = client.produce(topic, index, bytes);
        assert_eq!(answer.error_code, error, "{case}");
        assert_eq!(answer.base_offset, if error == 0 { 0 } else { -1 }, "{case}");
    }
    assert_eq!(broker.engine.offsets("orders", 0).expect("hosted"), (0, 1, 1), "nothing else was appended");
}

#[test]
fn a_transactional_batch_without_a_transactional_id_is_refused_as_a_whole() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    let options =
        BatchOptions { transactional: true, producer_id: 5, producer_epoch: 0, base_sequence: 0, ..Default::default() };
    let records = batch_with(options, 1_700_000_000_000, &[b"a"]);
    assert_eq!(client.produce("orders", 0, records).error_code, 53);
}

#[test]
fn idempotent_duplicates_get_the_first_offset_and_gaps_are_refused() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    let sequenced = |producer_epoch, base_sequence| {
        let options = BatchOptions { producer_id: 5, producer_epoch, base_sequence, ..Default::default() };
        batch_with(options, 1_700_000_000_000, &[b"a", b"b"])
    };
    let mut send = |epoch, sequence| {
        let answer = client.produce("orders", 0, sequenced(epoch, sequence));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(send(1, 0), (0, 0));
    assert_eq!(send(1, 2), (0, 2));
    assert_eq!(send(1, 2), (0, 2), "a duplicate");
    assert_eq!(send(1, 6), (45, -1), "a gap");
    assert_eq!(send(0, 4), (47, -1), "an old epoch");
    assert_eq!(send(1, 4), (0, 4));
}

#[test]
fn acks_decide_the_answer() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    client.send(9, &produce_request("orders", 0, batch(&[b"a"]), 0));
    let response = client.call(9, &produce_request("orders", 0, batch(&[b"b"]), 1));
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1, "acks=0 was appended, silently");
    let response = client.call(9, &produce_request("orders", 0, batch(&[b"b"]), 2));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 21);
    client.send(9, &produce_request("missing", 0, batch(&[b"a"]), 0));
    client.assert_closed();
}

#[test]
fn too_few_in_sync_replicas_refuse_acks_all_only() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[("min.insync.replicas", "2")]);
    let mut client = broker.connect();
    assert_eq!(client.produce("orders", 0, batch(&[b"a"])).error_code, 19);
    let response = client.call(9, &produce_request("orders", 0, batch(&[b"a"]), 1));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn acks_all_waits_for_the_in_sync_replicas_and_times_out() {
    let broker = Broker::start(&[]);
    let id = broker.create("orders", 1, &[]);
    let lead = |replicas| {
        broker.engine.host_partitions("orders", id, &Default::default(), &[(0, 0, replicas)]).expect("leads");
    };
    lead(2);
    let mut client = broker.connect();
    let request = produce_request("orders", 0, batch(&[b"a"]), -1);
    let response = client.call(9, &request.clone().with_timeout_ms(30));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 7, "no follower came");
    client.send(9, &request);
    // An answer to acks=1 can't overtake, so a second client tells when the first one's batch is in the log.
    let mut other = broker.connect();
    while other.call(9, &produce_request("orders", 0, batch(&[b"b"]), 1)).responses[0].partition_responses[0]
        .base_offset
        < 2
    {}
    lead(1);
    let (_, response) = client.receive::<ProduceRequest>(9);
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, 0);
    assert!(answer.base_offset >= 1);
}

#[test]
fn produce_before_version_3_is_refused_in_its_own_form() {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    for (version, tail) in [(0_u8, 0), (1, 4), (2, 12)] {
        let mut client = broker.connect();
        let mut body = vec![0, 0, 0, version, 0, 0, 0, 9, 0xff, 0xff];
        body.extend([0, 1, 0, 0, 0, 10]);
        body.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2]);
        let mut frame = u32::try_from(body.len()).expect("small").to_be_bytes().to_vec();
        frame.extend(body);
        client.send_raw(&frame);
        let answer = client.receive_raw().expect("an answer");
        assert_eq!(&answer[..4], [0, 0, 0, 9]);
        assert_eq!(&answer[4..15], [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1]);
        assert_eq!(&answer[19..21], [0, 35], "v{version}");
        assert_eq!(answer.len(), 29 + tail);
    }
}

#[test]
fn fetch_errors_are_kafkas() {
    let broker = Broker::start(&[]);
    let id = broker.create("orders", 1, &[]);
    broker.engine.host_partitions("orders", id, &Default::default(), &[(0, 5, 1)]).expect("leads at epoch 5");
    let mut client = broker.connect();
    client.produce("orders", 0, batch(&[b"a"]));
    let error = |client: &mut net_support::Client, version: i16, request: &FetchRequest| {
        let response = client.call(version, request);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.high_watermark, partition.log_start_offset), (-1, -1));
        partition.error_code
    };
    for (offset, topic, index, expected) in
        [(-1, "orders", 0, 1), (2, "orders", 0, 1), (0, "orders", 3, 3), (0, "missing", 0, 3)]
    {
        assert_eq!(error(&mut client, 12, &fetch_request(topic, &[(index, offset)])), expected);
    }
    assert_eq!(error(&mut client, 13, &fetch_request("missing", &[(0, 0)])), 100);
    for (epoch, expected) in [(4, 74), (6, 75)] {
        let mut request = fetch_request("orders", &[(0, 0)]);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(error(&mut client, 12, &request), expected);
    }
    let mut request = fetch_request("orders", &[(0, 0)]);
    request.topics[0].partitions[0].current_leader_epoch = 5;
    assert_eq!(client.call(12, &request).responses[0].partitions[0].error_code, 0);
}

#[test]
fn records_survive_a_restart() {
    let broker = Broker::start(&[]);
    let id = broker.create("orders", 1, &[]);
    broker.connect().produce("orders", 0, batch(&[b"a", b"b"]));
    broker.engine.close().expect("closes");
    let settings = [
        ("log.dirs".to_owned(), broker.dir.path().to_string_lossy().into_owned()),
        ("node.id".to_owned(), "1".to_owned()),
    ];
    let again = odradek_core::engine::Engine::open(&settings.into_iter().collect()).expect("opens");
    assert_eq!(again.cluster_id(), broker.engine.cluster_id());
    again.host_partitions("orders", id, &Default::default(), &[(0, 1, 1)]).expect("hosts");
    assert_eq!(again.offsets("orders", 0).expect("hosted"), (0, 2, 2));
    assert_eq!(records(&again.read("orders", 0, 0, 1 << 20).expect("reads")).len(), 2);
    assert_eq!(again.append("orders", 0, Bytes::from(batch(&[b"c"]))).expect("appends"), (2, 2));
    again.close().expect("closes");
}
