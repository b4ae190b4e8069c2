//! Kafka's log on disk: segments, indexes, recovery, producer state, retention.
//!
//! Read next: `partition_log` (what a partition can do), `segment` (one file set), `loader` (what happens after a crash).

mod append;
mod batch_scan;
pub mod checkpoint;
mod cleaned_batch;
mod cleaner;
pub mod config;
mod cursors;
mod entry_file;
mod entry_pages;
pub mod epoch_cache;
pub mod error;
mod file_handle;
pub mod file_names;
mod flush;
mod folder;
pub mod index_image;
mod loader;
pub mod log_dir;
mod lookup;
pub mod manager;
mod marker;
pub mod meta_properties;
mod offset_index;
pub mod offset_map;
pub mod partition_log;
mod producer_snapshot;
mod producer_state;
mod read;
pub mod read_buffer;
mod record_rules;
mod recovery;
mod retention;
mod segment;
mod segment_read;
mod startup;
mod swap;
mod time_index;
mod truncate;
mod txn_index;
pub mod types;
mod validator;
