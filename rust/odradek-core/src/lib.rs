//! odradek's hot core: what touches bytes.
//!
//! | module | job | may use |
//! |---|---|---|
//! | [`clock`] | time as a parameter | std |
//! | [`fs`] | files as a trait, so that tests can fail or forget writes | std |
//! | [`compress`] | gzip, snappy, lz4, zstd as Kafka frames them | no I/O |
//! | [`record`] | the record batch, format v2: views, validation, building, reading | `compress`, `wire::primitives` |
//! | [`wire`] | frames and the messages served in Rust | no I/O |
//! | [`log`] | segments, indexes, recovery, producer state, retention, the log directory | `record`, `fs`, `clock` |
//! | [`partition`] | a hosted partition: its log, leadership, high watermark and waiters | `log` |
//! | [`net`] | sockets, framing, Produce and Fetch, purgatory, the control queue | everything above |
//! | [`client`] | connections to brokers, their metadata, requests and answers; knows nothing of `net` and below | `wire`, `record` |
//! | [`doorbell`] | an eventfd | std |
//! | [`topic_pattern`] | topics by regular expression, in time linear in the name | no I/O |
//! | [`engine`] | the facade that the Python bindings hold | everything above |

pub mod client;
pub mod clock;
pub mod compress;
pub mod doorbell;
pub mod engine;
pub mod fs;
pub mod log;
pub mod net;
pub mod partition;
pub mod record;
pub mod topic_pattern;
pub mod wire;
