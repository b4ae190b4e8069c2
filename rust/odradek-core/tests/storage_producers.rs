//! Idempotent and transactional producers (KIP-98): duplicates, sequences, epochs, the last stable offset, restarts.
#![allow(clippy::unwrap_used)]

mod storage_support;

use odradek_core::log::config::LogConfig;
use odradek_core::log::error::LogError;
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::log::types::{AbortedTransaction, AppendInfo, AppendOrigin, ReadBound};
use odradek_core::record::control::MarkerType;
use storage_support::*;

fn send(log: &PartitionLog, epoch: i16, sequence: i32, count: u32) -> Result<AppendInfo, LogError> {
    log.append(&idempotent(7, epoch, sequence, count), 0, AppendOrigin::Client)
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_offset_and_not_written() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 10));
    send(&log, 0, 0, 3).unwrap();
    let second = send(&log, 0, 3, 2).unwrap();
    let size = log.size_bytes();
    let again = send(&log, 0, 3, 2).unwrap();
    assert_eq!((again.base_offset, again.last_offset), (second.base_offset, second.last_offset));
    assert!(again.duplicate && !second.duplicate);
    assert_eq!((log.size_bytes(), log.log_end_offset()), (size, 15));
}

#[test]
fn the_last_five_batches_are_remembered_and_no_more() {
    let dir = Dir::new();
    let log = dir.log();
    for at in 0..6 {
        send(&log, 0, at * 2, 2).unwrap();
    }
    for at in 1..6 {
        assert_eq!(send(&log, 0, at * 2, 2).unwrap().base_offset, i64::from(at) * 2);
    }
    assert!(matches!(send(&log, 0, 0, 2), Err(LogError::OutOfOrderSequence { expected: 12, found: 0, .. })));
}

#[test]
fn a_gap_in_sequences_is_refused_and_changes_nothing() {
    let dir = Dir::new();
    let log = dir.log();
    send(&log, 0, 0, 3).unwrap();
    for sequence in [4, 100, 1] {
        assert!(matches!(send(&log, 0, sequence, 1), Err(LogError::OutOfOrderSequence { expected: 3, .. })));
    }
    assert_eq!(log.log_end_offset(), 3);
    send(&log, 0, 3, 1).unwrap();
}

#[test]
fn an_unknown_producer_may_start_at_any_sequence() {
    let dir = Dir::new();
    let log = dir.log();
    assert_eq!(send(&log, 0, 500, 2).unwrap().base_offset, 0);
    send(&log, 0, 502, 1).unwrap();
}

#[test]
fn sequences_wrap_after_the_greatest_int32() {
    let dir = Dir::new();
    let log = dir.log();
    send(&log, 0, i32::MAX - 1, 3).unwrap();
    let next = send(&log, 0, 1, 2).unwrap();
    assert_eq!(next.base_offset, 3);
    assert!(send(&log, 0, i32::MAX - 1, 3).unwrap().duplicate);
}

#[test]
fn a_new_epoch_starts_at_sequence_zero_and_fences_the_old_one() {
    let dir = Dir::new();
    let log = dir.log();
    send(&log, 0, 0, 3).unwrap();
    assert!(matches!(send(&log, 1, 3, 1), Err(LogError::OutOfOrderSequence { expected: 0, .. })));
    send(&log, 1, 0, 1).unwrap();
    assert!(matches!(send(&log, 0, 3, 1), Err(LogError::InvalidProducerEpoch { current: 1, found: 0, .. })));
}

#[test]
fn producers_are_remembered_over_restarts_clean_or_not() {
    let mut dir = Dir::new();
    let config = || LogConfig { segment_bytes: 500, ..LogConfig::default() };
    for round in 0..4 {
        let log = dir.host(0, config());
        if round > 0 {
            assert!(send(&log, 0, round * 8 - 2, 2).unwrap().duplicate, "round {round}");
        }
        for at in 0..4 {
            send(&log, 0, round * 8 + at * 2, 2).unwrap();
        }
        assert!(matches!(send(&log, 0, 0, 1), Err(LogError::OutOfOrderSequence { .. })));
        drop(log);
        if round % 2 == 0 {
            dir.close()
        } else {
            dir.crash()
        }
        dir.open();
    }
}

#[test]
fn a_silent_producer_is_forgotten_after_its_expiration() {
    let dir = Dir::new();
    let log = dir.log();
    send(&log, 0, 0, 1).unwrap();
    dir.clock.advance(86_399_999);
    dir.manager().tick();
    assert!(send(&log, 0, 5, 1).is_err(), "still known");
    dir.clock.advance(86_400_000);
    dir.manager().tick();
    send(&log, 0, 5, 1).unwrap();
}

#[test]
fn the_last_stable_offset_waits_for_the_oldest_open_transaction() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &batch(0, 2));
    produce(&log, &transactional(1, 0, 3));
    produce(&log, &transactional(2, 0, 3));
    produce(&log, &batch(2, 2));
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (2, 10));
    end_txn(&log, 1, MarkerType::Commit);
    assert_eq!(log.last_stable_offset(), 2, "the marker is not below the high watermark yet");
    log.advance_high_watermark(log.log_end_offset());
    assert_eq!(log.last_stable_offset(), 5);
    end_txn(&log, 2, MarkerType::Abort);
    log.advance_high_watermark(log.log_end_offset());
    assert_eq!(log.last_stable_offset(), 12);
    let read = log.read(0, 1 << 20, true, ReadBound::LastStableOffset).unwrap();
    assert_eq!(read.aborted, Some(vec![AbortedTransaction { producer_id: 2, first_offset: 5 }]));
    assert!(log.read(0, 1 << 20, true, ReadBound::HighWatermark).unwrap().aborted.is_none());
}

#[test]
fn aborted_transactions_are_sorted_by_first_offset_even_if_they_end_in_another_order() {
    let mut dir = Dir::new();
    let config = || LogConfig { segment_bytes: 600, ..LogConfig::default() };
    let log = dir.host(0, config());
    for producer_id in [1, 2, 3] {
        produce(&log, &transactional(producer_id, 0, 3));
    }
    for producer_id in [3, 1, 2] {
        end_txn(&log, producer_id, MarkerType::Abort);
        produce(&log, &batch(0, 3));
    }
    let aborted = |log: &PartitionLog| {
        let read = log.read(0, 1 << 20, true, ReadBound::LastStableOffset).unwrap();
        read.aborted.unwrap().iter().map(|txn| (txn.producer_id, txn.first_offset)).collect::<Vec<_>>()
    };
    assert!(dir.files(".log").len() > 1);
    let first_read = aborted(&log);
    assert_eq!(first_read[0], (1, 0));
    assert!(first_read.is_sorted_by_key(|txn| txn.1));
    drop(log);
    for clean in [false, true, false] {
        if clean {
            dir.close()
        } else {
            dir.crash()
        }
        dir.open();
        let log = dir.host(0, config());
        log.advance_high_watermark(log.log_end_offset());
        assert_eq!(aborted(&log), first_read, "clean {clean}");
    }
}

#[test]
fn an_open_transaction_survives_a_restart() {
    let mut dir = Dir::new();
    for clean in [true, false] {
        let log = dir.log();
        let first = produce(&log, &transactional(if clean { 1 } else { 2 }, 0, 2)).base_offset;
        drop(log);
        if clean {
            dir.close()
        } else {
            dir.crash()
        }
        dir.open();
        let log = dir.log();
        log.advance_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), first);
        end_txn(&log, if clean { 1 } else { 2 }, MarkerType::Commit);
        log.advance_high_watermark(log.log_end_offset());
        assert_eq!(log.last_stable_offset(), log.log_end_offset());
    }
}

#[test]
fn plain_records_of_a_producer_inside_its_transaction_are_refused() {
    let dir = Dir::new();
    let log = dir.log();
    produce(&log, &transactional(7, 0, 2));
    assert!(matches!(send(&log, 0, 2, 1), Err(LogError::InvalidTxnState { producer_id: 7 })));
}
