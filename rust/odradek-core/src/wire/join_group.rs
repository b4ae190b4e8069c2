//! JoinGroup as far as Rust reads it: in place, to keep it until Python takes many together (`net::rounds`).
//!
//! Not here: which requests are kept, and everything that is out of the ordinary. [`read`] has no errors of its own: what
//! it can't read, tagged fields too, is Python's to judge. Answers are Python's (`protocol/group_answers.py`).
//!
//! ```text
//! request   group string, session timeout int32, [rebalance timeout int32: 1+], member string,
//!           [instance nullable string: 5+], protocol type string, protocols array of: name string, metadata bytes;
//!           [reason nullable string: 8+]
//! ```
//! From version 6 on lengths are varints and each struct ends with its tagged fields.
//! Source: Kafka `JoinGroupRequest.json`.

use super::fields::Fields;

/// Versions read here.
pub const VERSIONS: std::ops::RangeInclusive<i16> = 0..=9;
const FLEXIBLE_FROM: i16 = 6;

/// A JoinGroup request; borrows from the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest<'a> {
    /// Group id.
    pub group: &'a str,
    /// Without a sign of life for so long, ms, the member is dead.
    pub session_timeout_ms: i32,
    /// How long it takes the member to join again at most, ms; in version 0 the session timeout.
    pub rebalance_timeout_ms: i32,
    /// Member id; empty for one that has none yet.
    pub member: &'a str,
    /// `group.instance.id`.
    pub instance: Option<&'a str>,
    /// `consumer`, `connect`.
    pub protocol_type: &'a str,
    /// (name, metadata) in the order of the member's preference.
    pub protocols: Vec<(&'a str, &'a [u8])>,
}

/// Reads a request's body; `None` when it is anything but a plain request of one of [`VERSIONS`] to its last byte.
#[must_use]
pub fn read(version: i16, body: &[u8]) -> Option<JoinRequest<'_>> {
    if !VERSIONS.contains(&version) {
        return None;
    }
    let mut fields = Fields::new(body, version >= FLEXIBLE_FROM);
    let group = fields.text()??;
    let session_timeout_ms = fields.int()?;
    let request = JoinRequest {
        group,
        session_timeout_ms,
        rebalance_timeout_ms: if version >= 1 { fields.int()? } else { session_timeout_ms },
        member: fields.text()??,
        instance: if version >= 5 { fields.text()? } else { None },
        protocol_type: fields.text()??,
        protocols: fields.named_blobs()?,
    };
    if version >= 8 {
        fields.text()?; // why the member joins: nobody needs to know
    }
    fields.end()?;
    Some(request)
}
