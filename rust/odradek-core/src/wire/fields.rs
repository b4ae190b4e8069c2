//! Reads a request's fields in place, one after the other, for the requests that Rust serves only when they are plain.
//!
//! No errors of its own: `None` is "not plain", whatever the reason (cut short, a length that lies, bad UTF-8, a tagged
//! field), and Python's to judge. Nothing is allocated but what the caller does for elements that were read; see
//! `offset_commit`, `join_group`, `sync_group`. Not here: whole messages by their shapes (`shape`), the record format
//! (`primitives`).

use std::str;

use super::primitives::Cursor;
use super::shape::MAX_TEXT_BYTES;

/// What is left of a request's body.
pub struct Fields<'a> {
    cursor: Cursor<'a>,
    flexible: bool,
}

impl<'a> Fields<'a> {
    /// All of a body; `flexible`: lengths are varints and structs end with their tagged fields.
    #[must_use]
    pub fn new(body: &'a [u8], flexible: bool) -> Self {
        Self { cursor: Cursor::new(body), flexible }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// So many bytes as they are.
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.cursor.take(N).ok()?.try_into().ok()
    }

    /// An int32.
    pub fn int(&mut self) -> Option<i32> {
        self.bytes().map(i32::from_be_bytes)
    }

    /// An int64.
    pub fn long(&mut self) -> Option<i64> {
        self.bytes().map(i64::from_be_bytes)
    }

    /// A string, perhaps null.
    pub fn text(&mut self) -> Option<Option<&'a str>> {
        let length = if self.flexible { self.length()? } else { self.bytes().map(i16::from_be_bytes)?.into() };
        if length == -1 {
            return Some(None);
        }
        let length = usize::try_from(length).ok().filter(|&length| length <= MAX_TEXT_BYTES)?;
        str::from_utf8(self.cursor.take(length).ok()?).ok().map(Some)
    }

    /// Bytes with their length in front; null is not plain.
    pub fn blob(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.cursor.take(length).ok()
    }

    /// An array of (string, bytes).
    pub fn named_blobs(&mut self) -> Option<Vec<(&'a str, &'a [u8])>> {
        let mut named = Vec::new();
        for _ in 0..self.count()? {
            named.push((self.text()??, self.blob()?));
            self.no_tags()?;
        }
        Some(named)
    }

    /// How many elements an array claims to have; null is not plain.
    pub fn count(&mut self) -> Option<usize> {
        let count = if self.flexible { self.length()? } else { self.int()?.into() };
        usize::try_from(count).ok()
    }

    /// The tagged fields at the end of a struct, of which there may be none.
    pub fn no_tags(&mut self) -> Option<()> {
        (!self.flexible || self.cursor.u8() == Ok(0)).then_some(())
    }

    /// The end of the request: no tagged fields and nothing after it.
    pub fn end(&mut self) -> Option<()> {
        self.no_tags()?;
        (self.cursor.remaining() == 0).then_some(())
    }

    /// A compact length or count; -1 is null.
    fn length(&mut self) -> Option<i64> {
        self.cursor.unsigned_varint().ok().map(|plus_one| i64::from(plus_one) - 1)
    }
}
