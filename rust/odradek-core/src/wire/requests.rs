//! The requests that Rust decodes: which versions, which form, and the one way to decode them.

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, ProduceRequest,
};
use kafka_protocol::protocol::Decodable;

use super::shape::Kind::{Array, Blob, Fixed, FixedArray, Text};
use super::shape::{Shape, WireError, between, field, since};

/// A request served in Rust.
pub trait ServedRequest: Decodable {
    /// Its API key.
    const KEY: ApiKey;
    /// Lowest version decoded here.
    const MIN_VERSION: i16;
    /// Highest version decoded here.
    const MAX_VERSION: i16;
    /// Its form in all those versions.
    const SHAPE: Shape;
}

/// Decodes a request body after proving its counts. Strings and records share `body`'s memory.
///
/// # Errors
/// What can't be true, or a value the codec refuses.
pub fn decode<R: ServedRequest>(mut body: Bytes, version: i16) -> Result<R, WireError> {
    R::SHAPE.check(version, &body)?;
    R::decode(&mut body, version).map_err(|_| WireError::BadValue)
}

macro_rules! served {
    ($request:ident, $key:ident, $min:literal..=$max:literal, flexible $flexible:literal, [$($field:expr),* $(,)?]) => {
        impl ServedRequest for $request {
            const KEY: ApiKey = ApiKey::$key;
            const MIN_VERSION: i16 = $min;
            const MAX_VERSION: i16 = $max;
            const SHAPE: Shape = Shape { flexible_from: $flexible, fields: &[$($field),*] };
        }
    };
}

served!(ProduceRequest, Produce, 3..=13, flexible 9, [
    since(3, Text),
    field(Fixed(2)),
    field(Fixed(4)),
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[field(Fixed(4)), field(Blob)])),
    ])),
]);

served!(FetchRequest, Fetch, 4..=18, flexible 12, [
    between(0, 14, Fixed(4)),
    field(Fixed(4)),
    field(Fixed(4)),
    since(3, Fixed(4)),
    since(4, Fixed(1)),
    since(7, Fixed(8)),
    field(Array(&[
        between(0, 12, Text),
        since(13, Fixed(16)),
        field(Array(&[
            field(Fixed(4)),
            since(9, Fixed(4)),
            field(Fixed(8)),
            since(12, Fixed(4)),
            since(5, Fixed(8)),
            field(Fixed(4)),
        ])),
    ])),
    since(7, Array(&[between(7, 12, Text), since(13, Fixed(16)), field(FixedArray(4))])),
    since(11, Text),
]);

served!(ListOffsetsRequest, ListOffsets, 1..=10, flexible 6, [
    field(Fixed(4)),
    since(2, Fixed(1)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), since(4, Fixed(4)), field(Fixed(8))]))])),
    since(10, Fixed(4)),
]);

served!(MetadataRequest, Metadata, 0..=13, flexible 9, [
    field(Array(&[since(10, Fixed(16)), field(Text)])),
    since(4, Fixed(1)),
    between(8, 10, Fixed(1)),
    since(8, Fixed(1)),
]);

served!(ApiVersionsRequest, ApiVersions, 0..=4, flexible 3, [since(3, Text), since(3, Text)]);

served!(OffsetForLeaderEpochRequest, OffsetForLeaderEpoch, 2..=4, flexible 4, [
    since(3, Fixed(4)),
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), since(2, Fixed(4)), field(Fixed(4))]))])),
]);

served!(DeleteRecordsRequest, DeleteRecords, 0..=2, flexible 2, [
    field(Array(&[field(Text), field(Array(&[field(Fixed(4)), field(Fixed(8))]))])),
    field(Fixed(4)),
]);

/// (API key, lowest, highest version) that ApiVersions advertises for Rust. Produce is advertised from 0 as Kafka does,
/// for clients that take its lowest version for a sign of what compression works; versions 0-2 are refused.
pub const ADVERTISED: [(ApiKey, i16, i16); 7] = [
    (ApiKey::Produce, 0, ProduceRequest::MAX_VERSION),
    (ApiKey::Fetch, FetchRequest::MIN_VERSION, FetchRequest::MAX_VERSION),
    (ApiKey::ListOffsets, ListOffsetsRequest::MIN_VERSION, ListOffsetsRequest::MAX_VERSION),
    (ApiKey::Metadata, MetadataRequest::MIN_VERSION, MetadataRequest::MAX_VERSION),
    (ApiKey::ApiVersions, ApiVersionsRequest::MIN_VERSION, ApiVersionsRequest::MAX_VERSION),
    (ApiKey::DeleteRecords, DeleteRecordsRequest::MIN_VERSION, DeleteRecordsRequest::MAX_VERSION),
    (ApiKey::OffsetForLeaderEpoch, OffsetForLeaderEpochRequest::MIN_VERSION, OffsetForLeaderEpochRequest::MAX_VERSION),
];
