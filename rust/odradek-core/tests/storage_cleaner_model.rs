//! Random lives of a compacted log against a map: whatever is written, cleaned, rolled and restarted in whatever order, a
//! reader that starts at the first offset ends with the last value of every key.
#![allow(clippy::unwrap_used)]

mod storage_support;

use std::collections::BTreeMap;

use odradek_core::compress::Compression;
use odradek_core::record::builder::BatchOptions;
use proptest::prelude::*;
use storage_support::keyed::*;
use storage_support::*;

#[derive(Debug, Clone)]
enum Step {
    /// (key, value or tombstone) in one batch.
    Write(Vec<(u8, Option<u16>)>, usize),
    Clean,
    Advance(i64),
    Restart {
        cleanly: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..12_u8, prop::option::weighted(0.8, any::<u16>()));
    prop_oneof![
        8 => (prop::collection::vec(record, 1..6), 0..5_usize).prop_map(|(records, codec)| Step::Write(records, codec)),
        2 => Just(Step::Clean),
        1 => (0..1500_i64).prop_map(Step::Advance),
        1 => any::<bool>().prop_map(|cleanly| Step::Restart { cleanly }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_from_the_start_ends_with_the_last_value_of_every_key(steps in prop::collection::vec(step(), 1..80)) {
        let mut dir = Dir::new();
        let mut log = dir.host(0, compacted());
        let mut model = BTreeMap::new();
        let mut end = 0;
        for step in steps {
            match step {
                Step::Write(records, codec) => {
                    let records: Vec<_> = records
                        .iter()
                        .map(|(key, value)| (format!("k{key}"), value.map(|value| value.to_string())))
                        .collect();
                    let borrowed: Vec<_> = records.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
                    let options = BatchOptions { compression: Compression::ALL[codec], ..BatchOptions::default() };
                    produce(&log, &keyed_with(options, &borrowed, NOW_MS));
                    end += i64::try_from(records.len()).unwrap();
                    for (key, value) in records {
                        match value {
                            Some(value) => model.insert(key, value),
                            None => model.remove(&key),
                        };
                    }
                }
                Step::Clean => {
                    clean(&dir);
                }
                Step::Advance(ms) => dir.clock.advance(ms),
                Step::Restart { cleanly } => {
                    drop(log);
                    if cleanly {
                        dir.close();
                    } else {
                        dir.crash();
                    }
                    dir.open();
                    log = dir.host(0, compacted());
                    log.advance_high_watermark(log.log_end_offset());
                }
            }
            prop_assert_eq!(log.log_end_offset(), end);
            prop_assert_eq!(&state(&log), &model);
        }
        clean(&dir);
        prop_assert_eq!(&state(&log), &model);
    }
}
