//! Which request goes where: what Rust serves is served here and now, the rest goes to Python.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

use super::control::ControlRequest;
use super::handlers::fetch::FetchPlan;
use super::handlers::list_offsets::OffsetsPlan;
use super::handlers::metadata::Answer;
use super::handlers::produce::{Produced, WaitingProduce};
use super::handlers::{
    Caller, CloseReason, api_versions, delete_records, fault_answers, fetch, heartbeat, join_group, list_offsets,
    metadata, offset_commit, offset_for_leader_epoch, produce, sync_group,
};
use super::metrics::{Counters, count};
use super::state::NetState;
use crate::wire::frame::{RequestHeader, ResponseHead, take_header};
use crate::wire::requests::ADVERTISED;

/// What became of a request.
pub enum Routed {
    /// Its response frame is written.
    Written,
    /// Its response frame is written, and so many bytes to a log besides.
    Stored(usize),
    /// The beginning of its response frame is written; the rest is shared with others.
    Shared(Bytes),
    /// It has no response.
    Silent,
    /// It waits for followers.
    Produce(Box<WaitingProduce>),
    /// It is to be attempted.
    Fetch(Box<FetchPlan>),
    /// It is to be attempted, too.
    Offsets(Box<OffsetsPlan>),
    /// It is kept until Python takes many together; see `rounds`.
    Kept {
        /// How its response begins.
        head: ResponseHead,
    },
    /// It is for Python; token, connection and peer are still to be filled in.
    Control {
        /// How its response begins.
        head: ResponseHead,
        /// The request.
        request: Box<ControlRequest>,
    },
}

/// The API key of a frame (without its length field), if it is long enough to have one.
#[must_use]
pub fn api_key(frame: &[u8]) -> Option<i16> {
    frame.first_chunk::<2>().map(|key| i16::from_be_bytes(*key))
}

/// Serves one frame (without its length field), writing the response to `out` if it is ready. `front` says who
/// asks, if no earlier request of the connection waits for its answer. With a `fault_code` it is answered with that error and not
/// carried out.
///
/// # Errors
/// Why the connection has to be closed.
pub fn route(
    state: &NetState,
    counters: &Counters,
    mut frame: Bytes,
    front: Option<&Caller<'_>>,
    fault_code: Option<i16>,
    out: &mut Vec<u8>,
) -> Result<Routed, CloseReason> {
    count(&counters.requests, 1);
    let header = take_header(&mut frame)?;
    let body = frame;
    let served = ADVERTISED.iter().find(|(key, ..)| *key as i16 == header.api_key);
    let Some(&(key, min, max)) = served else {
        // Behind another request for Python, a leave for instance, none of these may overtake it.
        if let Some(caller) = front.filter(|_| fault_code.is_none())
            && let Some(routed) = for_groups(state, &header, &body, caller, out)
        {
            return Ok(routed);
        }
        return for_python(state, &header, body, fault_code.unwrap_or(0));
    };
    if !(min..=max).contains(&header.api_version) && key != ApiKey::ApiVersions {
        return Err(CloseReason::UnsupportedApi { key: header.api_key, version: header.api_version });
    }
    if let Some(code) = fault_code
        && fault_answers::answer(state, &header, body.clone(), code, out)?
    {
        return Ok(Routed::Written);
    }
    match key {
        ApiKey::Produce => {
            count(&counters.produce_requests, 1);
            return Ok(match produce::handle(state, counters, &header, body, out)? {
                Produced::Written => Routed::Written,
                Produced::Silent => Routed::Silent,
                Produced::Waiting(waiting) => Routed::Produce(waiting),
            });
        }
        ApiKey::Fetch => {
            count(&counters.fetch_requests, 1);
            match fetch::plan(state, &header, body)? {
                Ok(plan) => return Ok(Routed::Fetch(Box::new(plan))),
                Err(error) => fetch::refuse(&header, error, out),
            }
        }
        ApiKey::Metadata => {
            let head = header.response_head();
            let answer = metadata::handle(state, head, header.api_version, body.clone(), true, out)?;
            match answer {
                Answer::Written => {}
                Answer::Shared(rest) => return Ok(Routed::Shared(rest)),
                Answer::AskPython => return Ok(control(&header, body, 0)),
            }
        }
        ApiKey::ApiVersions => api_versions::handle(state, &header, body, out)?,
        ApiKey::ListOffsets => return Ok(Routed::Offsets(Box::new(list_offsets::plan(state, &header, body)?))),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::handle(state, &header, body, out)?,
        ApiKey::DeleteRecords => delete_records::handle(state, &header, body, out)?,
        _ => return Err(CloseReason::UnsupportedApi { key: header.api_key, version: header.api_version }),
    }
    Ok(Routed::Written)
}

/// Serves or keeps what Rust may for groups that Python has told it of; `None` is for Python.
fn for_groups(
    state: &NetState,
    header: &RequestHeader,
    body: &Bytes,
    caller: &Caller<'_>,
    out: &mut Vec<u8>,
) -> Option<Routed> {
    let kept = || Routed::Kept { head: header.response_head() };
    match ApiKey::try_from(header.api_key).ok()? {
        ApiKey::Heartbeat => heartbeat::handle(state, header, body, out).then_some(Routed::Written),
        ApiKey::OffsetCommit => offset_commit::handle(state, header, body, out).map(Routed::Stored),
        ApiKey::JoinGroup => join_group::keep(state, header, body, caller).then(kept),
        ApiKey::SyncGroup => sync_group::keep(state, header, body, caller).then(kept),
        _ => None,
    }
}

fn for_python(state: &NetState, header: &RequestHeader, body: Bytes, fault_code: i16) -> Result<Routed, CloseReason> {
    let apis = state.snapshot.python_apis();
    match apis.get(&header.api_key) {
        Some(&(min, max)) if (min..=max).contains(&header.api_version) => Ok(control(header, body, fault_code)),
        _ => Err(CloseReason::UnsupportedApi { key: header.api_key, version: header.api_version }),
    }
}

fn control(header: &RequestHeader, body: Bytes, fault_code: i16) -> Routed {
    let request = ControlRequest {
        token: 0,
        api_key: header.api_key,
        api_version: header.api_version,
        correlation_id: header.correlation_id,
        client_id: header.client_id_text(),
        connection_id: 0,
        peer_host: Arc::default(),
        fault_code,
        body,
    };
    Routed::Control { head: header.response_head(), request: Box::new(request) }
}
