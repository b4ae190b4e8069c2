//! Cuts a byte stream into response frames. Memory grows with what has come, not with what a length claims, and a frame that
//! is kept keeps no more than its own bytes.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::answer_pool::{AnswerBuffer, AnswerPool};

/// Longest response: longer ones are no answer of a Kafka broker.
pub const MAX_RESPONSE_BYTES: usize = 1 << 30;
/// Room for small frames; a larger frame gets a buffer of its own.
const BUFFER_BYTES: usize = 64 * 1024;
const LENGTH_BYTES: usize = 4;

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes.
    Some,
    /// Nothing at the moment.
    Nothing,
    /// The peer has closed.
    End,
}

/// A length that can't be; `first` are the first bytes seen.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLength {
    /// At most 64 bytes, the length field included.
    pub first: Vec<u8>,
}

/// Collects bytes and gives frames, without their length field.
pub struct FrameReader {
    buffer: BytesMut,
    large: Option<Large>,
    max_bytes: usize,
    pool: Arc<AnswerPool>,
}

struct Large {
    buffer: AnswerBuffer,
    size: usize,
}

impl FrameReader {
    /// An empty one; a frame of more than `max_bytes` is refused, large ones take their memory from `pool`.
    #[must_use]
    pub fn new(max_bytes: usize, pool: Arc<AnswerPool>) -> Self {
        Self { buffer: BytesMut::new(), large: None, max_bytes, pool }
    }

    /// Reads once.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&mut self, stream: &TcpStream) -> io::Result<Read> {
        let result = match &mut self.large {
            Some(large) => {
                let bytes = large.buffer.with_room(large.size);
                let room = bytes.capacity().min(large.size) - bytes.len();
                stream.try_read_buf(&mut bytes.limit(room))
            }
            None => {
                self.buffer.reserve(if self.buffer.is_empty() { BUFFER_BYTES } else { BUFFER_BYTES / 2 });
                stream.try_read_buf(&mut self.buffer)
            }
        };
        match result {
            Ok(0) => Ok(Read::End),
            Ok(_) => Ok(Read::Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Takes the next whole frame.
    ///
    /// # Errors
    /// [`BadLength`] when the length is negative, too short for an answer or over the limit.
    pub fn frame(&mut self) -> Result<Option<Bytes>, BadLength> {
        if let Some(large) = &self.large {
            if large.buffer.len() < large.size {
                return Ok(None);
            }
            return Ok(self.large.take().map(|large| Bytes::from_owner(large.buffer)));
        }
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(LENGTH_BYTES..=self.max_bytes).contains(&length) {
            return Err(BadLength { first: self.buffer[..self.buffer.len().min(64)].to_vec() });
        }
        if self.buffer.len() >= LENGTH_BYTES + length {
            self.buffer.advance(LENGTH_BYTES);
            // Copied: a slice would keep all of the buffer for as long as a consumer keeps the answer.
            let frame = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            return Ok(Some(frame));
        }
        if length + LENGTH_BYTES > BUFFER_BYTES {
            self.buffer.advance(LENGTH_BYTES);
            let mut buffer = self.pool.take(length);
            buffer.with_room(length).extend_from_slice(&self.buffer);
            self.buffer.clear();
            self.large = Some(Large { buffer, size: length });
        }
        Ok(None)
    }

    /// The start of what is there but no whole frame yet; for a message about it.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[..self.buffer.len().min(64)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_frame_that_is_kept_keeps_its_own_bytes_only() {
        let mut reader = FrameReader::new(MAX_RESPONSE_BYTES, Arc::default());
        let mut kept = Vec::new();
        for number in 0..100_u8 {
            reader.buffer.reserve(BUFFER_BYTES);
            reader.buffer.put_slice(&[0, 0, 0, 5, 1, 2, 3, 4, number]);
            kept.push(reader.frame().expect("a length").expect("whole"));
        }
        assert!(reader.buffer.try_reclaim(BUFFER_BYTES), "none of the frames holds the buffer");
        assert!(kept.iter().zip(0..).all(|(frame, number)| frame[..] == [1, 2, 3, 4, number]));
    }
}
