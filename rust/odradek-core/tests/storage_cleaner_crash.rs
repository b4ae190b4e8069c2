//! A cleaner that is cut off: at any call to the file system, by an error or by the loss of power, with anything of what
//! it renamed on disk or not. The log is whole after the next start, and the next cleaning goes on.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use odradek_core::fs::faulty::{FaultyFileSystem, Operation};
use odradek_core::log::partition_log::PartitionLog;
use odradek_core::record::builder::BatchOptions;
use odradek_core::record::control::MarkerType;
use storage_support::keyed::*;
use storage_support::*;

/// Keys that repeat over many segments, an aborted and a committed transaction among them; all of it durable.
fn written(fs: &FaultyFileSystem) -> (Dir, Arc<PartitionLog>) {
    let dir = Dir::on(Arc::new(fs.clone()));
    let log = dir.host(0, compacted());
    for (producer_id, marker) in [(1, MarkerType::Abort), (2, MarkerType::Commit)] {
        let options = BatchOptions {
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: true,
            ..BatchOptions::default()
        };
        let value = format!("of {producer_id}");
        produce(&log, &keyed_with(options, &[("txn", Some(&value)), ("k1", Some(&value))], NOW_MS));
        end_txn(&log, producer_id, marker);
    }
    for at in 0..40 {
        produce(&log, &keyed(&[(&format!("k{}", at % 7), Some(&format!("v{at}")))]));
    }
    log.flush().unwrap();
    dir.manager().write_checkpoints().unwrap();
    (dir, log)
}

fn expected_state() -> BTreeMap<String, String> {
    let mut state: BTreeMap<_, _> = (0..40).map(|at| (format!("k{}", at % 7), format!("v{at}"))).collect();
    state.insert("txn".into(), "of 2".into());
    state
}

/// Starts on what is left, looks, cleans, looks again.
fn check(dir: &Dir, fs: FaultyFileSystem, what: &str) {
    let mut after = dir.same_path_on(Arc::new(fs));
    after.open();
    let log = after.host(0, compacted());
    assert_eq!(log.log_end_offset(), 46, "{what}");
    assert_eq!(state(&log), expected_state(), "{what}");
    log.advance_high_watermark(46);
    after.manager().clean();
    assert_eq!(after.manager().take_warnings(), Vec::<String>::new(), "{what}");
    assert_eq!(state(&log), expected_state(), "{what}");
    assert!(all_records(&log).len() < 20, "{what}: cleaned at last");
    produce(&log, &keyed(&[("k0", Some("more"))]));
    assert_eq!(state(&log)["k0"], "more", "{what}");
}

#[test]
fn every_call_that_fails_in_turn_leaves_a_log_that_is_whole() {
    for operation in [Operation::Open, Operation::Read, Operation::Write, Operation::Sync, Operation::Rename] {
        let fs = FaultyFileSystem::new();
        let (dir, _log) = written(&fs);
        let before = fs.calls(operation);
        assert_eq!(dir.manager().clean(), 1);
        let calls = fs.calls(operation) - before;
        assert!(calls > 10, "{operation:?} is used {calls} times");
        for nth in 0..calls {
            let fs = FaultyFileSystem::new();
            let (mut dir, log) = written(&fs);
            fs.fail_after(operation, nth, ErrorKind::Other);
            dir.manager().clean();
            fs.heal();
            drop(log);
            dir.crash();
            // The process died: what it wrote is there. The machine died: what was synced is there.
            check(&dir, fs.crash_image(0), &format!("{operation:?} {nth}, power lost"));
            check(&dir, fs, &format!("{operation:?} {nth}, process killed"));
        }
    }
}
