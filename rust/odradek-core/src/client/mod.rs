//! The client's transport: connections to the brokers of a cluster, their metadata, requests and answers.
//!
//! | file | job |
//! |---|---|
//! | [`cluster`] | the facade: requests to a broker by id, to the controller or to any; starts everything |
//! | [`refresh`] | the task that keeps the metadata fresh |
//! | [`metadata`] | the picture of the cluster, immutable |
//! | [`connection`] | one connection: order, time-outs, failure |
//! | [`handshake`] | name lookup, connecting, ApiVersions; says what a wrong peer is |
//! | [`frames`], [`foreign`] | bytes to frames; what else answers on a port |
//! | [`versions`] | what a broker serves |
//! | [`runtime`] | the I/O thread, forks |
//! | [`completion`], [`queue`] | how results reach Python; requests that Python builds |
//! | [`settings`], [`error`] | options in, errors out |
//! | [`producer`] | batches and sends records |
//!
//! Not in the transport: batching, retries of requests, groups. Read next: [`cluster`].

mod answer_pool;
pub mod cluster;
pub mod completion;
pub mod connection;
pub mod consumer;
pub mod error;
pub mod foreign;
pub mod frames;
pub mod handshake;
pub mod metadata;
pub mod producer;
pub mod queue;
pub mod refresh;
pub mod runtime;
pub mod settings;
pub mod versions;

pub use cluster::{Channel, Cluster, Node};
pub use error::ClientError;
pub use metadata::{BrokerView, MetadataView, PartitionView, TopicView};
pub use settings::ClientSettings;
pub use versions::Versions;
