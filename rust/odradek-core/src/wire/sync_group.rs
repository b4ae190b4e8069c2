//! SyncGroup as far as Rust reads it: in place, to keep it until Python takes many together (`net::rounds`).
//!
//! Not here: which requests are kept, and everything that is out of the ordinary. [`read`] has no errors of its own: what
//! it can't read, tagged fields too, is Python's to judge. Answers are Python's (`protocol/group_answers.py`).
//!
//! ```text
//! request   group string, generation int32, member string, [instance nullable string: 3+],
//!           [protocol type nullable string, protocol nullable string: 5+],
//!           assignments array of: member string, assignment bytes
//! ```
//! From version 4 on lengths are varints and each struct ends with its tagged fields.
//! Source: Kafka `SyncGroupRequest.json`.

use super::fields::Fields;

/// Versions read here.
pub const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
/// The first version with a protocol type and a protocol.
pub const PROTOCOL_FROM: i16 = 5;
const FLEXIBLE_FROM: i16 = 4;

/// A SyncGroup request; borrows from the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest<'a> {
    /// Group id.
    pub group: &'a str,
    /// The generation that the member joined.
    pub generation: i32,
    /// Member id.
    pub member: &'a str,
    /// `group.instance.id`.
    pub instance: Option<&'a str>,
    /// The protocol type that the member believes in; `None` before [`PROTOCOL_FROM`], or null.
    pub protocol_type: Option<&'a str>,
    /// The same for the protocol.
    pub protocol: Option<&'a str>,
    /// (member id, assignment); empty unless the member leads.
    pub assignments: Vec<(&'a str, &'a [u8])>,
}

/// Reads a request's body; `None` when it is anything but a plain request of one of [`VERSIONS`] to its last byte.
#[must_use]
pub fn read(version: i16, body: &[u8]) -> Option<SyncRequest<'_>> {
    if !VERSIONS.contains(&version) {
        return None;
    }
    let mut fields = Fields::new(body, version >= FLEXIBLE_FROM);
    let has_protocol = version >= PROTOCOL_FROM;
    let request = SyncRequest {
        group: fields.text()??,
        generation: fields.int()?,
        member: fields.text()??,
        instance: if version >= 3 { fields.text()? } else { None },
        protocol_type: if has_protocol { fields.text()? } else { None },
        protocol: if has_protocol { fields.text()? } else { None },
        assignments: fields.named_blobs()?,
    };
    fields.end()?;
    Some(request)
}
