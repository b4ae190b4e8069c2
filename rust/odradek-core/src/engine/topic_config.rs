//! A topic's effective settings as text, made into a [`LogConfig`].

use super::error::EngineError;
use super::settings::{SettingsMap, read};
use crate::log::config::{CleanupPolicy, LogConfig};

/// Kafka's codec names in the order of their numbers; the level setting of those that have one.
const CODECS: [(&str, Option<&str>); 5] = [
    ("uncompressed", None),
    ("gzip", Some("compression.gzip.level")),
    ("snappy", None),
    ("lz4", Some("compression.lz4.level")),
    ("zstd", Some("compression.zstd.level")),
];

fn refused(name: &str, value: &str, reason: &'static str) -> EngineError {
    EngineError::Setting { name: name.to_owned(), value: value.to_owned(), reason }
}

fn cleanup_policy(settings: &SettingsMap) -> Result<CleanupPolicy, EngineError> {
    let Some(text) = settings.get("cleanup.policy") else { return Ok(LogConfig::default().cleanup_policy) };
    let mut policy = CleanupPolicy { delete: false, compact: false };
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "delete" => policy.delete = true,
            "compact" => policy.compact = true,
            _ => return Err(refused("cleanup.policy", text, "allowed: delete, compact, or both")),
        }
    }
    Ok(policy)
}

fn compression(settings: &SettingsMap) -> Result<(Option<u8>, Option<i32>), EngineError> {
    let text = settings.get("compression.type").map_or("producer", String::as_str);
    if text == "producer" {
        return Ok((None, None));
    }
    for (number, (name, level)) in (0_u8..).zip(CODECS) {
        if name == text {
            let level = match level.filter(|level| settings.contains_key(*level)) {
                Some(level) => Some(read(settings, level, 0)?),
                None => None,
            };
            // Kafka writes gzip's default level as -1; zstd has a level of that number.
            let level = level.filter(|&level| !(name == "gzip" && level == -1));
            return Ok((Some(number), level));
        }
    }
    Err(refused("compression.type", text, "allowed: producer, uncompressed, gzip, snappy, lz4, zstd"))
}

/// Reads every setting the log acts on; what is not given has Apache Kafka's default.
///
/// # Errors
/// [`EngineError::Setting`] names the first bad one.
pub fn log_config(settings: &SettingsMap) -> Result<LogConfig, EngineError> {
    let base = LogConfig::default();
    let (compression_codec, compression_level) = compression(settings)?;
    let log_append_time = match settings.get("message.timestamp.type").map(String::as_str) {
        None | Some("CreateTime") => false,
        Some("LogAppendTime") => true,
        Some(other) => {
            return Err(refused("message.timestamp.type", other, "allowed: CreateTime, LogAppendTime"));
        }
    };
    Ok(LogConfig {
        cleanup_policy: cleanup_policy(settings)?,
        segment_bytes: read(settings, "segment.bytes", base.segment_bytes)?,
        segment_ms: read(settings, "segment.ms", base.segment_ms)?,
        segment_jitter_ms: read(settings, "segment.jitter.ms", base.segment_jitter_ms)?,
        segment_index_bytes: read(settings, "segment.index.bytes", base.segment_index_bytes)?,
        index_interval_bytes: read(settings, "index.interval.bytes", base.index_interval_bytes)?,
        retention_ms: read(settings, "retention.ms", base.retention_ms)?,
        retention_bytes: read(settings, "retention.bytes", base.retention_bytes)?,
        max_message_bytes: read(settings, "max.message.bytes", base.max_message_bytes)?,
        log_append_time,
        timestamp_before_max_ms: read(settings, "message.timestamp.before.max.ms", base.timestamp_before_max_ms)?,
        timestamp_after_max_ms: read(settings, "message.timestamp.after.max.ms", base.timestamp_after_max_ms)?,
        compression_codec,
        compression_level,
        min_insync_replicas: read(settings, "min.insync.replicas", base.min_insync_replicas)?,
        flush_messages: read(settings, "flush.messages", base.flush_messages)?,
        flush_ms: read(settings, "flush.ms", base.flush_ms)?,
        file_delete_delay_ms: read(settings, "file.delete.delay.ms", base.file_delete_delay_ms)?,
        delete_retention_ms: read(settings, "delete.retention.ms", base.delete_retention_ms)?,
        min_compaction_lag_ms: read(settings, "min.compaction.lag.ms", base.min_compaction_lag_ms)?,
        max_compaction_lag_ms: read(settings, "max.compaction.lag.ms", base.max_compaction_lag_ms)?,
        min_cleanable_dirty_ratio: read(settings, "min.cleanable.dirty.ratio", base.min_cleanable_dirty_ratio)?,
        preallocate: read(settings, "preallocate", base.preallocate)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rows: &[(&str, &str)]) -> SettingsMap {
        rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn nothing_given_is_kafkas_defaults() {
        assert_eq!(log_config(&SettingsMap::new()).expect("defaults"), LogConfig::default());
    }

    #[test]
    fn both_cleanup_policies_and_a_codec_with_its_level_are_read() {
        let rows =
            [("cleanup.policy", "compact, delete"), ("compression.type", "zstd"), ("compression.zstd.level", "7")];
        let config = log_config(&settings(&rows)).expect("valid");
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: true });
        assert_eq!((config.compression_codec, config.compression_level), (Some(4), Some(7)));
    }

    #[test]
    fn level_minus_one_is_gzips_default_and_a_level_of_zstd() {
        for (codec, expected) in [("gzip", None), ("zstd", Some(-1))] {
            let name = format!("compression.{codec}.level");
            let config = log_config(&settings(&[("compression.type", codec), (&name, "-1")])).expect("valid");
            assert_eq!(config.compression_level, expected);
        }
    }

    #[test]
    fn a_bad_value_is_refused_by_name() {
        for (name, value) in [
            ("segment.bytes", "many"),
            ("cleanup.policy", "shred"),
            ("compression.type", "brotli"),
            ("message.timestamp.type", "Never"),
        ] {
            let error = log_config(&settings(&[(name, value)])).expect_err("refused").to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
