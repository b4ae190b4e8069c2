//! The consumer's data path: fetches ahead of its owner's polls within a bound, decodes, keeps positions.
//!
//! | file | job |
//! |---|---|
//! | [`fetcher`] | what the owner holds: assign, seek, pause, poll |
//! | `driver` | the task on the I/O thread: what to ask of which broker, within the bound |
//! | [`positions`] | the state of each partition |
//! | `sources` | brokers as sources: what is under way to each, when it may be asked again |
//! | [`session`], `request`, [`response`] | fetch sessions; one Fetch and its answer |
//! | `answer`, [`ahead`], [`decode`] | an answer's errors to what they mean, its headers to the next offset, its bytes to batches |
//! | [`nearby`] | the replica that is read in place of the leader |
//! | `offsets` | resets, truncation |
//! | [`chunk`] | decoded batches on their way through a poll; the walk over records |
//! | [`columns`], [`column_pool`] | records as columns, for Arrow; the memory of large ones |
//! | [`budget`], [`metrics`], [`settings`], [`error`] | bytes in use, figures, options, errors |
//!
//! Not here: groups, commits, deserializers (Python's `client/consumer`).

pub mod ahead;
mod answer;
pub mod budget;
pub mod chunk;
pub mod column_pool;
pub mod columns;
pub mod decode;
mod driver;
pub mod error;
pub mod fetcher;
pub mod metrics;
pub mod nearby;
mod offsets;
pub mod positions;
mod request;
pub mod response;
pub mod session;
pub mod settings;
mod sources;

pub use chunk::{FetchedRecord, Run, Sink};
pub use error::FetchError;
pub use fetcher::{Fetcher, Next};
pub use settings::FetchSettings;
