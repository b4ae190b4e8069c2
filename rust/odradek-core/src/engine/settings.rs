//! Reads settings given as text under Kafka's names. Python has validated them; a bad one here is still refused.
//!
//! Not the list of all settings: only what the core itself acts on. Topic settings are read by `topic_config`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use super::error::EngineError;
use crate::log::manager::LogManagerConfig;
use crate::net::NetConfig;

/// Settings as Python hands them over.
pub type SettingsMap = HashMap<String, String>;

/// The value of `name`, or `default` when it isn't given.
///
/// # Errors
/// [`EngineError::Setting`] when the text is not a `T`.
pub fn read<T: FromStr>(settings: &SettingsMap, name: &str, default: T) -> Result<T, EngineError> {
    let Some(text) = settings.get(name) else { return Ok(default) };
    text.trim().parse().map_err(|_| EngineError::Setting {
        name: name.to_owned(),
        value: text.clone(),
        reason: "not a value of the right type",
    })
}

/// The log directory's settings.
///
/// # Errors
/// [`EngineError::MissingSetting`] without `log.dirs` or `node.id`; [`EngineError::Setting`] for a bad value.
pub fn log_manager_config(settings: &SettingsMap) -> Result<LogManagerConfig, EngineError> {
    let data_dir = settings.get("log.dirs").ok_or(EngineError::MissingSetting("log.dirs"))?;
    if !settings.contains_key("node.id") {
        return Err(EngineError::MissingSetting("node.id"));
    }
    Ok(LogManagerConfig {
        data_dir: PathBuf::from(data_dir),
        node_id: read(settings, "node.id", 0)?,
        cluster_id: settings.get("cluster.id").filter(|id| !id.is_empty()).cloned(),
        retention_check_interval_ms: read(settings, "log.retention.check.interval.ms", 300_000)?,
        checkpoint_interval_ms: read(settings, "log.flush.offset.checkpoint.interval.ms", 60_000)?,
        producer_id_expiration_ms: read(settings, "producer.id.expiration.ms", 86_400_000)?,
        cleaner_enable: read(settings, "log.cleaner.enable", true)?,
        cleaner_backoff_ms: read(settings, "log.cleaner.backoff.ms", 15_000)?,
        cleaner_dedupe_buffer_bytes: read(settings, "log.cleaner.dedupe.buffer.size", 128 << 20)?,
    })
}

/// I/O threads by default: a core is left for the control plane, background work and clients on the same machine.
///
/// On two cores one thread serves requests at the rate of two for less CPU, and a request never waits for a core that
/// the other one holds (`docs/performance.md`, "Changes after that").
fn io_threads(cores: usize) -> usize {
    cores.saturating_sub(1).clamp(1, 3)
}

/// The server's settings.
///
/// # Errors
/// [`EngineError::Setting`] for a bad value.
pub fn net_config(settings: &SettingsMap) -> Result<NetConfig, EngineError> {
    let defaults = NetConfig::default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(NetConfig {
        node_id: read(settings, "node.id", 0)?,
        threads: read(settings, "num.network.threads", io_threads(cores))?.clamp(1, 64),
        max_request_bytes: read(settings, "socket.request.max.bytes", defaults.max_request_bytes)?,
        request_memory_bytes: read(settings, "queued.max.request.bytes", -1_i64)
            .map(|bytes| usize::try_from(bytes).ok().filter(|&bytes| bytes > 0))?
            .unwrap_or(defaults.request_memory_bytes),
        control_queue_requests: read(settings, "queued.max.requests", defaults.control_queue_requests)?.max(1),
        max_connections: read(settings, "max.connections", defaults.max_connections)?,
        max_connections_per_ip: read(settings, "max.connections.per.ip", defaults.max_connections_per_ip)?,
        connections_max_idle_ms: read(settings, "connections.max.idle.ms", defaults.connections_max_idle_ms)?,
        listen_backlog: read(settings, "socket.listen.backlog.size", 0)?.max(defaults.listen_backlog),
        send_buffer_bytes: read(settings, "socket.send.buffer.bytes", defaults.send_buffer_bytes)?,
        fetch_max_bytes: read(settings, "fetch.max.bytes", defaults.fetch_max_bytes)?,
        fetch_session_slots: read(settings, "max.incremental.fetch.session.cache.slots", defaults.fetch_session_slots)?,
        auto_create_topics: read(settings, "auto.create.topics.enable", defaults.auto_create_topics)?,
        offset_metadata_max_bytes: read(settings, "offset.metadata.max.bytes", defaults.offset_metadata_max_bytes)?,
        session_timeouts_ms: read(settings, "group.min.session.timeout.ms", *defaults.session_timeouts_ms.start())?
            ..=read(settings, "group.max.session.timeout.ms", *defaults.session_timeouts_ms.end())?,
        message_max_bytes: read(settings, "message.max.bytes", defaults.message_max_bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_threads_leave_a_core_free_where_there_is_more_than_one() {
        assert_eq!([0, 1, 2, 3, 4, 5, 64].map(io_threads), [1, 1, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn a_number_of_io_threads_that_is_given_is_taken() {
        let given = |text: &str| SettingsMap::from([("num.network.threads".to_owned(), text.to_owned())]);
        assert_eq!(net_config(&given("2")).map(|config| config.threads).ok(), Some(2));
        assert_eq!(net_config(&given("0")).map(|config| config.threads).ok(), Some(1), "none would serve nobody");
    }
}
