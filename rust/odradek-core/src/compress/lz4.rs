//! LZ4 in its frame format: written in independent blocks of 64 KiB without checksums, read in every form.
//!
//! The frame's layout is in the pure twin, `python/odradek/_pure/lz4.py`. Source: lz4 `doc/lz4_Frame_format.md`, Kafka `Lz4BlockOutputStream`.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::corrupt;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const CONTENT_CHECKSUM: u8 = 0x04;
const END_MARK: [u8; 4] = [0; 4];

fn encoder() -> FrameEncoder<Vec<u8>> {
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    FrameEncoder::with_frame_info(info, Vec::new())
}

thread_local! {
    static ENCODER: RefCell<FrameEncoder<Vec<u8>>> = RefCell::new(encoder());
}

pub fn encode(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if data.is_empty() {
        // A used encoder leaves the header of an empty frame out.
        out.extend_from_slice(&encoder().finish().map_err(io::Error::other)?);
        return Ok(());
    }
    ENCODER.with_borrow_mut(|encoder| {
        std::mem::swap(encoder.get_mut(), out);
        let written = encoder.write_all(data).and_then(|()| encoder.try_finish().map_err(io::Error::other));
        std::mem::swap(encoder.get_mut(), out);
        written
    })
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

/// Reads one frame. The library takes a frame that is cut short between blocks for a whole one, so its end is checked here.
pub struct Decoder<'a> {
    frame: FrameDecoder<Source<'a>>,
    whole: bool,
    done: bool,
}

/// True if the bytes start as a frame and end with its end mark (and the content's checksum, if it has one).
fn is_whole(data: &[u8]) -> bool {
    let Some(rest) = data.strip_prefix(&MAGIC) else { return false };
    let Some(&flags) = rest.first() else { return false };
    let checksum = if flags & CONTENT_CHECKSUM == 0 { 0 } else { 4 };
    rest.len().checked_sub(checksum).is_some_and(|end| rest[..end].ends_with(&END_MARK))
}

impl<'a> Decoder<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { frame: FrameDecoder::new(Source { rest: data, starved: false }), whole: is_whole(data), done: false }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.whole {
            return Err(corrupt("not a frame, or cut short"));
        }
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
