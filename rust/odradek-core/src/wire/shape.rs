//! Proves that a message's claimed counts and lengths are true before anything is allocated for them.
//!
//! `kafka-protocol` reserves room for as many elements as an array claims. A lying count would abort the process, so
//! each message that Rust decodes is walked first: every element that a count promises must be there, and all arrays
//! and tagged fields of one message together hold at most [`MAX_ELEMENTS`] ([`MAX_ANSWER_ELEMENTS`] for a response). The walk allocates nothing. What the
//! shapes leave out (whether null is allowed, UTF-8) the decoder checks itself, without harm.
//!
//! Shapes follow the published message definitions; `tests::shapes_match_the_codec` holds them to `kafka-protocol`.

use thiserror::Error;

use super::primitives::{Cursor, PrimitiveError};

/// Array elements and tagged fields allowed in one request; each costs some 100 bytes once decoded.
pub const MAX_ELEMENTS: usize = 200_000;

/// The same for one response: brokers are trusted further than clients, and Metadata of a large cluster is large.
pub const MAX_ANSWER_ELEMENTS: usize = 4_000_000;

/// Longest string, as in Kafka; compact lengths could say more.
pub const MAX_TEXT_BYTES: usize = i16::MAX as usize;

/// What is wrong with a message.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A field or element reaches past the end.
    #[error("message ends at byte {at}, inside a field")]
    Truncated {
        /// Where the field starts.
        at: usize,
    },
    /// A length or count that can't be.
    #[error("impossible length at byte {at}")]
    BadLength {
        /// Where it stands.
        at: usize,
    },
    /// More than [`MAX_ELEMENTS`], or [`MAX_ANSWER_ELEMENTS`].
    #[error("too many elements in one message")]
    TooManyElements,
    /// The codec refused what the walk let through (null where none may be, bad UTF-8).
    #[error("field value not allowed")]
    BadValue,
}

/// The form of one field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// That many bytes.
    Fixed(usize),
    /// A string, perhaps null.
    Text,
    /// Bytes or records, perhaps null.
    Blob,
    /// A struct.
    Struct(&'static [Field]),
    /// An array of structs, perhaps null.
    Array(&'static [Field]),
    /// An array of values of that many bytes.
    FixedArray(usize),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    from: i16,
    to: i16,
    tag: Option<u32>,
    kind: Kind,
}

/// A field of all versions.
#[must_use]
pub const fn field(kind: Kind) -> Field {
    since(0, kind)
}

/// A field of version `from` and later ones.
#[must_use]
pub const fn since(from: i16, kind: Kind) -> Field {
    Field { from, to: i16::MAX, tag: None, kind }
}

/// A field of versions `from` to `to`.
#[must_use]
pub const fn between(from: i16, to: i16, kind: Kind) -> Field {
    Field { from, to, tag: None, kind }
}

/// A tagged field of version `from` and later ones. All that the codec knows must be named: it reads them by their form
/// and not by their length, so a length that lies would lead it to bytes that were never walked.
#[must_use]
pub const fn tagged(tag: u32, from: i16, kind: Kind) -> Field {
    Field { from, to: i16::MAX, tag: Some(tag), kind }
}

/// A message's form.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// First version with compact lengths and tagged fields.
    pub flexible_from: i16,
    /// Fields in order.
    pub fields: &'static [Field],
}

impl Shape {
    /// Walks `body`; returns how many bytes the request takes. Bytes after it are the caller's to judge.
    ///
    /// # Errors
    /// The first thing that can't be true.
    pub fn check(&self, version: i16, body: &[u8]) -> Result<usize, WireError> {
        self.check_up_to(version, body, MAX_ELEMENTS)
    }

    /// As [`Shape::check`], with another bound on the elements.
    ///
    /// # Errors
    /// The first thing that can't be true.
    pub fn check_up_to(&self, version: i16, body: &[u8], max_elements: usize) -> Result<usize, WireError> {
        let flexible = version >= self.flexible_from;
        let mut walk = Walk { body, at: 0, version, flexible, elements_left: max_elements };
        walk.fields(self.fields)?;
        Ok(walk.at)
    }
}

struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), WireError> {
        for field in fields {
            if field.tag.is_none() && (field.from..=field.to).contains(&self.version) {
                self.value(field.kind)?;
            }
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    fn value(&mut self, kind: Kind) -> Result<(), WireError> {
        match kind {
            Kind::Fixed(size) => self.skip(size),
            Kind::Text => {
                let at = self.at;
                let length = if self.flexible { self.compact_length()? } else { self.short_length()? };
                if length > MAX_TEXT_BYTES {
                    return Err(WireError::BadLength { at });
                }
                self.skip(length)
            }
            Kind::Blob => {
                let length = self.length()?;
                self.skip(length)
            }
            Kind::Struct(fields) => self.fields(fields),
            Kind::Array(element) => {
                let count = self.length()?;
                self.take_elements(count)?;
                for _ in 0..count {
                    self.fields(element)?;
                }
                Ok(())
            }
            Kind::FixedArray(size) => {
                let count = self.length()?;
                self.take_elements(count)?;
                self.skip(count * size)
            }
        }
    }

    fn tagged_fields(&mut self, fields: &[Field]) -> Result<(), WireError> {
        let count = self.unsigned_varint()? as usize;
        self.take_elements(count)?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let start = self.at;
            self.skip(size)?;
            let known = fields.iter().find(|field| field.tag == Some(tag) && field.from <= self.version);
            if let Some(field) = known {
                self.at = start;
                self.value(field.kind)?;
                if self.at != start + size {
                    return Err(WireError::BadLength { at: start });
                }
            }
        }
        Ok(())
    }

    fn take_elements(&mut self, count: usize) -> Result<(), WireError> {
        self.elements_left = self.elements_left.checked_sub(count).ok_or(WireError::TooManyElements)?;
        Ok(())
    }

    fn skip(&mut self, size: usize) -> Result<(), WireError> {
        if size > self.body.len() - self.at {
            return Err(WireError::Truncated { at: self.at });
        }
        self.at += size;
        Ok(())
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.body[self.at..].first_chunk::<N>().ok_or(WireError::Truncated { at: self.at })?;
        self.at += N;
        Ok(*bytes)
    }

    /// Of an array or bytes; null counts as 0.
    fn length(&mut self) -> Result<usize, WireError> {
        if self.flexible {
            return self.compact_length();
        }
        let at = self.at;
        match i32::from_be_bytes(self.fixed()?) {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| WireError::BadLength { at }),
        }
    }

    fn short_length(&mut self) -> Result<usize, WireError> {
        let at = self.at;
        match i16::from_be_bytes(self.fixed()?) {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| WireError::BadLength { at }),
        }
    }

    fn compact_length(&mut self) -> Result<usize, WireError> {
        let at = self.at;
        let plus_one = self.unsigned_varint()?;
        if plus_one > i32::MAX as u32 {
            return Err(WireError::BadLength { at });
        }
        Ok((plus_one as usize).saturating_sub(1))
    }

    fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let at = self.at;
        let mut cursor = Cursor::new(&self.body[at..]);
        let value = cursor.unsigned_varint().map_err(|error| match error {
            PrimitiveError::Short => WireError::Truncated { at },
            PrimitiveError::Overlong | PrimitiveError::NegativeLength => WireError::BadLength { at },
        })?;
        self.at = self.body.len() - cursor.remaining();
        Ok(value)
    }
}
