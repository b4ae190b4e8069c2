//! What a Produce request may not append, and what is changed on the way in.
#![allow(clippy::unwrap_used)]

mod storage_support;

use bytes::Bytes;
use odradek_core::compress::Compression;
use odradek_core::fs::Reach;
use odradek_core::log::config::{CleanupPolicy, LogConfig};
use odradek_core::log::error::LogError;
use odradek_core::log::types::{AppendOrigin, ReadBound};
use odradek_core::record::batch::BatchError;
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::control::{Marker, MarkerType};
use odradek_core::record::crc32c::crc32c;
use storage_support::*;

/// The batch with some header bytes replaced and its checksum made right again.
fn altered(batch: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut altered = batch.to_vec();
    altered[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&altered[21..]);
    altered[17..21].copy_from_slice(&crc.to_be_bytes());
    altered.into()
}

fn refused(config: LogConfig, batches: &Bytes) -> LogError {
    let dir = Dir::new();
    let log = dir.host(0, config);
    let error = log.append(batches, 0, AppendOrigin::Client).unwrap_err();
    assert_eq!((log.log_end_offset(), log.size_bytes()), (0, 0), "nothing is appended");
    produce(&log, &batch_with(BatchOptions::default(), 0, 1, NOW_MS));
    error
}

#[test]
fn damaged_and_lying_batches_are_refused_and_nothing_is_appended() {
    let good = batch(0, 3);
    let mut flipped = good.to_vec();
    flipped[80] ^= 1;
    let error = refused(LogConfig::default(), &flipped.into());
    assert!(matches!(error, LogError::Batch(BatchError::ChecksumMismatch { .. })), "{error}");
    for magic in [0, 1, 3, 255] {
        let error = refused(LogConfig::default(), &altered(&good, 16, &[magic]));
        assert!(matches!(error, LogError::Batch(BatchError::UnsupportedMagic(_))), "{error}");
    }
    for cut in [1, 16, 40, good.len() - 1] {
        let error = refused(LogConfig::default(), &good.slice(..cut));
        assert!(matches!(error, LogError::Batch(BatchError::Truncated { .. })), "{error}");
    }
    for length in [0, 48, -1, i32::MIN] {
        let error = refused(LogConfig::default(), &altered(&good, 8, &length.to_be_bytes()));
        assert!(matches!(error, LogError::Batch(BatchError::Malformed(_))), "{error}");
    }
    assert!(matches!(refused(LogConfig::default(), &Bytes::new()), LogError::Batch(BatchError::Truncated { .. })));
}

#[test]
fn headers_that_contradict_themselves_or_their_records_are_refused() {
    let good = batch(0, 3);
    let cases: [(&str, Bytes); 7] = [
        ("last offset delta", altered(&good, 23, &7_i32.to_be_bytes())),
        ("negative delta", altered(&good, 23, &(-1_i32).to_be_bytes())),
        ("no records", altered(&altered(&good, 57, &0_i32.to_be_bytes()), 23, &(-1_i32).to_be_bytes())),
        ("count over the records", altered(&altered(&good, 57, &4_i32.to_be_bytes()), 23, &3_i32.to_be_bytes())),
        ("count under the records", altered(&altered(&good, 57, &2_i32.to_be_bytes()), 23, &1_i32.to_be_bytes())),
        ("base offset", altered(&good, 0, &5_i64.to_be_bytes())),
        ("producer without sequence", altered(&good, 43, &9_i64.to_be_bytes())),
    ];
    for (what, batches) in cases {
        let error = refused(LogConfig::default(), &batches);
        assert!(matches!(error, LogError::InvalidRecord(_)), "{what}: {error:?}");
    }
    let error = refused(LogConfig::default(), &altered(&good, 21, &5_i16.to_be_bytes()));
    assert!(matches!(error, LogError::UnsupportedCompression(5)), "{error}");
}

#[test]
fn a_client_may_not_write_control_batches() {
    let marker = Marker { marker_type: MarkerType::Commit, coordinator_epoch: 0 }.batch(1, 0, NOW_MS, 0).unwrap();
    assert!(matches!(refused(LogConfig::default(), &marker.into()), LogError::InvalidRecord(_)));
}

#[test]
fn a_batch_over_max_message_bytes_is_refused_and_one_of_that_size_taken() {
    let sample = batch(0, 50);
    let config = |max_message_bytes| LogConfig { max_message_bytes, ..LogConfig::default() };
    let error = refused(config(sample.len() - 1), &sample);
    assert!(matches!(error, LogError::BatchTooLarge { size, max } if size == max + 1), "{error}");
    let dir = Dir::new();
    produce(&dir.host(0, config(sample.len())), &sample);
}

#[test]
fn a_batch_over_a_whole_segment_is_refused() {
    let error = refused(LogConfig { segment_bytes: 100, ..LogConfig::default() }, &batch(0, 50));
    assert!(matches!(error, LogError::SegmentTooSmall { max: 100, .. }), "{error}");
}

#[test]
fn timestamps_outside_the_window_are_refused_and_the_edges_taken() {
    let config = || LogConfig { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 500, ..LogConfig::default() };
    let at = |timestamp| batch_with(BatchOptions::default(), 0, 1, timestamp);
    for timestamp in [NOW_MS - 1001, NOW_MS + 501, 0] {
        assert!(matches!(refused(config(), &at(timestamp)), LogError::InvalidTimestamp { .. }), "{timestamp}");
    }
    let dir = Dir::new();
    let log = dir.host(0, config());
    for timestamp in [NOW_MS - 1000, NOW_MS + 500] {
        produce(&log, &at(timestamp));
    }
    let options = BatchOptions { log_append_time: true, ..BatchOptions::default() };
    assert!(matches!(refused(config(), &batch_with(options, 0, 1, NOW_MS)), LogError::InvalidRecord(_)));
}

#[test]
fn log_append_time_stamps_the_batch_and_renews_its_checksum() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { log_append_time: true, ..LogConfig::default() });
    dir.clock.advance(5000);
    let info = produce(&log, &batch_with(BatchOptions::default(), 0, 3, 17));
    assert_eq!(info.log_append_time_ms, NOW_MS + 5000);
    let found = headers(&read_bytes(&log, 0, 1 << 20, ReadBound::LogEnd));
    assert!(found[0].is_log_append_time());
    assert_eq!(found[0].max_timestamp, NOW_MS + 5000);
    let first = log.offset_for_timestamp(NOW_MS, Reach::Disk).unwrap().unwrap();
    assert_eq!((first.offset, first.timestamp_ms), (0, NOW_MS + 5000));
}

#[test]
fn a_null_key_on_a_compacted_topic_is_refused_in_every_codec() {
    let compact =
        || LogConfig { cleanup_policy: CleanupPolicy { delete: false, compact: true }, ..LogConfig::default() };
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
        builder.push(NOW_MS, Some(b"k"), Some(b"v"), std::iter::empty()).unwrap();
        builder.push(NOW_MS, None, Some(b"v"), std::iter::empty()).unwrap();
        let keyless = Bytes::from(builder.finish().unwrap());
        assert!(matches!(refused(compact(), &keyless), LogError::InvalidRecord(_)), "{compression:?}");
        let dir = Dir::new();
        produce(&dir.host(0, LogConfig::default()), &keyless);
        produce(&dir.host(1, compact()), &compressed(compression, 0, 3));
    }
}

#[test]
fn the_topics_codec_replaces_the_producers_and_producer_keeps_it() {
    for wanted in Compression::ALL {
        let dir = Dir::new();
        let config = LogConfig { compression_codec: Some(wanted.id()), ..LogConfig::default() };
        let log = dir.host(0, config);
        for (at, sent) in Compression::ALL.into_iter().enumerate() {
            produce(&log, &compressed(sent, u32::try_from(at).unwrap() * 20, 20));
        }
        let found = headers(&read_bytes(&log, 0, 1 << 20, ReadBound::LogEnd));
        assert!(found.iter().all(|header| header.codec() == wanted.id()));
        assert_eq!(read_all(&log, 0, 1 << 20), expected(100));
    }
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &compressed(Compression::Lz4, 0, 20));
    assert_eq!(headers(&read_bytes(&log, 0, 1 << 20, ReadBound::LogEnd))[0].codec(), Compression::Lz4.id());
}

#[test]
fn a_coordinator_may_write_control_batches_and_large_ones() {
    let dir = Dir::new();
    let log = dir.host(0, LogConfig { max_message_bytes: 10, ..LogConfig::default() });
    log.append(&batch(0, 50), 0, AppendOrigin::Coordinator).unwrap();
    assert_eq!(end_txn(&log, 5, MarkerType::Commit).base_offset, 50);
}
