//! Makes a connection: looks the name up, connects, and asks for the API versions. Says what was seen when it fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::ClientError;
use super::foreign;
use super::frames::{FrameReader, Read};
use super::settings::ClientSettings;
use super::versions::Versions;
use crate::wire::error_code::{ErrorCode, Named};
use crate::wire::responses::decode;

const API_VERSIONS_KEY: i16 = ApiKey::ApiVersions as i16;
/// Highest version asked for; a broker that lacks it answers in version 0 with its own range.
const API_VERSIONS: i16 = 3;
/// Longest first answer. What another protocol's first bytes would be as a length is above it.
const MAX_FIRST_ANSWER_BYTES: usize = 1 << 20;

/// Why there is no connection.
#[derive(Debug)]
enum Failure {
    /// The address or the network.
    Unreachable(String),
    /// Something answers that is no Kafka broker.
    Foreign(String),
}

impl Failure {
    fn into_error(self, peer: &str) -> ClientError {
        let peer = peer.to_owned();
        match self {
            Self::Unreachable(detail) => ClientError::Unreachable { peer, detail },
            Self::Foreign(detail) => ClientError::Protocol { peer, detail },
        }
    }
}

/// Connects to `host:port`; `limit` holds for each address of the name, and again for the first answer.
///
/// # Errors
/// [`ClientError::Unreachable`], or [`ClientError::Protocol`] when the peer is no Kafka broker.
pub async fn connect(
    host: &str,
    port: u16,
    peer: &str,
    settings: &ClientSettings,
    limit: Duration,
) -> Result<(TcpStream, Versions), ClientError> {
    let mut stream = open(host, port, settings, limit).await.map_err(|failure| failure.into_error(peer))?;
    let asking = timeout(limit, ask_versions(&mut stream, peer, settings)).await;
    let versions = match asking {
        Ok(answer) => answer.map_err(|failure| failure.into_error(peer))?,
        Err(_) => {
            let detail = format!(
                "accepts the connection but did not answer within {} ms: not a Kafka broker, a TLS port, or an \
                 overloaded broker; check host and port",
                limit.as_millis()
            );
            return Err(ClientError::Unreachable { peer: peer.to_owned(), detail });
        }
    };
    Ok((stream, versions))
}

async fn open(host: &str, port: u16, settings: &ClientSettings, limit: Duration) -> Result<TcpStream, Failure> {
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => {
            let found = timeout(limit, lookup_host((host, port))).await;
            let found = found.map_err(|_| Failure::Unreachable("the name lookup does not answer".to_owned()))?;
            found.map_err(|error| Failure::Unreachable(format!("the name is not known ({error})")))?.collect()
        }
    };
    let mut seen = Vec::new();
    for address in addresses {
        match timeout(limit, open_one(address, settings)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => seen.push(reason(address, &error)),
            Err(_) => seen.push(format!("{address} does not answer within {} ms", limit.as_millis())),
        }
    }
    seen.dedup();
    Err(Failure::Unreachable(if seen.is_empty() { "the name has no address".to_owned() } else { seen.join(", ") }))
}

fn reason(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection to {address} refused; nothing listens there"),
        _ => format!("connection to {address} failed: {error}"),
    }
}

async fn open_one(address: SocketAddr, settings: &ClientSettings) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(bytes) = settings.send_buffer {
        set_socket_send_buffer_size(&socket, bytes)?;
    }
    if let Some(bytes) = settings.receive_buffer {
        set_socket_recv_buffer_size(&socket, bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask_versions(stream: &mut TcpStream, peer: &str, settings: &ClientSettings) -> Result<Versions, Failure> {
    let mut version = API_VERSIONS;
    loop {
        let mut body = Vec::new();
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("odradek"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
            .encode(&mut body, version)
            .map_err(|error| Failure::Foreign(format!("ApiVersions can't be encoded: {error}")))?;
        let head = request_head(API_VERSIONS_KEY, version, 0, &settings.client_id, body.len());
        let answer = exchange(stream, &[head, body].concat()).await?;
        // The response header of ApiVersions is always v0; a refusal (35) is in the form of version 0.
        let Some(correlation_id) = answer.first_chunk::<4>() else { return Err(not_kafka(&answer)) };
        if i32::from_be_bytes(*correlation_id) != 0 {
            return Err(not_kafka(&answer));
        }
        let body = answer.slice(4..);
        let refused = body.starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
        let form = if refused { 0 } else { version };
        let answer: ApiVersionsResponse = decode(body.clone(), form).map_err(|_| not_kafka(&body))?;
        if refused && version > 0 {
            version = 0;
            continue;
        }
        if answer.error_code != 0 {
            return Err(Failure::Unreachable(format!("ApiVersions was answered with {}", Named(answer.error_code))));
        }
        return Ok(Versions::of(peer.to_owned(), &answer));
    }
}

fn not_kafka(first: &[u8]) -> Failure {
    Failure::Foreign(foreign::describe(first))
}

/// Sends one request and reads one frame; nothing else is under way on the connection.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Bytes, Failure> {
    let broken = |error: io::Error| Failure::Unreachable(format!("the connection broke at the first request: {error}"));
    let mut sent = 0;
    while sent < request.len() {
        stream.writable().await.map_err(broken)?;
        match stream.try_write(&request[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(broken(error)),
        }
    }
    let mut reader = FrameReader::new(MAX_FIRST_ANSWER_BYTES, Arc::default());
    loop {
        if let Some(frame) = reader.frame().map_err(|bad| not_kafka(&bad.first))? {
            return Ok(frame);
        }
        stream.readable().await.map_err(broken)?;
        if reader.read(stream).map_err(broken)? == Read::End {
            // A frame that is never completed: what has come may tell what the peer is.
            return Err(match reader.rest() {
                [] => Failure::Unreachable(
                    "closed the connection at the first request: a TLS port, a port that is not a Kafka broker's, or \
                     a broker that is stopping; check host and port"
                        .to_owned(),
                ),
                rest => not_kafka(rest),
            });
        }
    }
}

/// The bytes before a request's body: length, header.
#[must_use]
pub fn request_head(
    api_key: i16,
    api_version: i16,
    correlation_id: i32,
    client_id: &str,
    body_bytes: usize,
) -> Vec<u8> {
    // An API that the codec does not know yet is a new one, and those are all flexible.
    let flexible = ApiKey::try_from(api_key).map_or(true, |key| key.request_header_version(api_version) >= 2);
    // Validated before; a longer one would only be cut in the broker's logs.
    let client_id = &client_id.as_bytes()[..client_id.len().min(i16::MAX as usize)];
    let mut head = Vec::with_capacity(15 + client_id.len());
    head.extend_from_slice(&[0; 4]);
    head.extend_from_slice(&api_key.to_be_bytes());
    head.extend_from_slice(&api_version.to_be_bytes());
    head.extend_from_slice(&correlation_id.to_be_bytes());
    head.extend_from_slice(&(client_id.len() as i16).to_be_bytes());
    head.extend_from_slice(client_id);
    if flexible {
        head.push(0);
    }
    let length = u32::try_from(head.len() - 4 + body_bytes).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_be_bytes());
    head
}
