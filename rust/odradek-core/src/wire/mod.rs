//! Frames and messages of the Kafka protocol. No I/O.

pub mod primitives;
