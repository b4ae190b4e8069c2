//! SyncGroup 0-5 of members that Python gathers the requests of (see [`crate::net::rounds`]); advertised and served by
//! Python.

use bytes::Bytes;

use super::Caller;
use crate::net::state::NetState;
use crate::wire::frame::RequestHeader;
use crate::wire::sync_group::read;

/// Longer ones are Python's one by one: no bound on memory covers one that is kept.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Keeps the request until Python takes it; false when it is for Python at once, malformed ones too.
pub fn keep(state: &NetState, header: &RequestHeader, body: &Bytes, caller: &Caller<'_>) -> bool {
    if body.len() > MAX_BODY_BYTES {
        return false;
    }
    let Some(request) = read(header.api_version, body) else { return false };
    let rings = state.rounds.keep_sync(header.api_version, &request, || caller.keep(state, header, body));
    if rings == Some(true) {
        state.ring_gathered(request.group);
    }
    rings.is_some()
}
