//! What a consumer makes of the bytes of a Fetch answer: good ones, bad ones, and those of aborted transactions.

mod net_support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use net_support::{batch, batch_with};
use odradek_core::client::consumer::ahead;
use odradek_core::client::consumer::budget::Budget;
use odradek_core::client::consumer::chunk::{Chunk, Failure};
use odradek_core::client::consumer::decode::{DecodeRules, Decoded, decode};
use odradek_core::client::consumer::{FetchedRecord, Run, Sink};
use odradek_core::compress::Compression;
use odradek_core::log::types::{AbortedTransaction, TopicPartition};
use odradek_core::record::batch::{BatchError, HEADER_BYTES, assign};
use odradek_core::record::builder::BatchOptions;
use tokio::sync::Notify;

const RULES: DecodeRules =
    DecodeRules { check_crcs: true, committed_only: false, max_batch_bytes: 1 << 20, unpack: true };

#[derive(Default)]
struct Kept {
    records: Vec<(i64, String)>,
    room: Option<usize>,
}

impl Sink for Kept {
    fn begin(&mut self, run: &Run<'_>) {
        assert!(run.records <= run.bytes / 7 + 1, "a lying count asks for no more than the bytes can hold");
    }

    fn record(&mut self, record: &FetchedRecord<'_>) {
        let value = String::from_utf8_lossy(record.value.unwrap_or_default());
        self.records.push((record.offset, value.into_owned()));
    }

    fn has_room(&self) -> bool {
        self.room.is_none_or(|room| self.records.len() < room)
    }
}

fn budget(limit: usize) -> Arc<Budget> {
    Budget::new(limit, Arc::new(Notify::new()))
}

fn decoded(
    bytes: &[u8],
    from: i64,
    aborted: Vec<AbortedTransaction>,
    rules: DecodeRules,
    budget: &Arc<Budget>,
) -> Decoded {
    let frame = Arc::new(budget.lease(bytes.len()));
    decode(&Bytes::copy_from_slice(bytes), from, aborted, rules, &frame, budget)
}

fn chunk(decoded: Decoded, from: i64, budget: &Arc<Budget>) -> Chunk {
    let name = TopicPartition { topic: Arc::from("t"), partition: 0 };
    let end = (decoded.next_offset, decoded.leader_epoch);
    Chunk::new(name, 1, from, decoded.batches, end, decoded.bad.map(Failure::Bad), budget)
}

/// All records (offset, value), the position after them, and what stopped the reading: where, where it may go on, why.
type ReadOut = (Vec<(i64, String)>, i64, Option<(i64, i64, BatchError)>);

/// Reads from `from` on.
fn read(bytes: &[u8], from: i64, rules: DecodeRules) -> ReadOut {
    read_within(bytes, from, Vec::new(), rules, &budget(1 << 20))
}

fn read_within(
    bytes: &[u8],
    from: i64,
    aborted: Vec<AbortedTransaction>,
    rules: DecodeRules,
    budget: &Arc<Budget>,
) -> ReadOut {
    let mut chunk = chunk(decoded(bytes, from, aborted, rules, budget), from, budget);
    let mut kept = Kept::default();
    while !chunk.is_empty() {
        chunk.prepare(budget, rules.max_batch_bytes);
        chunk.walk(3, &mut kept);
    }
    chunk.walk(0, &mut kept);
    let failure = chunk.take_failure().map(|failure| match failure {
        Failure::Bad(bad) => (bad.offset, bad.next_offset, bad.reason),
        Failure::Fetch(error) => panic!("{error}"),
    });
    (kept.records, chunk.position().0, failure)
}

fn at(offset: i64, values: &[&str], options: BatchOptions) -> Vec<u8> {
    let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
    let mut made = batch_with(options, 1000, &values);
    assign(&mut made, offset, 5).expect("whole");
    made
}

fn plain(offset: i64, values: &[&str]) -> Vec<u8> {
    at(offset, values, BatchOptions::default())
}

fn offsets(records: &[(i64, String)]) -> Vec<i64> {
    records.iter().map(|(offset, _)| *offset).collect()
}

#[test]
fn every_codec_is_read_from_the_position_on_and_a_cut_batch_is_left_for_the_next_fetch() {
    for codec in Compression::ALL {
        let options = BatchOptions { compression: codec, ..BatchOptions::default() };
        let mut bytes = at(10, &["a", "b", "c", "d", "e"], options.clone());
        bytes.extend(at(15, &["f", "g"], options.clone()));
        let whole = bytes.len();
        bytes.extend(at(17, &["h"], options));
        for end in [whole, whole + 5, bytes.len() - 1] {
            let (records, position, failure) = read(&bytes[..end], 12, RULES);
            assert_eq!(offsets(&records), [12, 13, 14, 15, 16], "{codec:?}");
            assert_eq!((records[0].1.as_str(), position), ("c", 17));
            assert!(failure.is_none());
        }
    }
}

#[test]
fn a_walk_goes_on_where_it_stopped_after_any_number_of_records() {
    let bytes = [plain(0, &["a", "b", "c", "d", "e"]), plain(5, &["f"]), plain(6, &["g", "h"])].concat();
    for most in 1..10 {
        let budget = budget(1 << 20);
        let mut chunk = chunk(decoded(&bytes, 0, Vec::new(), RULES, &budget), 0, &budget);
        let mut kept = Kept::default();
        while !chunk.is_empty() {
            let before = kept.records.len();
            let walked = chunk.walk(most, &mut kept);
            assert!(walked <= most && kept.records.len() == before + walked);
            assert_eq!(chunk.position().0, kept.records.len() as i64, "nothing is between the records here");
        }
        assert_eq!(offsets(&kept.records), (0..8).collect::<Vec<_>>());
        assert_eq!(chunk.position(), (8, 5));
    }
}

#[test]
fn a_full_sink_ends_the_walk_before_the_next_record() {
    let budget = budget(1 << 20);
    let bytes = plain(0, &["a", "b", "c"]);
    let mut chunk = chunk(decoded(&bytes, 0, Vec::new(), RULES, &budget), 0, &budget);
    let mut kept = Kept { room: Some(2), ..Kept::default() };
    assert_eq!((chunk.walk(10, &mut kept), chunk.position().0), (2, 2));
    kept.room = None;
    assert_eq!((chunk.walk(10, &mut kept), offsets(&kept.records)), (1, vec![0, 1, 2]));
}

#[test]
fn a_bad_checksum_ends_the_run_with_all_before_it_delivered() {
    let mut bytes = [plain(0, &["a", "b"]), plain(2, &["c", "d"]), plain(4, &["e"])].concat();
    let second = batch(&[b"a", b"b"]).len();
    bytes[second + HEADER_BYTES + 3] ^= 1;
    let (records, position, failure) = read(&bytes, 0, RULES);
    assert_eq!((offsets(&records), position), (vec![0, 1], 2));
    let (offset, next, reason) = failure.expect("a failure");
    assert_eq!((offset, next), (2, 4));
    assert!(matches!(reason, BatchError::ChecksumMismatch { .. }));
    // Behind it all is well.
    assert_eq!(offsets(&read(&bytes, 4, RULES).0), [4]);
}

#[test]
fn a_checksum_is_not_looked_at_when_not_asked_for() {
    let mut bytes = plain(0, &["aaaa"]);
    let end = bytes.len();
    bytes[end - 3] = b'x';
    let (records, _, failure) = read(&bytes, 0, DecodeRules { check_crcs: false, ..RULES });
    assert_eq!((records.len(), failure), (1, None));
}

#[test]
fn offsets_that_go_backwards_end_the_run() {
    for second in [0, 1, -7, i64::MAX] {
        let bytes = [plain(0, &["a", "b"]), plain(second, &["c"])].concat();
        let (records, position, failure) = read(&bytes, 0, RULES);
        let failure = failure.unwrap_or_else(|| panic!("{second}"));
        assert_eq!((offsets(&records), position, failure.0), (vec![0, 1], 2, 2), "{second}");
    }
}

#[test]
fn what_is_no_batch_is_refused_even_at_the_last_offset_there_is() {
    let mut garbage = plain(0, &["a"]);
    garbage[16] = 9; // the format's version
    for from in [0, i64::MAX] {
        let (_, position, failure) = read(&garbage, from, RULES);
        let (offset, next_offset, _) = failure.expect("refused");
        assert_eq!((position, offset, next_offset), (from, from, from.saturating_add(1)));
    }
}

#[test]
fn a_batch_below_the_position_is_passed_over() {
    let bytes = [plain(0, &["a", "b"]), plain(2, &["c"])].concat();
    let (records, position, failure) = read(&bytes, 2, RULES);
    assert_eq!((offsets(&records), position, failure), (vec![2], 3, None));
}

#[test]
fn lying_counts_and_lengths_in_a_batch_with_a_right_checksum_deliver_what_is_sound_and_then_fail() {
    let lie = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain(0, &["a", "b", "c"]);
        change(&mut bytes);
        read(&bytes, 0, DecodeRules { check_crcs: false, ..RULES })
    };
    for count in [4, i32::MAX, -1, i32::MIN] {
        let (records, position, failure) = lie(&|bytes| bytes[57..61].copy_from_slice(&count.to_be_bytes()));
        let sound = if count < 0 { 0 } else { 3 };
        let failure = failure.unwrap_or_else(|| panic!("{count}"));
        assert_eq!(
            (records.len(), position, failure.0, failure.1),
            (sound, sound as i64, sound as i64, 3.max(sound as i64 + 1)),
            "{count}"
        );
    }
    let (records, _, failure) = lie(&|bytes| bytes[57..61].copy_from_slice(&2_i32.to_be_bytes()));
    assert_eq!((records.len(), failure.map(|failure| failure.0)), (2, Some(2)), "bytes follow the last record");
    let (records, _, failure) = lie(&|bytes| bytes[23..27].copy_from_slice(&1_i32.to_be_bytes()));
    assert_eq!((records.len(), failure.map(|failure| failure.0)), (2, Some(2)), "the third is outside its batch");
    let (records, _, failure) = lie(&|bytes| bytes[HEADER_BYTES] = 0x7e);
    assert_eq!((records.len(), failure.map(|failure| failure.0)), (0, Some(0)), "a record longer than its batch");
    let (records, _, failure) = lie(&|bytes| bytes[23..27].copy_from_slice(&(-1_i32).to_be_bytes()));
    assert_eq!((records.len(), failure.map(|failure| (failure.0, failure.1))), (0, Some((0, 1))));
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let zstd = BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() };
    let bytes = [plain(0, &["a", "b"]), at(2, &["c", "d"], zstd)].concat();
    for at in 0..bytes.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            for check_crcs in [true, false] {
                let (records, position, _) = read(&changed, 0, DecodeRules { check_crcs, ..RULES });
                assert!(records.iter().all(|(offset, _)| *offset < position));
            }
        }
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit_and_names_its_place() {
    for codec in [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Snappy] {
        let options = BatchOptions { compression: codec, ..BatchOptions::default() };
        let value = "x".repeat(4 << 20);
        let bytes = [plain(0, &["a"]), at(1, &[&value], options), plain(2, &["b"])].concat();
        let (records, position, failure) = read(&bytes, 0, RULES);
        assert_eq!((offsets(&records), position), (vec![0], 1), "{codec:?}");
        let (offset, next, reason) = failure.expect("refused");
        assert_eq!((offset, next), (1, 2));
        assert!(matches!(reason, BatchError::Decompress(_)), "{reason}");
    }
}

#[test]
fn batches_stay_compressed_while_the_budget_has_no_room_and_are_read_all_the_same() {
    let options = BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() };
    let value = "y".repeat(10_000);
    let bytes: Vec<u8> = (0..8).flat_map(|offset| at(offset, &[&value], options.clone())).collect();
    let budget = budget(bytes.len() + 25_000);
    let all = decoded(&bytes, 0, Vec::new(), RULES, &budget);
    assert!(all.bad.is_none() && budget.used() <= budget.limit(), "{} of {}", budget.used(), budget.limit());
    let prepared = all.batches.iter().filter(|batch| batch.is_prepared()).count();
    assert!((1..8).contains(&prepared), "{prepared} of 8 fit");
    drop(all);
    let (records, _, failure) = read_within(&bytes, 0, Vec::new(), RULES, &budget);
    assert_eq!((records.len(), failure), (8, None));
    assert_eq!(budget.used(), 0, "all is given back");
}

#[test]
fn a_batch_larger_than_the_fetch_says_how_large_it_is() {
    let bytes = plain(0, &["a long enough value"]);
    let all = decoded(&bytes[..70], 0, Vec::new(), RULES, &budget(1 << 20));
    assert_eq!((all.oversize, all.next_offset), (Some(bytes.len()), 0));
}

fn transactions() -> Vec<u8> {
    let path = "../../tests/vectors/kafka_transactions/00000000000000000000.log";
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the vector")
}

#[test]
fn aborted_transactions_that_kafka_wrote_are_left_out_and_markers_never_shown() {
    let bytes = transactions();
    let (all, position, _) = read(&bytes, 0, RULES);
    assert_eq!(offsets(&all), [0, 1, 2, 5, 6, 7, 9, 10, 12, 14, 15]);
    assert_eq!(position, 16);
    // The producers' ids as the log has them; the list as a broker gives it, by marker.
    let producer = |offset: i64| {
        let mut rest = &bytes[..];
        loop {
            let (header, _, after) = odradek_core::record::batch::BatchHeader::split_first(rest).expect("whole");
            if header.base_offset == offset {
                return header.producer_id;
            }
            rest = after;
        }
    };
    let aborted = |list: &[(i64, i64)]| {
        list.iter().map(|&(of, first_offset)| AbortedTransaction { producer_id: producer(of), first_offset }).collect()
    };
    let committed = DecodeRules { committed_only: true, ..RULES };
    let list: Vec<_> = aborted(&[(1, 1), (0, 0), (10, 10)]);
    let (records, position, failure) = read_within(&bytes, 0, list.clone(), committed, &budget(1 << 20));
    assert_eq!(offsets(&records), [5, 6, 7, 9, 12, 14, 15]);
    assert_eq!((position, failure), (16, None));
    assert!(records.iter().all(|(_, value)| !value.contains("abort")), "{records:?}");
    // From the middle of an aborted transaction on.
    let (records, ..) = read_within(&bytes, 2, list, committed, &budget(1 << 20));
    assert_eq!(offsets(&records), [5, 6, 7, 9, 12, 14, 15]);
}

#[test]
fn headers_alone_lead_to_where_decoding_ends_or_say_nothing() {
    let sound = [plain(0, &["a", "b"]), plain(2, &["c"]), plain(3, &["d", "e"])].concat();
    for from in 0..5 {
        for cut in 0..sound.len() {
            let decoded = decoded(&sound[..cut], from, Vec::new(), RULES, &budget(1 << 20));
            let ahead = ahead::look(&sound[..cut], from);
            assert_eq!(
                ahead.map(|ahead| (ahead.next_offset, ahead.leader_epoch)),
                (decoded.next_offset > from).then_some((decoded.next_offset, decoded.leader_epoch)),
                "from {from}, {cut} bytes"
            );
        }
    }
    let backwards = [plain(0, &["a", "b"]), plain(1, &["c"])].concat();
    assert_eq!(ahead::look(&backwards, 0), None);
    assert_eq!(ahead::look(b"", 0), None);
}
