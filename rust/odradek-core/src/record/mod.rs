//! The record batch, format v2 (magic 2). No I/O.
//!
//! | module | job |
//! |---|---|
//! | [`batch`] | the header, and what the leader changes in it |
//! | [`reader`] | records of a batch, as views |
//! | [`check`] | all records of a batch against their header, without keeping them |
//! | [`builder`] | batches from records, and in another codec |
//! | [`control`] | transaction markers |

pub mod batch;
pub mod builder;
pub mod check;
pub mod control;
pub mod crc32c;
pub mod reader;
