//! The record format's variable-length integers, and a bounds-checked cursor over borrowed bytes.
//!
//! A signed number is zigzag-mapped (0, -1, 1, -2 -> 0, 1, 2, 3) and written seven bits at a time, lowest first; the top
//! bit of a byte says that another follows. A varint holds 32 bits in at most 5 bytes, a varlong 64 in at most 10.
//! An unsigned varint, of which the protocol's compact lengths and tags are made, is not zigzag-mapped.
//! Source: Kafka `ByteUtils`.

use thiserror::Error;

/// Most bytes a varint takes.
pub const MAX_VARINT_BYTES: usize = 5;
/// Most bytes a varlong takes.
pub const MAX_VARLONG_BYTES: usize = 10;

/// Why a primitive can't be read.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum PrimitiveError {
    /// The bytes end inside it.
    #[error("bytes end inside a field")]
    Short,
    /// A variable-length integer goes on past its longest form.
    #[error("variable-length integer is too long")]
    Overlong,
    /// A length is negative where only null (-1) or a size may stand.
    #[error("negative length")]
    NegativeLength,
}

/// Reads primitives off borrowed bytes; never past their end.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    /// [`PrimitiveError::Short`] when there are fewer.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], PrimitiveError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(PrimitiveError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`PrimitiveError::Short`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, PrimitiveError> {
        let (&byte, rest) = self.rest.split_first().ok_or(PrimitiveError::Short)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Takes a signed 32-bit variable-length integer.
    ///
    /// # Errors
    /// [`PrimitiveError::Short`], or [`PrimitiveError::Overlong`] after 5 bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, PrimitiveError> {
        match self.short_varint() {
            Some(raw) => Ok((raw >> 1) as i32 ^ -((raw & 1) as i32)),
            None => self.long_varint(),
        }
    }

    /// Takes a signed 64-bit variable-length integer.
    ///
    /// # Errors
    /// [`PrimitiveError::Short`], or [`PrimitiveError::Overlong`] after 10 bytes.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, PrimitiveError> {
        match self.short_varint() {
            Some(raw) => Ok(i64::from((raw >> 1) as i32 ^ -((raw & 1) as i32))),
            None => self.long_varlong(),
        }
    }

    /// Takes an unsigned 32-bit variable-length integer.
    ///
    /// # Errors
    /// [`PrimitiveError::Short`], or [`PrimitiveError::Overlong`] when it needs more than 32 bits. Kafka drops those
    /// above 32; nobody writes them.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, PrimitiveError> {
        let mut value = 0_u64;
        for shift in (0..MAX_VARINT_BYTES * 7).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| PrimitiveError::Overlong);
            }
        }
        Err(PrimitiveError::Overlong)
    }

    /// One of one or two bytes, which nearly all are, before zigzag.
    #[inline]
    fn short_varint(&mut self) -> Option<u32> {
        let (raw, rest) = match *self.rest {
            [first @ 0..0x80, ref rest @ ..] => (u32::from(first), rest),
            [first, second @ 0..0x80, ref rest @ ..] => (u32::from(first & 0x7f) | u32::from(second) << 7, rest),
            _ => return None,
        };
        self.rest = rest;
        Some(raw)
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<i32, PrimitiveError> {
        let mut raw = 0u32;
        for shift in (0..MAX_VARINT_BYTES * 7).step_by(7) {
            let byte = self.u8()?;
            raw |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((raw >> 1) as i32 ^ -((raw & 1) as i32));
            }
        }
        Err(PrimitiveError::Overlong)
    }

    #[inline(never)]
    fn long_varlong(&mut self) -> Result<i64, PrimitiveError> {
        let mut raw = 0u64;
        for shift in (0..MAX_VARLONG_BYTES * 7).step_by(7) {
            let byte = self.u8()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        Err(PrimitiveError::Overlong)
    }

    /// Takes bytes with a varint length in front, -1 meaning null.
    ///
    /// # Errors
    /// [`PrimitiveError::NegativeLength`] below -1, else as [`Cursor::varint`] and [`Cursor::take`].
    #[inline]
    pub fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, PrimitiveError> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| PrimitiveError::NegativeLength)?;
                self.take(length).map(Some)
            }
        }
    }
}

fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes that [`put_varint`] writes.
#[must_use]
#[inline]
pub fn varint_len(value: i32) -> usize {
    (38 - (zigzag32(value) | 1).leading_zeros() as usize) / 7
}

/// Bytes that [`put_varlong`] writes.
#[must_use]
#[inline]
pub fn varlong_len(value: i64) -> usize {
    (70 - (zigzag64(value) | 1).leading_zeros() as usize) / 7
}

/// Appends a signed 32-bit variable-length integer.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_raw(out, u64::from(zigzag32(value)));
}

/// Appends a signed 64-bit variable-length integer.
#[inline]
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_raw(out, zigzag64(value));
}

/// Appends an unsigned variable-length integer: a length, a count or a tag.
#[inline]
pub fn put_unsigned_varint(out: &mut Vec<u8>, value: usize) {
    put_raw(out, value as u64);
}

#[inline]
fn put_raw(out: &mut Vec<u8>, mut rest: u64) {
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: [(i32, &[u8]); 8] = [
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];

    #[test]
    fn varints_match_the_vectors_both_ways() {
        for (value, bytes) in VECTORS {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(varint_len(value), bytes.len());
            assert_eq!(Cursor::new(bytes).varint(), Ok(value));
            assert_eq!(Cursor::new(bytes).varlong(), Ok(i64::from(value)));
        }
    }

    #[test]
    fn varlongs_come_back_at_every_width() {
        for bits in 0..64 {
            for value in [1i64 << bits, !(1i64 << bits), (1i64 << bits).wrapping_sub(1)] {
                let mut out = Vec::new();
                put_varlong(&mut out, value);
                assert_eq!(varlong_len(value), out.len());
                let mut cursor = Cursor::new(&out);
                assert_eq!(cursor.varlong(), Ok(value));
                assert_eq!(cursor.remaining(), 0);
            }
        }
    }

    #[test]
    fn unsigned_varints_come_back_and_hold_32_bits() {
        for value in (0..32).flat_map(|bits| [1_u32 << bits, (1 << bits) - 1, !(1 << bits)]) {
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value as usize);
            let mut cursor = Cursor::new(&out);
            assert_eq!((cursor.unsigned_varint(), cursor.remaining()), (Ok(value), 0));
        }
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(), Ok(u32::MAX));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unsigned_varint(), Err(PrimitiveError::Overlong));
        assert_eq!(Cursor::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).unsigned_varint(), Err(PrimitiveError::Overlong));
        assert_eq!(Cursor::new(&[0x80]).unsigned_varint(), Err(PrimitiveError::Short));
    }

    #[test]
    fn what_is_too_long_or_cut_short_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 5]).varint(), Err(PrimitiveError::Overlong));
        assert_eq!(Cursor::new(&[0xff; 10]).varlong(), Err(PrimitiveError::Overlong));
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(PrimitiveError::Short));
        assert_eq!(Cursor::new(&[]).varlong(), Err(PrimitiveError::Short));
        assert_eq!(Cursor::new(&[0x03]).nullable_bytes(), Err(PrimitiveError::NegativeLength));
        assert_eq!(Cursor::new(&[0x04, 1]).nullable_bytes(), Err(PrimitiveError::Short));
        assert_eq!(Cursor::new(&[0x01]).nullable_bytes(), Ok(None));
        assert_eq!(Cursor::new(&[0x00]).nullable_bytes(), Ok(Some(&[][..])));
    }
}
