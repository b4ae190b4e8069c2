//! Kafka's primitive types, as far as `messages` needs them. Flexible versions only, but for the header.

use crate::failure::{Failure, Result};

/// Appends primitives to a frame.
#[derive(Default)]
pub struct Writer {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// Start a frame: a size to be filled in by `frame`, and request header 2 (1 where the API is not `flexible`).
    pub fn request(api_key: i16, version: i16, flexible: bool) -> Self {
        let mut w = Self::default();
        w.i32(0);
        w.i16(api_key);
        w.i16(version);
        w.i32(0);
        w.i16(7);
        w.bytes.extend_from_slice(b"loadgen");
        if flexible {
            w.tags();
        }
        w
    }

    /// Fill in the size and hand the frame out.
    pub fn frame(mut self) -> Vec<u8> {
        let size = i32::try_from(self.bytes.len() - 4).unwrap_or(i32::MAX);
        self.bytes[..4].copy_from_slice(&size.to_be_bytes());
        self.bytes
    }

    /// One byte.
    pub fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Two bytes.
    pub fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Length of a compact array that follows.
    pub fn array(&mut self, length: usize) {
        self.unsigned_varint(length + 1);
    }

    /// A compact string.
    pub fn string(&mut self, value: &str) {
        self.compact_bytes(value.as_bytes());
    }

    /// A compact null: of a string, an array or bytes.
    pub fn null(&mut self) {
        self.bytes.push(0);
    }

    /// Compact bytes.
    pub fn compact_bytes(&mut self, value: &[u8]) {
        self.unsigned_varint(value.len() + 1);
        self.bytes.extend_from_slice(value);
    }

    /// No tagged fields.
    pub fn tags(&mut self) {
        self.bytes.push(0);
    }
}

/// Takes primitives off a response; every read checks what is left.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Read `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if self.rest.len() < length {
            return Err(Failure::new(format!("a response ends {} bytes too early", length - self.rest.len())));
        }
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(head)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    /// Two bytes.
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    fn unsigned_varint(&mut self) -> Result<usize> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.array_of::<1>()?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(Failure::new("a varint in a response is longer than five bytes"))
    }

    /// Length of a compact array; a null array counts as empty.
    pub fn array(&mut self) -> Result<usize> {
        Ok(self.unsigned_varint()?.saturating_sub(1))
    }

    /// Compact bytes or string; null counts as empty.
    pub fn compact_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.unsigned_varint()?.saturating_sub(1);
        self.take(length)
    }

    /// A compact string as text.
    pub fn string(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.compact_bytes()?).map_err(|_| Failure::new("a string in a response is not UTF-8"))
    }

    /// Skip tagged fields.
    pub fn tags(&mut self) -> Result<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let length = self.unsigned_varint()?;
            self.take(length)?;
        }
        Ok(())
    }

    /// Whether everything was read.
    ///
    /// # Errors
    /// Bytes are left: the response is not of the shape it should have.
    pub fn finish(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("a response has {} bytes too many", self.rest.len())))
    }
}
