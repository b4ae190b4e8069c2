//! The server's settings and their defaults.

use std::ops::RangeInclusive;

/// What the server acts on; names follow Kafka's settings where it has them.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// `node.id`
    pub node_id: i32,
    /// `num.network.threads`: I/O threads, each with its own event loop.
    pub threads: usize,
    /// `socket.request.max.bytes`: a longer frame closes the connection.
    pub max_request_bytes: usize,
    /// `queued.max.request.bytes`: bound on the bytes of partly received and queued requests (see `net::memory`).
    pub request_memory_bytes: usize,
    /// `queued.max.requests`: requests that wait for Python before connections are no longer read.
    pub control_queue_requests: usize,
    /// `max.connections`
    pub max_connections: usize,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: usize,
    /// `connections.max.idle.ms`; not positive = never.
    pub connections_max_idle_ms: i64,
    /// `socket.listen.backlog.size`
    pub listen_backlog: i32,
    /// `socket.send.buffer.bytes`; not positive = the system decides. Kafka's default, and measured to halve the CPU of
    /// large fetches: what is on its way to a client stays in the processor's cache.
    pub send_buffer_bytes: i32,
    /// `fetch.max.bytes`: upper bound of what one Fetch answer carries.
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`
    pub fetch_session_slots: usize,
    /// `auto.create.topics.enable`
    pub auto_create_topics: bool,
    /// `offset.metadata.max.bytes`: commits with longer metadata are Python's to refuse.
    pub offset_metadata_max_bytes: usize,
    /// `group.min.session.timeout.ms` to `group.max.session.timeout.ms`: who joins with another is Python's to refuse.
    pub session_timeouts_ms: RangeInclusive<i32>,
    /// `message.max.bytes`: commits that make a larger batch are Python's to refuse.
    pub message_max_bytes: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            node_id: 0,
            threads: 2,
            max_request_bytes: 100 << 20,
            request_memory_bytes: 256 << 20,
            control_queue_requests: 500,
            max_connections: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            max_connections_per_ip: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            connections_max_idle_ms: 600_000,
            listen_backlog: 1024,
            send_buffer_bytes: 102_400,
            fetch_max_bytes: 55 << 20,
            fetch_session_slots: 1000,
            auto_create_topics: true,
            offset_metadata_max_bytes: 4_096,
            session_timeouts_ms: 6_000..=1_800_000,
            message_max_bytes: 1_048_588,
        }
    }
}
