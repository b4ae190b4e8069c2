//! Sockets, framing, the Produce and Fetch path, purgatory and the control queue.
//!
//! Not the log (`log`), not the rules of topics and groups (Python). Read next: [`server`] (threads and accepting),
//! then [`connection`] (one client), then [`router`] (which request goes where).

pub mod admission;
pub mod cold_reads;
pub mod commits;
pub mod config;
pub mod connection;
pub mod control;
pub mod events;
pub mod faults;
pub mod handlers;
pub mod mailbox;
pub mod memory;
pub mod metrics;
pub mod output;
pub mod pulse;
pub mod reader;
pub mod rounds;
pub mod router;
pub mod server;
pub mod slots;
pub mod snapshot;
pub mod state;
pub mod turn;

pub use config::NetConfig;
