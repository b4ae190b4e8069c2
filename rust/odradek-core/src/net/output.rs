//! What a connection still has to send: bytes, and ranges of log files.
//!
//! Bytes are written into buffers lent by a pool of the I/O thread; a connection that has sent everything holds none.
//! Bytes that many connections send (Metadata of all topics) are shared, not copied. File ranges go from the page cache to the socket by `sendfile` and are never held in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::handlers::fetch::FileParts;
use crate::log::types::FileSlice;

/// A buffer larger than this is freed, not kept for others.
const POOLED_BUFFER_BYTES: usize = 256 << 10;
/// Buffers kept by each I/O thread.
const POOLED_BUFFERS: usize = 8;
/// Most that one `sendfile` moves, so that one fast reader does not hold the thread.
const SENDFILE_BYTES: usize = 1 << 20;
/// What is read at a time from a file that has no descriptor.
const COPIED_BYTES: usize = 256 << 10;

thread_local! {
    static COPIED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn lend() -> Vec<u8> {
    POOL.with(|pool| pool.borrow_mut().pop()).unwrap_or_default()
}

fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > POOLED_BUFFER_BYTES {
        return;
    }
    buffer.clear();
    POOL.with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED_BUFFERS {
            pool.push(buffer);
        }
    });
}

enum Chunk {
    Bytes { data: Vec<u8>, sent: usize },
    Shared { data: Bytes, sent: usize },
    File { slice: FileSlice, sent: usize },
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is sent.
    All,
    /// The socket takes no more for now.
    Blocked,
}

/// The queue of one connection.
#[derive(Default)]
pub struct Output {
    chunks: VecDeque<Chunk>,
}

impl Output {
    /// True when everything is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(|chunk| match chunk {
            Chunk::Bytes { data, sent } => data.len() == *sent,
            Chunk::Shared { .. } | Chunk::File { .. } => false,
        })
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let held = |chunk: &Chunk| match chunk {
            Chunk::Bytes { data, .. } => data.len(),
            Chunk::Shared { data, .. } => data.len(),
            Chunk::File { .. } => 0,
        };
        self.chunks.iter().map(held).sum()
    }

    /// Where to append bytes.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if !matches!(self.chunks.back(), Some(Chunk::Bytes { .. })) {
            self.chunks.push_back(Chunk::Bytes { data: lend(), sent: 0 });
        }
        match self.chunks.back_mut() {
            Some(Chunk::Bytes { data, .. }) => data,
            // Just pushed above.
            _ => unreachable!("the last chunk holds bytes"),
        }
    }

    /// Appends bytes that others send too.
    pub fn push_shared(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.chunks.push_back(Chunk::Shared { data, sent: 0 });
        }
    }

    /// Puts file ranges into the bytes of the tail, at the places given (ascending).
    pub fn insert_files(&mut self, files: FileParts) {
        if files.is_empty() {
            return;
        }
        let Some(Chunk::Bytes { mut data, sent }) = self.chunks.pop_back() else { return };
        let mut rest = Vec::with_capacity(files.len());
        for (at, slice) in files.into_iter().rev() {
            rest.push((slice, data.split_off(at)));
        }
        self.chunks.push_back(Chunk::Bytes { data, sent });
        for (slice, after) in rest.into_iter().rev() {
            self.chunks.push_back(Chunk::File { slice, sent: 0 });
            if !after.is_empty() {
                self.chunks.push_back(Chunk::Bytes { data: after, sent: 0 });
            }
        }
    }

    /// Sends until all is sent or the socket is full. Adds the bytes sent to `sent_bytes`.
    ///
    /// # Errors
    /// The connection broke, or a log file is shorter than it was.
    pub fn flush(&mut self, stream: &TcpStream, sent_bytes: &mut u64) -> io::Result<Flushed> {
        while let Some(front) = self.chunks.front_mut() {
            let result = match front {
                Chunk::Bytes { data, sent } if *sent == data.len() => {
                    let data = std::mem::take(data);
                    self.chunks.pop_front();
                    give_back(data);
                    continue;
                }
                Chunk::Shared { data, sent } if *sent == data.len() => {
                    self.chunks.pop_front();
                    continue;
                }
                Chunk::File { slice, sent } if *sent == slice.len => {
                    self.chunks.pop_front();
                    continue;
                }
                Chunk::Bytes { .. } | Chunk::Shared { .. } => self.send_bytes(stream),
                Chunk::File { slice, sent } if slice.file.as_fd().is_none() => send_copied(stream, slice, sent),
                Chunk::File { slice, sent } => send_file(stream, slice, sent),
            };
            match result {
                Ok(count) => *sent_bytes += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(error) => return Err(error),
            }
        }
        Ok(Flushed::All)
    }

    fn send_bytes(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let more = self.chunks.len() > 1;
        let (data, sent) = match self.chunks.front_mut() {
            Some(Chunk::Bytes { data, sent }) => (&data[..], sent),
            Some(Chunk::Shared { data, sent }) => (&data[..], sent),
            Some(Chunk::File { .. }) | None => return Ok(0),
        };
        let count = if more {
            // What follows comes at once; the peer should not be woken for a header alone.
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            stream.try_io(Interest::WRITABLE, || Ok(rustix::net::send(stream, &data[*sent..], flags)?))?
        } else {
            stream.try_write(&data[*sent..])?
        };
        *sent += count;
        Ok(count)
    }
}

/// Sends through memory, for a file that has no descriptor.
fn send_copied(stream: &TcpStream, slice: &FileSlice, sent: &mut usize) -> io::Result<usize> {
    COPIED.with(|buffer| {
        let mut buffer = buffer.borrow_mut();
        buffer.resize(COPIED_BYTES, 0);
        let wanted = (slice.len - *sent).min(COPIED_BYTES);
        let read = slice.file.read_at(&mut buffer[..wanted], slice.position + *sent as u64)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = stream.try_write(&buffer[..read])?;
        *sent += count;
        Ok(count)
    })
}

fn send_file(stream: &TcpStream, slice: &FileSlice, sent: &mut usize) -> io::Result<usize> {
    let Some(file) = slice.file.as_fd() else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut position = slice.position + *sent as u64;
    let count = (slice.len - *sent).min(SENDFILE_BYTES);
    let count = stream
        .try_io(Interest::WRITABLE, || Ok(rustix::fs::sendfile(stream.as_fd(), file, Some(&mut position), count)?))?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    *sent += count;
    Ok(count)
}
