//! Frames and headers: a 4-byte length, then a header, then the message.
//!
//! ```text
//! request:  length i32 | api key i16 | api version i16 | correlation id i32 | client id nullable string | tags (v2)
//! response: length i32 | correlation id i32 | tags (v1)
//! ```
//! The length does not count itself. Header versions belong to the API version (KIP-482); ApiVersions is always
//! answered with header v0, for the client does not know yet what we speak.

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::messages::ApiKey;

use super::shape::{Kind, Shape, WireError, field};

/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;
/// Shortest request that has an API key, a version and a correlation id.
pub const MIN_FRAME_BYTES: usize = 8;

/// What the first bytes of a buffer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStart {
    /// Not even a length yet.
    Incomplete,
    /// A frame of that many bytes, the length field included.
    Frame {
        /// Its size.
        size: usize,
    },
    /// Negative, too short or too long: the connection can't go on.
    Invalid {
        /// The length claimed.
        length: i32,
    },
}

/// Reads a frame's length; allocates nothing, whatever it claims.
#[must_use]
pub fn frame_start(buffer: &[u8], max_request_bytes: usize) -> FrameStart {
    let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() else { return FrameStart::Incomplete };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(size) if (MIN_FRAME_BYTES..=max_request_bytes).contains(&size) => {
            FrameStart::Frame { size: size + LENGTH_BYTES }
        }
        _ => FrameStart::Invalid { length },
    }
}

/// A request's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// API key.
    pub api_key: i16,
    /// API version.
    pub api_version: i16,
    /// Echoed in the response.
    pub correlation_id: i32,
    /// Client id; shares the frame's memory.
    pub client_id: Option<Bytes>,
}

impl RequestHeader {
    /// How the response to this request begins.
    #[must_use]
    pub fn response_head(&self) -> ResponseHead {
        let flexible =
            ApiKey::try_from(self.api_key).map_or(true, |key| key.response_header_version(self.api_version) > 0);
        ResponseHead { correlation_id: self.correlation_id, flexible }
    }

    /// The client id as text; what isn't UTF-8 is replaced.
    #[must_use]
    pub fn client_id_text(&self) -> Option<String> {
        self.client_id.as_ref().map(|id| String::from_utf8_lossy(id).into_owned())
    }
}

const TAGS_ONLY: Shape = Shape { flexible_from: 0, fields: &[] };
const TEXT_ONLY: Shape = Shape { flexible_from: i16::MAX, fields: &[field(Kind::Text)] };

/// Takes the header off a frame (without its length field) and leaves the body.
///
/// # Errors
/// When the header is cut short or its tagged fields lie.
pub fn take_header(frame: &mut Bytes) -> Result<RequestHeader, WireError> {
    if frame.len() < MIN_FRAME_BYTES {
        return Err(WireError::Truncated { at: frame.len() });
    }
    let (api_key, api_version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    // An API this codec does not know yet is a new one, and those are all flexible.
    let version = ApiKey::try_from(api_key).map_or(2, |key| key.request_header_version(api_version));
    let mut client_id = None;
    if version >= 1 {
        let size = TEXT_ONLY.check(0, frame)?;
        let length = frame.get_i16();
        let text = frame.split_to(size - 2);
        client_id = (length >= 0).then_some(text);
    }
    if version >= 2 {
        let size = TAGS_ONLY.check(0, frame)?;
        frame.advance(size);
    }
    Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
}

/// What a response starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// The request's.
    pub correlation_id: i32,
    /// Header v1: an empty set of tagged fields follows.
    pub flexible: bool,
}

impl ResponseHead {
    /// Writes length (to be set by [`finish`]) and header; returns where the frame starts.
    pub fn begin(self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.put_i32(0);
        out.put_i32(self.correlation_id);
        if self.flexible {
            out.put_u8(0);
        }
        start
    }
}

/// How to take the header off the response to a request that we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeadReader {
    flexible: bool,
}

impl ResponseHeadReader {
    /// Of the response to a request of that API and version.
    #[must_use]
    pub fn of(api_key: i16, api_version: i16) -> Self {
        Self { flexible: ApiKey::try_from(api_key).map_or(true, |key| key.response_header_version(api_version) > 0) }
    }

    /// Takes the header off a frame (without its length field) and leaves the body; returns the correlation id.
    ///
    /// # Errors
    /// When the header is cut short or its tagged fields lie.
    pub fn take(self, frame: &mut Bytes) -> Result<i32, WireError> {
        if frame.len() < 4 {
            return Err(WireError::Truncated { at: frame.len() });
        }
        let correlation_id = frame.get_i32();
        if self.flexible {
            let size = TAGS_ONLY.check(0, frame)?;
            frame.advance(size);
        }
        Ok(correlation_id)
    }
}

/// Sets the length of the frame that starts at `start` and ends at `out`'s end plus `extra` bytes sent from elsewhere.
pub fn finish(out: &mut [u8], start: usize, extra: usize) {
    let length = out.len() - start - LENGTH_BYTES + extra;
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_judged_before_its_bytes_come() {
        let start = |length: i32| frame_start(&length.to_be_bytes(), 100);
        assert_eq!(start(100), FrameStart::Frame { size: 104 });
        for length in [-1, i32::MIN, 0, 7, 101, i32::MAX] {
            assert_eq!(start(length), FrameStart::Invalid { length });
        }
        assert_eq!(frame_start(&[0, 0, 0], 100), FrameStart::Incomplete);
    }

    #[test]
    fn headers_of_all_three_versions_are_read() {
        // Metadata v0: header v1. Metadata v9: header v2 with one tagged field. Unknown key: as v2.
        let cases: [(&[u8], Option<&[u8]>); 4] = [
            (&[0, 3, 0, 0, 0, 0, 0, 7, 0, 2, b'm', b'e', 0xaa], Some(b"me")),
            (&[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0xaa], None),
            (&[0, 3, 0, 9, 0, 0, 0, 7, 0, 1, b'm', 1, 5, 2, 9, 9, 0xaa], Some(b"m")),
            (&[0, 99, 0, 0, 0, 0, 0, 7, 0, 1, b'm', 0, 0xaa], Some(b"m")),
        ];
        for (bytes, client_id) in cases {
            let mut frame = Bytes::from_static(bytes);
            let header = take_header(&mut frame).expect("valid");
            assert_eq!(header.correlation_id, 7);
            assert_eq!(header.client_id.as_deref(), client_id);
            assert_eq!(&frame[..], [0xaa], "the body is left");
        }
    }

    #[test]
    fn a_header_that_lies_is_an_error() {
        let cases: [&[u8]; 4] = [
            &[0, 3, 0, 0, 0, 0, 0],
            &[0, 3, 0, 0, 0, 0, 0, 7, 0, 9, b'm'],
            &[0, 3, 0, 0, 0, 0, 0, 7, 0xff, 0xfe],
            &[0, 3, 0, 9, 0, 0, 0, 7, 0, 0, 200, 200, 200, 200, 200],
        ];
        for bytes in cases {
            assert!(take_header(&mut Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_response_frame_counts_what_is_sent_from_elsewhere() {
        let mut out = b"before".to_vec();
        let start = ResponseHead { correlation_id: 5, flexible: true }.begin(&mut out);
        out.put_slice(b"body");
        finish(&mut out, start, 100);
        assert_eq!(&out[start..], [0, 0, 0, 109, 0, 0, 0, 5, 0, b'b', b'o', b'd', b'y']);
    }
}
