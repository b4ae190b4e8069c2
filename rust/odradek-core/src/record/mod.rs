//! The record batch, format v2 (magic 2). No I/O.

pub mod batch;
pub mod crc32c;
