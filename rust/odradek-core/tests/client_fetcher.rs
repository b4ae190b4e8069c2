//! The fetcher against a real engine: reading, seeking, pausing, resets, the bound on what it holds.

mod net_support;
mod reader_support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use net_support::{Broker, batch};
use odradek_core::client::ClientError;
use odradek_core::client::consumer::positions::{BY_POLICY, EARLIEST, LATEST, WAIT};
use odradek_core::client::consumer::{FetchError, Next};
use odradek_core::record::batch::HEADER_BYTES;
use reader_support::{PATIENCE, Reader, name};

/// A topic whose partitions hold records "PARTITION:OFFSET".
fn filled(partitions: i32, records: i64) -> Broker {
    let broker = Broker::start(&[]);
    broker.create("orders", partitions, &[]);
    let mut client = broker.connect();
    for index in 0..partitions {
        let values: Vec<_> = (0..records).map(|offset| format!("{index}:{offset}")).collect();
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        for values in values.chunks(10) {
            assert_eq!(client.produce("orders", index, batch(values)).error_code, 0);
        }
    }
    broker
}

/// A topic of one partition with 12 batches of one record of 30 kB, "NN:vvv...".
fn twelve_large_batches() -> Broker {
    let broker = Broker::start(&[]);
    broker.create("orders", 1, &[]);
    let mut client = broker.connect();
    for number in 0..12 {
        let value = format!("{number:02}:{}", "v".repeat(30_000));
        assert_eq!(client.produce("orders", 0, batch(&[value.as_bytes()])).error_code, 0);
    }
    broker
}

/// Changes the log of the first partition behind the broker's back.
fn damage_log(broker: &Broker, change: impl FnOnce(&mut [u8])) {
    let log = broker.dir.path().join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).expect("the log");
    change(&mut bytes);
    std::fs::write(&log, &bytes).expect("writes");
}

fn offsets(records: &[(i32, i64, String)]) -> Vec<i64> {
    records.iter().map(|(_, offset, _)| *offset).collect()
}

#[test]
fn every_record_of_every_partition_comes_once_and_in_order() {
    let broker = filled(3, 100);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0), (1, EARLIEST), (2, 50)]);
    let mut next = HashMap::from([(0, 0), (1, 0), (2, 50)]);
    for (partition, offset, value) in reader.read(250) {
        let expected = next.get_mut(&partition).expect("assigned");
        assert_eq!((offset, value), (*expected, format!("{partition}:{offset}")));
        *expected += 1;
    }
    assert_eq!(next, HashMap::from([(0, 100), (1, 100), (2, 100)]));
    for partition in 0..3 {
        assert_eq!(reader.fetcher.position(&name(partition)).expect("open").map(|(offset, _)| offset), Some(100));
    }
    assert_eq!(reader.fetcher.lag().expect("open").values().sum::<i64>(), 0);
    assert!((reader.metric("records_consumed_total") - 250.0).abs() < 0.5);
}

#[test]
fn records_that_come_later_wake_a_waiting_poll() {
    let broker = filled(1, 10);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0)]);
    reader.read(10);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reader.read(1));
        broker.connect().produce("orders", 0, batch(&[b"late"]));
        assert_eq!(waiting.join().expect("ends"), [(0, 10, "late".to_owned())]);
    });
}

#[test]
fn a_seek_drops_what_is_buffered_and_goes_on_there() {
    let broker = filled(1, 100);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0)]);
    assert_eq!(reader.read(3).last().map(|(_, offset, _)| *offset), Some(2));
    assert!(reader.fetcher.set_position(&name(0), 77, -1).expect("open"));
    assert_eq!(reader.fetcher.position(&name(0)).expect("open"), Some((77, -1)));
    assert_eq!(reader.read(1)[0].1, 77);
    assert!(reader.fetcher.set_position(&name(0), EARLIEST, -1).expect("open"));
    assert_eq!(reader.read(1)[0].1, 0);
    assert!(!reader.fetcher.set_position(&name(1), 0, -1).expect("open"), "not assigned");
}

#[test]
fn a_paused_partition_gives_nothing_and_loses_nothing() {
    let broker = filled(2, 100);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0), (1, 0)]);
    reader.read(5);
    reader.fetcher.set_paused(&[name(0)], true).expect("open");
    let before = reader.fetcher.position(&name(0)).expect("open").expect("assigned").0;
    let rest = 100 - reader.fetcher.position(&name(1)).expect("open").expect("assigned").0;
    let records = reader.read(usize::try_from(rest).expect("small"));
    assert!(records.iter().all(|(partition, ..)| *partition == 1));
    assert!(reader.poll(10, Duration::from_millis(50)).expect("no error").is_empty());
    assert_eq!(reader.fetcher.position(&name(0)).expect("open").expect("assigned").0, before);
    reader.fetcher.set_paused(&[name(0)], false).expect("open");
    assert_eq!(reader.read(1)[0], (0, before, format!("0:{before}")));
    assert_eq!(reader.fetcher.set_paused(&[name(0), name(9)], true).expect("open"), Some(name(9)));
}

#[test]
fn partitions_that_stay_assigned_keep_their_place() {
    let broker = filled(2, 20);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0)]);
    reader.read(7);
    reader.assign(&[(0, 0), (1, 0)]);
    let records = reader.read(33);
    let of_first: Vec<_> =
        records.iter().filter(|(partition, ..)| *partition == 0).map(|(_, offset, _)| *offset).collect();
    assert_eq!(of_first, (7..20).collect::<Vec<_>>());
    reader.assign(&[(1, 0)]);
    assert!(reader.fetcher.position(&name(0)).expect("open").is_none());
}

/// A topic of two partitions, the first with 60 records of 30 kB, and a reader that got so much of it as it may hold while
/// the broker holds a fetch of the second, which is empty, for longer than any test waits.
fn reader_that_waits() -> (Broker, Reader) {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    let value = vec![b'v'; 30_000];
    for _ in 0..60 {
        client.produce("orders", 0, batch(&[&value]));
    }
    let reader = Reader::new(&broker, &[("max.partition.fetch.bytes", "40000"), ("fetch.max.wait.ms", "60000")]);
    reader.assign(&[(0, 0), (1, 0)]);
    reader.read(1);
    while reader.metric("buffered_bytes") < 160_000.0 {
        std::thread::yield_now();
    }
    (broker, reader)
}

#[test]
fn a_partition_that_was_held_back_does_not_wait_for_others_that_are_at_their_end() {
    let (broker, reader) = reader_that_waits();
    assert_eq!(offsets(&reader.read(59)), (1..60).collect::<Vec<_>>());
    let mut client = broker.connect();
    for offset in 60..65 {
        client.produce("orders", 0, batch(&[b"late"]));
        assert_eq!(reader.read(1), [(0, offset, "late".to_owned())], "it is looked after also at its end");
    }
    client.produce("orders", 1, batch(&[b"second"]));
    assert_eq!(reader.read(1), [(1, 0, "second".to_owned())]);
}

#[test]
fn a_seek_does_not_wait_for_a_fetch_that_the_broker_holds() {
    let broker = filled(1, 10);
    let reader = Reader::new(&broker, &[("fetch.max.wait.ms", "60000")]);
    reader.assign(&[(0, 10)]);
    assert_eq!(reader.poll(1, Duration::ZERO).expect("no error"), []);
    while reader.metric("buffered_bytes") < 1.0 {
        std::thread::yield_now();
    }
    reader.fetcher.set_position(&name(0), 7, -1).expect("open");
    assert_eq!(offsets(&reader.read(3)), [7, 8, 9]);
}

#[test]
fn looks_at_a_partition_at_its_end_grow_rare_while_the_broker_holds_a_fetch() {
    let (_broker, reader) = reader_that_waits();
    reader.read(59);
    let before = reader.metric("fetch_total");
    assert_eq!(reader.poll(1, Duration::from_millis(700)).expect("no error"), []);
    let looks = reader.metric("fetch_total") - before;
    assert!(looks < 12.0, "{looks} fetches in vain");
}

#[test]
fn a_partition_without_a_position_waits_for_one() {
    let broker = filled(1, 5);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, WAIT)]);
    assert!(reader.poll(10, Duration::from_millis(100)).expect("no error").is_empty());
    assert_eq!(reader.fetcher.position(&name(0)).expect("open"), Some((-1, -1)));
    reader.fetcher.set_position(&name(0), 4, -1).expect("open");
    assert_eq!(reader.read(1)[0].1, 4);
}

#[test]
fn the_policy_decides_where_a_lost_position_goes_on() {
    let broker = filled(1, 10);
    for (policy, first) in [("earliest", 0), ("latest", 10)] {
        let reader = Reader::new(&broker, &[("auto.offset.reset", policy)]);
        for start in [BY_POLICY, 5_000] {
            reader.assign(&[]);
            reader.assign(&[(0, start)]);
            if policy == "latest" {
                // Where it goes on is told by the position; nothing is there yet.
                while reader.fetcher.position(&name(0)).expect("open") != Some((first, 0)) {
                    assert!(reader.poll(1, Duration::from_millis(5)).expect("no error").is_empty());
                }
            } else {
                assert_eq!(reader.read(1)[0].1, first);
            }
        }
    }
}

#[test]
fn without_a_policy_a_lost_position_is_an_error_with_the_range_until_a_seek() {
    let broker = filled(2, 10);
    let reader = Reader::new(&broker, &[("auto.offset.reset", "none"), ("retry.backoff.max.ms", "1")]);
    reader.assign(&[(0, 5_000), (1, 0)]);
    let mut others = 0;
    let error = loop {
        match reader.poll(100, PATIENCE) {
            Ok(records) => others += records.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, FetchError::OutOfRange { offset: 5_000, first: 0, end: 10, .. }), "{error}");
    for part in ["orders-0", "5000", "0..10"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(matches!(reader.error(), FetchError::OutOfRange { .. }), "told again while it stays");
    reader.fetcher.set_position(&name(0), 9, -1).expect("open");
    let rest = reader.read(11 - others);
    assert!(rest.contains(&(0, 9, "0:9".to_owned())));
    reader.assign(&[]);
    reader.assign(&[(0, BY_POLICY)]);
    assert!(matches!(reader.error(), FetchError::NoOffset { .. }));
}

#[test]
fn what_is_held_stays_within_the_bound_with_many_partitions_and_a_slow_reader() {
    let broker = Broker::start(&[]);
    broker.create("orders", 200, &[]);
    let mut client = broker.connect();
    let value = vec![b'v'; 20_000];
    for index in 0..200 {
        for _ in 0..2 {
            client.produce("orders", index, batch(&[&value]));
        }
    }
    let bound = 1_000_000;
    let reader = Reader::new(
        &broker,
        &[("buffer.max.bytes", "1000000"), ("max.partition.fetch.bytes", "50000"), ("fetch.max.bytes", "400000")],
    );
    reader.assign(&(0..200).map(|index| (index, 0)).collect::<Vec<_>>());
    let mut seen = HashMap::<i32, i64>::new();
    let mut most = 0.0_f64;
    for _ in 0..400 {
        let records = reader.read(1);
        most = most.max(reader.metric("buffered_bytes"));
        *seen.entry(records[0].0).or_default() += 1;
        if seen.len() == 1 {
            // Nobody reads meanwhile: it goes on by itself, by more than one answer.
            let until = Instant::now() + PATIENCE;
            while reader.metric("buffered_bytes") < 600_000.0 && Instant::now() < until {
                std::thread::yield_now();
            }
            most = most.max(reader.metric("buffered_bytes"));
        }
    }
    assert!(most <= f64::from(bound), "held {most}");
    assert!(most >= 600_000.0, "it reads ahead: {most}");
    assert!(seen.values().all(|&count| count == 2) && seen.len() == 200);
}

#[test]
fn small_batches_stay_within_the_bound_with_all_that_is_kept_beside_them() {
    let broker = filled(1, 0);
    let mut client = broker.connect();
    let small: Vec<u8> = (0..2_000).flat_map(|_| batch(&[b"s"])).collect();
    for records in small.chunks(small.len() / 2_000) {
        assert_eq!(client.produce("orders", 0, records.to_vec()).error_code, 0);
    }
    let bound = 60_000;
    let reader = Reader::new(&broker, &[("buffer.max.bytes", "60000")]);
    reader.assign(&[(0, 0)]);
    // The first answer teaches how much there is beside the bytes.
    reader.read(1_000);
    for _ in 0..10 {
        reader.read(100);
        let held = reader.metric("buffered_bytes");
        assert!(held <= f64::from(bound), "held {held}");
    }
}

#[test]
fn a_batch_larger_than_every_limit_still_comes() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[("max.message.bytes", "3000000")]);
    let large = vec![b'v'; 2_000_000];
    let mut client = broker.connect();
    for index in 0..2 {
        for _ in 0..2 {
            assert_eq!(client.produce("orders", index, batch(&[&large])).error_code, 0);
        }
    }
    let settings = [("buffer.max.bytes", "1000"), ("max.partition.fetch.bytes", "100"), ("fetch.max.bytes", "100")];
    let reader = Reader::new(&broker, &settings);
    reader.assign(&[(0, 0), (1, 0)]);
    assert!(reader.read(4).iter().all(|(_, _, value)| value.len() == 2_000_000));
}

#[test]
fn paused_partitions_that_fill_the_buffer_do_not_starve_the_others() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    let value = vec![b'v'; 30_000];
    for _ in 0..10 {
        client.produce("orders", 0, batch(&[&value]));
        client.produce("orders", 1, batch(&[b"small"]));
    }
    let settings = [("buffer.max.bytes", "100000"), ("max.partition.fetch.bytes", "60000")];
    let reader = Reader::new(&broker, &settings);
    reader.assign(&[(0, 0)]);
    reader.read(1);
    while reader.metric("buffered_bytes") < 60_000.0 {
        std::thread::yield_now();
    }
    reader.fetcher.set_paused(&[name(0)], true).expect("open");
    reader.assign(&[(0, 0), (1, 0)]);
    assert!(reader.read(10).iter().all(|(partition, ..)| *partition == 1));
    reader.fetcher.set_paused(&[name(0)], false).expect("open");
    assert_eq!(offsets(&reader.read(9)), (1..10).collect::<Vec<_>>(), "what was dropped came again");
}

#[test]
fn a_corrupt_batch_is_told_once_behind_what_came_before_it_and_can_be_stepped_over() {
    let broker = filled(2, 10);
    let mut client = broker.connect();
    client.produce("orders", 0, batch(&[b"bad", b"bad too"]));
    client.produce("orders", 0, batch(&[b"good"]));
    damage_log(&broker, |bytes| {
        let at = bytes.windows(3).position(|window| window == b"bad").expect("written");
        bytes[at] = b'X';
    });
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0), (1, 0)]);
    let mut records = Vec::new();
    let error = loop {
        match reader.poll(3, PATIENCE) {
            Ok(polled) => records.extend(polled),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FetchError::Corrupt { offset: 10, next_offset: 12, .. }), "{error}");
    assert_eq!(records.iter().filter(|(partition, ..)| *partition == 0).count(), 10);
    records.extend(reader.read(20 - records.len()));
    assert_eq!(records.iter().filter(|(partition, ..)| *partition == 1).count(), 10, "the other goes on");
    reader.fetcher.set_position(&name(0), 11, -1).expect("open");
    assert_eq!(reader.read(1), [(0, 12, "good".to_owned())]);
}

#[test]
fn what_was_fetched_ahead_of_a_corrupt_batch_is_dropped_and_nothing_is_skipped() {
    let broker = twelve_large_batches();
    damage_log(&broker, |bytes| {
        let at = bytes.windows(5).position(|window| window == b"05:vv").expect("written");
        bytes[at] = b'X';
    });
    // Two batches an answer: the headers of the one with the bad batch lead to a fetch behind it before it is decoded.
    let reader = Reader::new(&broker, &[("max.partition.fetch.bytes", "70000"), ("retry.backoff.max.ms", "10")]);
    reader.assign(&[(0, 0)]);
    assert_eq!(offsets(&reader.read(5)), [0, 1, 2, 3, 4]);
    for _ in 0..2 {
        let error = reader.error();
        assert!(matches!(error, FetchError::Corrupt { offset: 5, next_offset: 6, .. }), "{error}");
        assert_eq!(reader.fetcher.position(&name(0)).expect("open").map(|(offset, _)| offset), Some(5));
    }
    reader.fetcher.set_position(&name(0), 6, -1).expect("open");
    assert_eq!(offsets(&reader.read(6)), [6, 7, 8, 9, 10, 11]);
}

#[test]
fn a_batch_that_turns_out_unreadable_while_it_is_polled_is_told_again_and_nothing_behind_it_comes() {
    let broker = twelve_large_batches();
    damage_log(&broker, |bytes| {
        let size = bytes.len() / 12;
        // The length of the batch's first record: no header shows that it lies.
        bytes[6 * size + HEADER_BYTES] = 0x01;
    });
    let settings = [("max.partition.fetch.bytes", "70000"), ("retry.backoff.max.ms", "10"), ("check.crcs", "false")];
    let reader = Reader::new(&broker, &settings);
    reader.assign(&[(0, 0)]);
    assert_eq!(offsets(&reader.read(6)), [0, 1, 2, 3, 4, 5]);
    while reader.metric("buffered_chunks") < 2.0 {
        std::thread::yield_now();
    }
    for _ in 0..2 {
        let error = reader.poll(10, PATIENCE).expect_err("the batch can't be read");
        assert!(matches!(error, FetchError::Corrupt { offset: 6, next_offset: 7, .. }), "{error}");
        assert_eq!(reader.fetcher.position(&name(0)).expect("open").map(|(offset, _)| offset), Some(6));
    }
    reader.fetcher.set_position(&name(0), 7, -1).expect("open");
    assert_eq!(offsets(&reader.read(5)), [7, 8, 9, 10, 11]);
}

#[test]
fn an_unreadable_batch_of_a_partition_that_was_paused_for_others_is_told_when_it_resumes() {
    let broker = Broker::start(&[]);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    let value = vec![b'v'; 20_000];
    for _ in 0..10 {
        client.produce("orders", 0, batch(&[&value]));
        client.produce("orders", 1, batch(&[b"small"]));
    }
    damage_log(&broker, |bytes| {
        let size = bytes.len() / 10;
        bytes[6 * size - 1] ^= 1;
    });
    // A batch an answer; the last is the bad one, and there is no room for anything else.
    let reader = Reader::new(&broker, &[("buffer.max.bytes", "90000")]);
    reader.assign(&[(0, 0)]);
    reader.read(1);
    let until = Instant::now() + PATIENCE;
    while reader.metric("buffered_chunks") < 5.0 && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(reader.metric("buffered_chunks") >= 5.0, "four batches that can be read, and the error");
    reader.fetcher.set_paused(&[name(0)], true).expect("open");
    reader.assign(&[(0, 0), (1, 0)]);
    assert!(reader.read(10).iter().all(|(partition, ..)| *partition == 1));
    reader.fetcher.set_paused(&[name(0)], false).expect("open");
    assert_eq!(offsets(&reader.read(4)), [1, 2, 3, 4]);
    let error = reader.poll(1, PATIENCE).expect_err("the batch can't be read");
    assert!(matches!(error, FetchError::Corrupt { offset: 5, .. }), "{error}");
}

#[test]
fn wakeup_ends_a_wait_or_the_next_one() {
    let broker = filled(1, 0);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, LATEST)]);
    reader.fetcher.wakeup();
    assert!(matches!(reader.fetcher.next(Instant::now() + PATIENCE), Ok(Next::Woken)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| matches!(reader.fetcher.next(Instant::now() + PATIENCE), Ok(Next::Woken)));
        reader.fetcher.wakeup();
        assert!(waiting.join().expect("ends"));
    });
}

#[test]
fn a_topic_made_after_the_assignment_is_read_once_it_is_there() {
    let broker = Broker::start(&[]);
    let reader = Reader::new(&broker, &[("retry.backoff.ms", "10"), ("allow.auto.create.topics", "false")]);
    reader.assign(&[(0, 0)]);
    assert!(reader.poll(1, Duration::from_millis(100)).expect("no error").is_empty());
    broker.create("orders", 1, &[]);
    broker.connect().produce("orders", 0, batch(&[b"first"]));
    assert_eq!(reader.read(1), [(0, 0, "first".to_owned())]);
}

#[test]
fn no_broker_at_all_is_an_error_of_the_poll() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port();
    let reader = Reader::of_port(port, &[("request.timeout.ms", "200")]);
    reader.assign(&[(0, 0)]);
    let error = reader.error();
    assert!(matches!(&error, FetchError::Client(ClientError::NoBrokers { .. })), "{error}");
    assert!(error.to_string().contains(&port.to_string()));
}

#[test]
fn after_close_every_call_says_so() {
    let broker = filled(1, 1);
    let reader = Reader::new(&broker, &[]);
    reader.assign(&[(0, 0)]);
    reader.fetcher.close();
    reader.fetcher.close();
    assert!(matches!(reader.fetcher.assign(&[]), Err(ClientError::Closed)));
    assert!(matches!(reader.fetcher.next(Instant::now()), Err(ClientError::Closed)));
}
