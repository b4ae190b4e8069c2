//! ApiVersions 0-4: what may be asked here.
//!
//! The response header is always v0, and a version from the future gets a v0 body with error 35 that names our own
//! range, so that any client can step down (KIP-511). Features: none are advertised, for none is served.

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};

use super::{CloseReason, reply};
use crate::net::state::NetState;
use crate::wire::error_code::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::requests::{ADVERTISED, ServedRequest, decode};

/// Answers; `body` is the request after its header.
///
/// # Errors
/// When the request contradicts itself.
pub fn handle(state: &NetState, header: &RequestHeader, body: Bytes, out: &mut Vec<u8>) -> Result<(), CloseReason> {
    let version = header.api_version;
    if !(ApiVersionsRequest::MIN_VERSION..=ApiVersionsRequest::MAX_VERSION).contains(&version) {
        let ours = row(ApiKey::ApiVersions as i16, ApiVersionsRequest::MIN_VERSION, ApiVersionsRequest::MAX_VERSION);
        let response = ApiVersionsResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code())
            .with_api_keys(vec![ours]);
        return reply(out, header.response_head(), 0, &response);
    }
    let request: ApiVersionsRequest = decode(body, version)?;
    let named = version < 3
        || (is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version));
    let response = if named {
        ApiVersionsResponse::default().with_api_keys(rows(state))
    } else {
        ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code())
    };
    reply(out, header.response_head(), version, &response)
}

/// Everything served, by API key: what Rust serves and what Python published.
fn rows(state: &NetState) -> Vec<ApiVersion> {
    let mut all = state.snapshot.python_apis().as_ref().clone();
    all.extend(ADVERTISED.iter().map(|&(key, min, max)| (key as i16, (min, max))));
    all.into_iter().map(|(key, (min, max))| row(key, min, max)).collect()
}

fn row(key: i16, min: i16, max: i16) -> ApiVersion {
    ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
}

/// Letters, digits, dots and dashes, with a letter or digit at both ends (KIP-511).
fn is_software_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
