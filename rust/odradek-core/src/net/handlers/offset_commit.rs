//! OffsetCommit 2-10 of members of settled groups, as far as nothing is wrong with it (see [`crate::net::commits`]);
//! advertised and otherwise served by Python.

use bytes::Bytes;

use crate::net::state::NetState;
use crate::wire::frame::{RequestHeader, finish};
use crate::wire::offset_commit::{read, write_answer};

/// Longer ones are Python's: few need it, and an I/O thread has others to serve.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Stores the offsets and answers; returns the bytes written to the log. `None`: the request is for Python, malformed
/// ones too, and nothing was done.
pub fn handle(state: &NetState, header: &RequestHeader, body: &Bytes, out: &mut Vec<u8>) -> Option<usize> {
    let version = header.api_version;
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let request = read(version, body)?;
    if request.retention_ms >= 0 {
        return None;
    }
    let (generation, member) = (request.generation, request.member);
    let written =
        state.pulse.commits_of(request.group, generation, member, request.instance)?.commit(state, &request)?;
    let start = header.response_head().begin(out);
    write_answer(out, version, &request.topics);
    finish(out, start, 0);
    Some(written)
}
