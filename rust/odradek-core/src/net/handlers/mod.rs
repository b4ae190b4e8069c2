//! The APIs served in Rust, one a file.

pub mod api_versions;
pub mod delete_records;
pub mod fault_answers;
pub mod fetch;
pub mod fetch_session;
pub mod heartbeat;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod resolve;

use kafka_protocol::protocol::Encodable;
use thiserror::Error;

use crate::wire::frame::{ResponseHead, finish};
use crate::wire::shape::WireError;

/// Why a connection is closed.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The request contradicts itself.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A frame length that is negative, too short or too long.
    #[error("frame length {0} is not allowed")]
    FrameLength(i32),
    /// An API or version that nobody serves.
    #[error("API {key} version {version} is not served")]
    UnsupportedApi {
        /// API key.
        key: i16,
        /// Version.
        version: i16,
    },
    /// A producer with acks=0 can only learn of an error this way.
    #[error("a produce request with acks=0 failed")]
    ProduceFailed,
    /// A bug in odradek: a response that could not be written.
    #[error("a response could not be encoded")]
    Internal,
}

/// Appends a whole response frame to `out`.
///
/// # Errors
/// [`CloseReason::Internal`] when the message has no such version or holds what it can't.
pub fn reply(out: &mut Vec<u8>, head: ResponseHead, version: i16, body: &impl Encodable) -> Result<(), CloseReason> {
    let start = head.begin(out);
    body.encode(out, version).map_err(|_| CloseReason::Internal)?;
    finish(out, start, 0);
    Ok(())
}
