//! The APIs served in Rust, one a file.

pub mod api_versions;
pub mod delete_records;
pub mod fault_answers;
pub mod fetch;
pub mod fetch_session;
pub mod heartbeat;
pub mod join_group;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod resolve;
pub mod sync_group;

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::protocol::Encodable;
use thiserror::Error;

use super::mailbox::Mailbox;
use super::rounds::Kept;
use super::state::NetState;
use crate::wire::frame::{RequestHeader, ResponseHead, finish};
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

/// Who asks, and where the answer goes.
pub struct Caller<'a> {
    /// The connection.
    pub mailbox: &'a Arc<Mailbox>,
    /// The peer's IP address.
    pub peer_host: &'a Arc<str>,
    /// The slot that the response will have.
    pub slot: u64,
}

impl Caller<'_> {
    /// The request as it is kept for Python: a copy, so that no buffer of the connection is kept with it.
    fn keep(&self, state: &NetState, header: &RequestHeader, body: &Bytes) -> Kept {
        Kept {
            token: state.control.expect(Arc::clone(self.mailbox), self.slot),
            api_version: header.api_version,
            client_id: header.client_id_text(),
            peer_host: Arc::clone(self.peer_host),
            body: Bytes::copy_from_slice(body),
        }
    }
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
