//! Frames and messages of the Kafka protocol. No I/O.
//!
//! Messages are `kafka-protocol`'s types; the record batch's layout is ours (`record`). Read next: [`frame`], then
//! [`requests`] and [`responses`] (what Rust decodes), then [`shape`] (why a lying count is harmless).

pub mod error_code;
pub mod fetch_response;
pub mod fields;
pub mod frame;
pub mod join_group;
pub mod offset_commit;
pub mod primitives;
pub mod requests;
pub mod responses;
pub mod shape;
pub mod sync_group;
