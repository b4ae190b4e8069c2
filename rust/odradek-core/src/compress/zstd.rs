//! Zstandard frames, through contexts that each thread keeps: making one costs more than compressing a small batch.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective};

use super::corrupt;

const DEFAULT_LEVEL: i32 = 3;
/// A context that has grown past this (a long window) is not kept.
const KEPT_CONTEXT_BYTES: usize = 4 * 1024 * 1024;
/// A frame that claims no more than this many times its size is decompressed in one go, into a buffer of the claimed size.
const TRUSTED_RATIO: usize = 32;
/// Most bytes read at a time. Given room for all of a frame that states its size, the library decodes it in one go and then
/// takes blocks and windows that a streaming consumer of the same batch would refuse.
const STEP_BYTES: usize = 32 * 1024;

thread_local! {
    static ENCODER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECODER: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

fn failed(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

pub fn encode(data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    ENCODER.with_borrow_mut(|kept| {
        let mut context = match kept.take() {
            Some(context) => context,
            None => CCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?,
        };
        context.set_parameter(CParameter::CompressionLevel(level.unwrap_or(DEFAULT_LEVEL))).map_err(failed)?;
        let start = out.len();
        out.resize(start + zstd_safe::compress_bound(data.len()), 0);
        let size = context.compress2(&mut out[start..], data).map_err(failed)?;
        out.truncate(start + size);
        *kept = (context.sizeof() <= KEPT_CONTEXT_BYTES).then_some(context);
        Ok(())
    })
}

fn take_context() -> io::Result<DCtx<'static>> {
    match DECODER.take() {
        Some(mut context) => {
            context.reset(ResetDirective::SessionOnly).map_err(failed)?;
            Ok(context)
        }
        None => DCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory)),
    }
}

fn keep_context(context: DCtx<'static>) {
    if context.sizeof() <= KEPT_CONTEXT_BYTES {
        DECODER.set(Some(context));
    }
}

/// Decompresses one frame whose stated size is plausible; false, with `out` as it was, leaves it to the streaming decoder.
pub fn decode_sized(data: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
    let Ok(Some(size)) = zstd_safe::get_frame_content_size(data) else { return false };
    let Ok(size) = usize::try_from(size) else { return false };
    if size > limit || size > data.len().saturating_mul(TRUSTED_RATIO) {
        return false;
    }
    let Ok(mut context) = take_context() else { return false };
    let start = out.len();
    out.resize(start + size, 0);
    let made = context.decompress(&mut out[start..], data);
    keep_context(context);
    if made == Ok(size) {
        return true;
    }
    out.truncate(start);
    false
}

/// Reads frames one after the other.
pub struct Decoder<'a> {
    context: Option<DCtx<'static>>,
    data: &'a [u8],
    position: usize,
    /// True while the decoder stands inside a frame; at the start too, for no frame at all is no valid data.
    in_frame: bool,
}

impl<'a> Decoder<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { context: None, data, position: 0, in_frame: true }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let room = buffer.len().min(STEP_BYTES);
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(take_context()?),
        };
        loop {
            if self.position == self.data.len() && !self.in_frame {
                return Ok(0);
            }
            let mut input = InBuffer { src: self.data, pos: self.position };
            let mut output = OutBuffer::around(&mut buffer[..room]);
            let hint = context.decompress_stream(&mut output, &mut input).map_err(failed)?;
            let made = output.pos();
            let stuck = input.pos == self.position && made == 0;
            self.position = input.pos;
            self.in_frame = hint != 0;
            if made > 0 {
                return Ok(made);
            }
            if stuck && self.in_frame {
                return Err(corrupt("the frame is cut short"));
            }
        }
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take() {
            keep_context(context);
        }
    }
}
