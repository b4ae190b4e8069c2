//! What a connection still has to send: bytes, and between them bytes that many connections send (Metadata of all topics)
//! and ranges of log files.
//!
//! Bytes and records that were loaded go out together, many pieces in one call; other ranges go from the page cache to the
//! socket by `sendfile` and are never held in memory. `sendfile` would wait for the disk, so a range is probed first, and
//! what is cold is left to others to read (`cold_reads`). Buffers are lent by pools of the I/O thread; a connection that has
//! sent everything holds none. One that can't send keeps what is loaded only while all such connections together keep
//! little; else its records are forgotten, and sent from their file like the rest.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::fs::Cold;
use crate::log::read_buffer::ReadBuffer;
use crate::log::types::FileSlice;

/// A buffer larger than this is freed, not kept for others.
const POOLED_BUFFER_BYTES: usize = 256 << 10;
/// Buffers kept by each I/O thread.
const POOLED_BUFFERS: usize = 8;
/// The same for buffers of records: a thread needs one unless sockets are full.
const POOLED_RECORDS_BYTES: usize = 2 << 20;
const POOLED_RECORDS: usize = 1;
/// Most that one `sendfile` moves, so that one fast reader does not hold the thread.
const SENDFILE_BYTES: usize = 1 << 20;
/// How far apart a range is probed for pages that are not in memory. The kernel reads that much ahead by default, so that
/// is how large the pieces are that come and go.
const PROBED_BYTES: u64 = 128 << 10;
/// What is read at a time from a file that has no descriptor.
const COPIED_BYTES: usize = 256 << 10;
/// Parts whose queue a connection keeps.
const KEPT_PARTS: usize = 8;
/// Pieces sent by one call.
const MAX_PIECES: usize = 256;
/// Bytes at the front that are sent and yet in the buffer, before the rest is moved there.
const MAX_SENT_BYTES: usize = 64 << 10;
/// Loaded records that all connections of the process together keep while their sockets are full.
const MAX_KEPT_RECORDS: usize = 16 << 20;

static KEPT_RECORDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COPIED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static RECORDS: RefCell<Vec<ReadBuffer>> = const { RefCell::new(Vec::new()) };
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

/// A range of a file, to be sent after the first `at` bytes.
pub struct FilePart {
    /// How many bytes come before it (and other parts).
    pub at: usize,
    /// Which range.
    pub slice: FileSlice,
    /// Where it is in [`Output::records`], if it is loaded.
    pub loaded_at: Option<usize>,
}

/// What is to be sent after the first `at` of the bytes.
struct Part {
    at: usize,
    /// How much of it is sent.
    sent: usize,
    content: Content,
}

enum Content {
    Shared(Bytes),
    /// `probed`: how much of it is in the page cache, as far as is known.
    Range {
        slice: FileSlice,
        loaded_at: Option<usize>,
        probed: usize,
    },
}

impl Part {
    fn len(&self) -> usize {
        match &self.content {
            Content::Shared(bytes) => bytes.len(),
            Content::Range { slice, .. } => slice.len,
        }
    }

    fn is_loaded(&self) -> bool {
        matches!(self.content, Content::Range { loaded_at: Some(_), .. })
    }

    /// What is left of it, unless it has to come from a file.
    fn in_memory<'a>(&'a self, records: &'a ReadBuffer) -> Result<&'a [u8], &'a FileSlice> {
        match &self.content {
            Content::Shared(bytes) => Ok(&bytes[self.sent..]),
            Content::Range { slice, loaded_at: Some(at), .. } => Ok(&records.bytes()[at + self.sent..at + slice.len]),
            Content::Range { slice, loaded_at: None, .. } => Err(slice),
        }
    }
}

/// How a flush ended.
#[derive(Debug)]
pub enum Flushed {
    /// Everything is sent.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// What comes next has to be brought into the page cache before the next flush.
    Cold(Cold),
}

/// The queue of one connection.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// How many of `bytes` are sent.
    sent: usize,
    /// In the order of `at`.
    parts: VecDeque<Part>,
    records: ReadBuffer,
    /// What it has added to [`KEPT_RECORDS`].
    kept_records: usize,
}

impl Output {
    /// True when everything is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && self.parts.is_empty()
    }

    /// Bytes to be sent that are held in memory, but for records.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let held = |part: &Part| if let Content::Shared(bytes) = &part.content { bytes.len() } else { 0 };
        self.bytes.len() - self.sent + self.parts.iter().map(held).sum::<usize>()
    }

    /// Where to append bytes.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = lend();
        }
        if self.sent > MAX_SENT_BYTES && self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            for part in &mut self.parts {
                part.at -= self.sent;
            }
            self.sent = 0;
        }
        &mut self.bytes
    }

    /// Where records are loaded to, for parts to be added.
    pub fn records(&mut self) -> &mut ReadBuffer {
        if self.records.capacity() == 0 {
            self.records = RECORDS.with(|pool| pool.borrow_mut().pop()).unwrap_or_default();
        }
        &mut self.records
    }

    /// Appends bytes that others send too.
    pub fn push_shared(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.parts.push_back(Part { at: self.bytes.len(), sent: 0, content: Content::Shared(bytes) });
        }
    }

    /// Puts file ranges into the bytes appended, at the places given (ascending, none before those already there).
    pub fn insert_files(&mut self, parts: Vec<FilePart>) {
        self.parts.extend(parts.into_iter().filter(|part| part.slice.len > 0).map(|part| {
            let FilePart { at, slice, loaded_at } = part;
            Part { at, sent: 0, content: Content::Range { slice, loaded_at, probed: 0 } }
        }));
    }

    /// Sends until all is sent or the socket is full. Adds the bytes sent to `sent_bytes`.
    ///
    /// # Errors
    /// The connection broke, or a log file is shorter than it was.
    pub fn flush(&mut self, stream: &TcpStream, sent_bytes: &mut u64) -> io::Result<Flushed> {
        while !self.is_empty() {
            if let Some(cold) = self.probe() {
                self.keep_or_forget_records();
                return Ok(Flushed::Cold(cold));
            }
            let front = self.parts.front().map(|part| (part.at, part.sent, part.in_memory(&self.records)));
            let result = match front {
                None => stream.try_write(&self.bytes[self.sent..]),
                Some((at, sent, Err(slice))) if at == self.sent => send_range(stream, slice, sent),
                Some(_) => self.send_pieces(stream),
            };
            match result {
                Ok(count) => {
                    *sent_bytes += count as u64;
                    self.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.keep_or_forget_records();
                    return Ok(Flushed::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
        self.give_back();
        Ok(Flushed::All)
    }

    /// Looks whether what `sendfile` would send next is in the page cache; tells what is not.
    fn probe(&mut self) -> Option<Cold> {
        let front = self.parts.front_mut().filter(|part| part.at == self.sent)?;
        let Content::Range { slice, loaded_at: None, probed } = &mut front.content else { return None };
        if *probed > front.sent {
            return None;
        }
        let (from, until) = (front.sent, slice.len.min(front.sent + SENDFILE_BYTES));
        *probed = until;
        let (from, until) = (slice.position + from as u64, slice.position + until as u64);
        let next = |at: u64| (at / PROBED_BYTES + 1) * PROBED_BYTES;
        let probes = std::iter::successors(Some(from), |&at| Some(next(at))).take_while(|&at| at + 1 < until);
        let is_cold = |at: &u64| {
            let read = slice.file.read_cached_at(&mut [0], *at);
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        let position = probes.chain([until - 1]).find(is_cold)?;
        Some(Cold { file: Arc::clone(&slice.file), position, len: (until - position) as usize })
    }

    /// Sends what is in memory up to the next range that is not.
    fn send_pieces(&self, stream: &TcpStream) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
        let (mut count, mut from, mut more) = (0, self.sent, false);
        let mut add = |piece| {
            pieces[count] = IoSlice::new(piece);
            count += 1;
            count
        };
        for part in &self.parts {
            if from < part.at {
                add(&self.bytes[from..part.at]);
                from = part.at;
            }
            let Ok(piece) = part.in_memory(&self.records) else {
                more = true;
                break;
            };
            if add(piece) + 2 > MAX_PIECES {
                more = true;
                break;
            }
        }
        if !more && from < self.bytes.len() {
            add(&self.bytes[from..]);
        }
        // What follows comes at once; the peer should not be woken for a header alone.
        let flags = if more { SendFlags::MORE | SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL };
        let control = &mut SendAncillaryBuffer::default();
        stream.try_io(Interest::WRITABLE, || Ok(sendmsg(stream, &pieces[..count], control, flags)?))
    }

    /// Takes note that `count` bytes more are sent.
    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let until = self.parts.front().map_or(self.bytes.len(), |part| part.at);
            if self.sent < until {
                let step = count.min(until - self.sent);
                self.sent += step;
                count -= step;
                continue;
            }
            let Some(part) = self.parts.front_mut() else { return };
            let step = count.min(part.len() - part.sent);
            part.sent += step;
            count -= step;
            if part.sent == part.len() {
                self.parts.pop_front();
            }
        }
    }

    /// The socket is full.
    fn keep_or_forget_records(&mut self) {
        let wanted = self.records.capacity();
        if self.kept_records >= wanted {
            return;
        }
        if KEPT_RECORDS.fetch_add(wanted, Ordering::Relaxed) + wanted <= MAX_KEPT_RECORDS
            && self.parts.iter().any(Part::is_loaded)
        {
            KEPT_RECORDS.fetch_sub(self.kept_records, Ordering::Relaxed);
            self.kept_records = wanted;
            return;
        }
        KEPT_RECORDS.fetch_sub(wanted, Ordering::Relaxed);
        for part in &mut self.parts {
            if let Content::Range { loaded_at, .. } = &mut part.content {
                *loaded_at = None;
            }
        }
        self.give_back_records();
    }

    /// Holds no buffer if there is nothing to send.
    pub fn settle(&mut self) {
        if self.is_empty() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        self.sent = 0;
        give_back(std::mem::take(&mut self.bytes));
        self.give_back_records();
        if self.parts.capacity() > KEPT_PARTS {
            self.parts = VecDeque::new();
        }
    }

    fn give_back_records(&mut self) {
        KEPT_RECORDS.fetch_sub(std::mem::take(&mut self.kept_records), Ordering::Relaxed);
        let mut records = std::mem::take(&mut self.records);
        if records.capacity() == 0 || records.capacity() > POOLED_RECORDS_BYTES {
            return;
        }
        records.truncate(0);
        RECORDS.with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED_RECORDS {
                pool.push(records);
            }
        });
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Sends on a range of a file of which `sent` bytes are sent.
fn send_range(stream: &TcpStream, slice: &FileSlice, sent: usize) -> io::Result<usize> {
    if slice.file.as_fd().is_some() { send_file(stream, slice, sent) } else { send_copied(stream, slice, sent) }
}

/// Sends through memory, for a file that has no descriptor.
fn send_copied(stream: &TcpStream, slice: &FileSlice, sent: usize) -> io::Result<usize> {
    COPIED.with(|buffer| {
        let mut buffer = buffer.borrow_mut();
        buffer.resize(COPIED_BYTES, 0);
        let wanted = (slice.len - sent).min(COPIED_BYTES);
        let read = slice.file.read_at(&mut buffer[..wanted], slice.position + sent as u64)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.try_write(&buffer[..read])
    })
}

fn send_file(stream: &TcpStream, slice: &FileSlice, sent: usize) -> io::Result<usize> {
    let Some(file) = slice.file.as_fd() else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut position = slice.position + sent as u64;
    let count = (slice.len - sent).min(SENDFILE_BYTES);
    let count = stream
        .try_io(Interest::WRITABLE, || Ok(rustix::fs::sendfile(stream.as_fd(), file, Some(&mut position), count)?))?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(count)
}
