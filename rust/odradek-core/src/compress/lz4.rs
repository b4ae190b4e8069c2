//! LZ4 in its frame format: written in independent blocks of 64 KiB without checksums, read in every form.
//!
//! That plain form is also what Java's producer and librdkafka write: its blocks are decoded here, straight into the
//! reader's buffer if it has room. Frames of any other form are the library's to read.
//!
//! The frame's layout is in the pure twin, `python/odradek/_pure/lz4.py`. Source: lz4 `doc/lz4_Frame_format.md`, Kafka `Lz4BlockOutputStream`.

use std::cell::RefCell;
use std::io::{self, Read};

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use lz4_flex::frame::FrameDecoder;

use super::corrupt;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const CONTENT_CHECKSUM: u8 = 0x04;
const END_MARK: [u8; 4] = [0; 4];
/// Header of the plain form: version 1, independent blocks of at most 64 KiB, no checksum but the header's, no size.
const PLAIN_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
/// Most bytes that a block of the plain form holds, stored or decoded.
const BLOCK_BYTES: usize = 64 * 1024;
/// Bit of a block's size that says that its bytes are stored as they are.
const STORED: u32 = 1 << 31;

/// What encoding needs and keeps for the next time.
struct Encoder {
    table: CompressTable,
    /// Room for any block, whatever it is encoded to.
    block: Box<[u8]>,
}

impl Encoder {
    fn new() -> Self {
        Self { table: CompressTable::large(), block: vec![0; get_maximum_output_size(BLOCK_BYTES)].into() }
    }
}

thread_local! {
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new());
}

/// Block by block by itself: the library's encoder of frames would copy what it is given first.
pub fn encode(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&PLAIN_HEADER);
    ENCODER.with_borrow_mut(|Encoder { table, block }| {
        for plain in data.chunks(BLOCK_BYTES) {
            let size = compress_into_with_table(plain, block, table).map_err(io::Error::other)?;
            // What gets no shorter is stored; a block has 64 KiB at most, so its size fits.
            let (flag, bytes) = if size < plain.len() { (0, &block[..size]) } else { (STORED, plain) };
            out.extend_from_slice(&(bytes.len() as u32 | flag).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(&END_MARK);
        Ok(())
    })
}

/// True if the bytes start as a frame and end with its end mark (and the content's checksum, if it has one).
fn is_whole(data: &[u8]) -> bool {
    let Some(rest) = data.strip_prefix(&MAGIC) else { return false };
    let Some(&flags) = rest.first() else { return false };
    let checksum = if flags & CONTENT_CHECKSUM == 0 { 0 } else { 4 };
    rest.len().checked_sub(checksum).is_some_and(|end| rest[..end].ends_with(&END_MARK))
}

/// Reads one frame.
pub enum Decoder<'a> {
    /// Not a frame, or its end is missing.
    Cut,
    /// In the plain form.
    Plain(Plain<'a>),
    /// In any other form.
    Other(Box<Other<'a>>),
}

impl<'a> Decoder<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        if !is_whole(data) {
            return Self::Cut;
        }
        match data.strip_prefix(&PLAIN_HEADER) {
            Some(blocks) => Self::Plain(Plain { rest: blocks, done: false, block: Vec::new(), start: 0, end: 0 }),
            None => {
                let frame = FrameDecoder::new(Source { rest: data, starved: false });
                Self::Other(Box::new(Other { frame, done: false }))
            }
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Cut => Err(corrupt("not a frame, or cut short")),
            Self::Plain(frame) => frame.read(buffer),
            Self::Other(frame) => frame.read(buffer),
        }
    }
}

/// The blocks of a frame in the plain form: each has its size in front (int32 little-endian), the end mark is size 0.
pub struct Plain<'a> {
    rest: &'a [u8],
    done: bool,
    /// A block for a reader that had no room for one; what is between `start` and `end` is still to be read.
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Plain<'_> {
    /// Decodes the next block to the front of `out`, which has room for any; 0 after the end mark.
    fn next_block(rest: &mut &[u8], out: &mut [u8]) -> io::Result<usize> {
        const CUT: &str = "the frame is cut short";
        let (head, after) = rest.split_first_chunk().ok_or_else(|| corrupt(CUT))?;
        let head = u32::from_le_bytes(*head);
        if head == 0 {
            return if after.is_empty() { Ok(0) } else { Err(corrupt("bytes follow the frame")) };
        }
        let size = (head & !STORED) as usize;
        if size > BLOCK_BYTES {
            return Err(corrupt("a block is too big"));
        }
        let (block, after) = after.split_at_checked(size).ok_or_else(|| corrupt(CUT))?;
        *rest = after;
        let made = if head & STORED == 0 {
            decompress_into(block, &mut out[..BLOCK_BYTES]).map_err(io::Error::other)?
        } else {
            out[..size].copy_from_slice(block);
            size
        };
        if made == 0 { Err(corrupt("a block is empty")) } else { Ok(made) }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.done {
            return Ok(0);
        }
        if self.start == self.end {
            if buffer.len() >= BLOCK_BYTES {
                let made = Self::next_block(&mut self.rest, buffer)?;
                self.done = made == 0;
                return Ok(made);
            }
            self.block.resize(BLOCK_BYTES, 0);
            self.start = 0;
            self.end = Self::next_block(&mut self.rest, &mut self.block)?;
            self.done = self.end == 0;
        }
        let size = buffer.len().min(self.end - self.start);
        buffer[..size].copy_from_slice(&self.block[self.start..self.start + size]);
        self.start += size;
        Ok(size)
    }
}

/// The compressed bytes, and whether the decoder ever wanted more than there are.
struct Source<'a> {
    rest: &'a [u8],
    starved: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.starved |= self.rest.is_empty() && !buffer.is_empty();
        self.rest.read(buffer)
    }
}

/// A frame by the library, which takes one that is cut short between blocks for a whole one: its end is checked here.
pub struct Other<'a> {
    frame: FrameDecoder<Source<'a>>,
    done: bool,
}

impl Other<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.done || buffer.is_empty() {
            return Ok(0);
        }
        let size = self.frame.read(buffer)?;
        if size == 0 {
            let source = self.frame.get_ref();
            if source.starved {
                return Err(corrupt("the frame is cut short"));
            }
            if !source.rest.is_empty() {
                return Err(corrupt("bytes follow the frame"));
            }
            self.done = true;
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(size: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..size).map(|_| next()).collect()
    }

    fn framed(data: &[u8]) -> Vec<u8> {
        let mut frame = b"before".to_vec();
        encode(data, &mut frame).expect("encodes");
        frame.split_off(b"before".len())
    }

    #[test]
    fn frames_of_every_size_are_whole_to_the_library_and_no_longer_than_stored_blocks() {
        let edges = [BLOCK_BYTES, 2 * BLOCK_BYTES].map(|edge| [edge - 1, edge, edge + 1, edge + 13]);
        for size in [0, 1, 4, 12, 13, 14, 100].into_iter().chain(edges.into_iter().flatten()) {
            let lines = b"{\"order\":1,\"at\":17}".iter().copied().cycle().take(size).collect();
            for data in [vec![0; size], lines, noise(size)] {
                let frame = framed(&data);
                let mut read = Vec::new();
                FrameDecoder::new(&frame[..]).read_to_end(&mut read).expect("decodes");
                assert!(read == data, "{size} bytes");
                let most = PLAIN_HEADER.len() + size + 4 * size.div_ceil(BLOCK_BYTES) + END_MARK.len();
                assert!(is_whole(&frame) && frame.len() <= most, "{size} bytes became {}", frame.len());
            }
        }
    }

    #[test]
    fn what_was_encoded_before_leaves_no_trace() {
        let data = noise(1_000).repeat(3);
        let first = framed(&data);
        framed(&noise(3 * BLOCK_BYTES));
        assert_eq!(framed(&data), first);
        assert!(first.len() < 2_000);
    }
}
