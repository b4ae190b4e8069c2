//! Sends one Fetch and reads its answer.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::budget::Lease;
use super::response::{self, FetchAnswer};
use super::session::{Session, Wanted, highest_version, sessionless};
use super::settings::FetchSettings;
use super::sources::Lane;
use crate::client::cluster::{Cluster, Node};
use crate::client::error::ClientError;

const FETCH: i16 = 1;
/// From the oldest that carries record batches of today's format to the newest without anything new for consumers.
const FETCH_VERSIONS: std::ops::RangeInclusive<i16> = 4..=17;
/// First version that tells the client's rack (KIP-392).
const RACKS_FROM: i16 = 11;
/// Time that a broker gets to hear that a session is over.
const GOODBYE: Duration = Duration::from_millis(200);

/// The frame of an answer.
pub(super) struct Frame {
    bytes: Bytes,
    /// The request's version.
    pub version: i16,
}

impl Frame {
    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// What became of a fetch.
pub(super) struct Fetched {
    pub node: i32,
    pub lane: Lane,
    pub wanted: Vec<Wanted>,
    /// As it was given.
    pub session: Option<Session>,
    pub outcome: Result<(FetchAnswer, Frame), ClientError>,
    pub latency: Duration,
    pub lease: Lease,
}

/// Fetches `wanted` from one broker: at most so many bytes, or one batch if it is larger, on a lease that covers them.
/// Only with a session may the broker hold the request while there is nothing.
pub(super) async fn fetch(
    cluster: &Cluster,
    settings: &FetchSettings,
    (node, lane): (i32, Lane),
    mut session: Option<Session>,
    wanted: Vec<Wanted>,
    (lease, max_bytes): (Lease, usize),
) -> Fetched {
    let begun = Instant::now();
    let outcome = exchange(cluster, settings, (node, lane), session.as_mut(), &wanted, max_bytes).await;
    Fetched { node, lane, wanted, session, outcome, latency: begun.elapsed(), lease }
}

async fn exchange(
    cluster: &Cluster,
    settings: &FetchSettings,
    (node, lane): (i32, Lane),
    session: Option<&mut Session>,
    wanted: &[Wanted],
    max_bytes: usize,
) -> Result<(FetchAnswer, Frame), ClientError> {
    let to = Node::Id(node);
    let timeout = cluster.settings().request_timeout;
    let deadline = tokio::time::Instant::now() + timeout;
    let versions = cluster.versions(to, lane.channel(), deadline).await?;
    let version = highest_version(wanted, versions.highest(FETCH, FETCH_VERSIONS)?);
    let tells_rack = version >= RACKS_FROM && !wanted.iter().any(|one| one.from_leader);
    let rack = cluster.settings().client_rack.clone().filter(|_| tells_rack).unwrap_or_default();
    let (request, max_wait_ms) = match session {
        Some(session) => (session.request(wanted, version), settings.max_wait_ms),
        None => (sessionless(wanted, version), 0),
    };
    let request = request
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(i32::try_from(max_bytes).unwrap_or(i32::MAX))
        .with_isolation_level(i8::from(settings.committed_only))
        .with_rack_id(StrBytes::from_string(rack));
    let bytes =
        cluster.call_raw(to, lane.channel(), FETCH, version, vec![encode(&request, version)?], timeout, true).await?;
    let answer = response::parse(&bytes, version).map_err(|detail| ClientError::Protocol {
        peer: format!("broker {node}"),
        detail: format!("its answer to Fetch version {version} can't be read: {detail}"),
    })?;
    Ok((answer, Frame { bytes, version }))
}

fn encode(request: &FetchRequest, version: i16) -> Result<Bytes, ClientError> {
    let mut body = BytesMut::new();
    request.encode(&mut body, version).map_err(|error| ClientError::Unsupported {
        detail: format!("Fetch version {version} can't be encoded: {error}"),
    })?;
    Ok(body.freeze())
}

/// Sends a request that ends a session; how that goes is of no matter.
pub(super) async fn end_session(cluster: &Cluster, node: i32, request: FetchRequest) {
    let to = Node::Id(node);
    let deadline = tokio::time::Instant::now() + GOODBYE;
    let Ok(versions) = cluster.versions(to, Lane::Session.channel(), deadline).await else { return };
    let Ok(version) = versions.highest(FETCH, FETCH_VERSIONS) else { return };
    if let Ok(body) = encode(&request, version) {
        let _ = cluster.call_raw(to, Lane::Session.channel(), FETCH, version, vec![body], GOODBYE, true).await;
    }
}
