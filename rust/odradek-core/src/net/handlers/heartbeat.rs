//! Heartbeat 0-4, as far as it has nothing to tell (see [`crate::net::pulse`]); advertised and otherwise served by Python.

use bytes::Bytes;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::reply;
use crate::net::state::NetState;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::{ServedRequest, decode};

/// Answers a member of a settled group; false when the request is for Python, malformed ones too.
pub fn handle(state: &NetState, header: &RequestHeader, body: &Bytes, out: &mut Vec<u8>) -> bool {
    let version = header.api_version;
    if !(HeartbeatRequest::MIN_VERSION..=HeartbeatRequest::MAX_VERSION).contains(&version) {
        return false;
    }
    let Ok(request) = decode::<HeartbeatRequest>(body.clone(), version) else { return false };
    let instance_id = request.group_instance_id.as_deref();
    state.pulse.hear(&request.group_id, request.generation_id, &request.member_id, instance_id)
        && reply(out, header.response_head(), version, &HeartbeatResponse::default()).is_ok()
}
