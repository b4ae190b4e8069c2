//! Kafka's log on disk: segments, indexes, recovery, producer state, retention.
//!
//! Read next: `partition_log` (what a partition can do), `segment` (one file set), `loader` (what happens after a crash).

pub mod config;
pub mod error;
pub mod index_image;
pub mod manager;
pub mod partition_log;
pub mod types;
