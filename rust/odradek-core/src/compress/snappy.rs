//! Snappy in the framing of snappy-java ("xerial"), and raw as some clients send it.
//!
//! ```text
//! frame  82 53 4e 41 50 50 59 00, version int32 = 1, compatible version int32 = 1, then blocks
//! block  length int32 big-endian, then that many bytes of raw snappy
//! ```
//! Source: snappy-java `SnappyOutputStream`.

use std::cell::RefCell;
use std::io::{self, Read};

use super::corrupt;

const MAGIC: &[u8; 8] = b"\x82SNAPPY\x00";
const FRAME: &[u8; 16] = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
const BLOCK_BYTES: usize = 32 * 1024;
/// No element makes more than 64 bytes of 3, so a longer claim is a lie.
const MAX_RATIO: usize = 22;

thread_local! {
    static ENCODER: RefCell<snap::raw::Encoder> = RefCell::new(snap::raw::Encoder::new());
}

pub fn encode(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(FRAME);
    ENCODER.with_borrow_mut(|encoder| {
        for block in data.chunks(BLOCK_BYTES) {
            let start = out.len();
            out.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
            let size = encoder.compress(block, &mut out[start + 4..]).map_err(io::Error::other)?;
            let length = u32::try_from(size).map_err(io::Error::other)?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            out.truncate(start + 4 + size);
        }
        Ok(())
    })
}

/// Reads block by block; holds one decompressed block that the reader had no room for.
pub struct Decoder<'a> {
    rest: &'a [u8],
    framed: bool,
    started: bool,
    block: Vec<u8>,
    position: usize,
}

impl<'a> Decoder<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data, framed: data.starts_with(MAGIC), started: false, block: Vec::new(), position: 0 }
    }

    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if !self.framed {
            let raw = (!self.started).then_some(self.rest);
            self.started = true;
            return Ok(raw);
        }
        if !self.started {
            self.rest = self.rest.get(FRAME.len()..).ok_or_else(|| corrupt("the frame's header is cut short"))?;
            self.started = true;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_first_chunk().ok_or_else(|| corrupt("a block's length is cut short"))?;
        let length =
            usize::try_from(i32::from_be_bytes(*length)).map_err(|_| corrupt("a block's length is negative"))?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(|| corrupt("a block is cut short"))?;
        self.rest = rest;
        Ok(Some(block))
    }

    /// The next block and how many bytes it says it holds.
    fn next_sized(&mut self) -> io::Result<Option<(&'a [u8], usize)>> {
        let Some(block) = self.next_block()? else { return Ok(None) };
        let size = snap::raw::decompress_len(block).map_err(io::Error::other)?;
        if size > block.len().saturating_mul(MAX_RATIO) {
            return Err(corrupt("a block claims more than its bytes can hold"));
        }
        Ok(Some((block, size)))
    }
}

fn decode(block: &[u8], out: &mut [u8]) -> io::Result<usize> {
    snap::raw::Decoder::new().decompress(block, out).map_err(io::Error::other)
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.position == self.block.len() {
            let Some((block, size)) = self.next_sized()? else { return Ok(0) };
            if size <= buffer.len() {
                match decode(block, buffer)? {
                    0 => continue,
                    made => return Ok(made),
                }
            }
            self.block.resize(size, 0);
            self.position = 0;
            let made = decode(block, &mut self.block)?;
            self.block.truncate(made);
        }
        let size = buffer.len().min(self.block.len() - self.position);
        buffer[..size].copy_from_slice(&self.block[self.position..self.position + size]);
        self.position += size;
        Ok(size)
    }
}
