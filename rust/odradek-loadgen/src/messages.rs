//! Requests of the data path and of the cluster, each in the one version that is sent here.
//!
//! Versions are ones that both brokers serve and that clients of today use; `open` asks the broker before anything else.

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::wire::{Reader, Writer};
use std::time::{Duration, Instant};

/// (API key, version) of all that this program sends.
pub const SENT: &[(i16, i16, &str)] = &[
    (0, 9, "Produce"),
    (1, 12, "Fetch"),
    (3, 9, "Metadata"),
    (8, 8, "OffsetCommit"),
    (10, 3, "FindCoordinator"),
    (11, 6, "JoinGroup"),
    (12, 4, "Heartbeat"),
    (13, 4, "LeaveGroup"),
    (14, 4, "SyncGroup"),
];

/// Connect and make sure that the broker serves what will be sent.
///
/// # Errors
/// Nobody listens, or a version of `SENT` is not served.
pub fn open(address: &str) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    let served = api_versions(&mut connection)?;
    for (key, version, name) in SENT {
        if !served.iter().any(|(k, low, high)| k == key && low <= version && version <= high) {
            return Err(Failure::new(format!("{address} does not serve {name} {version}")));
        }
    }
    Ok(connection)
}

/// Ask ApiVersions 0: (key, lowest, highest) of each API.
///
/// # Errors
/// The broker answers an error, or not in shape.
pub fn api_versions(connection: &mut Connection) -> Result<Vec<(i16, i16, i16)>> {
    let body = connection.call(Writer::request(18, 0, false).frame())?;
    let mut r = Reader::new(&body);
    expect(r.i16()?, "ApiVersions")?;
    let count = r.i32()?;
    (0..count).map(|_| Ok((r.i16()?, r.i16()?, r.i16()?))).collect()
}

/// Turn an error code other than 0 into a failure.
///
/// # Errors
/// `code` is not 0.
pub fn expect(code: i16, whose: &str) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(Failure::new(format!("{whose} answered error {code}"))) }
}

/// Metadata 9 for one topic, or for all when `None`.
pub fn metadata(topic: Option<&str>) -> Vec<u8> {
    let mut w = Writer::request(3, 9, true);
    match topic {
        Some(name) => {
            w.array(1);
            w.string(name);
            w.tags();
        }
        None => w.null(),
    }
    w.i8(0);
    w.i8(0);
    w.i8(0);
    w.tags();
    w.frame()
}

/// What Metadata said, counted.
#[derive(Default)]
pub struct Census {
    /// Topics without an error.
    pub topics: usize,
    /// Their partitions that have a leader.
    pub led: usize,
}

/// Read a Metadata 9 answer whole.
///
/// # Errors
/// It is not in shape.
pub fn read_metadata(body: &[u8]) -> Result<Census> {
    let mut r = Reader::new(body);
    let mut census = Census::default();
    r.tags()?;
    r.i32()?;
    for _ in 0..r.array()? {
        r.i32()?;
        r.compact_bytes()?;
        r.i32()?;
        r.compact_bytes()?;
        r.tags()?;
    }
    r.compact_bytes()?;
    r.i32()?;
    for _ in 0..r.array()? {
        let sound = r.i16()? == 0;
        r.compact_bytes()?;
        r.i8()?;
        let mut led = 0;
        for _ in 0..r.array()? {
            r.i16()?;
            r.i32()?;
            led += usize::from(r.i32()? >= 0);
            r.i32()?;
            for _ in 0..3 {
                let ids = r.array()?;
                r.take(ids.saturating_mul(4))?;
            }
            r.tags()?;
        }
        r.i32()?;
        r.tags()?;
        if sound {
            census.topics += 1;
            census.led += led;
        }
    }
    r.i32()?;
    r.tags()?;
    r.finish()?;
    Ok(census)
}

/// Wait until `topic` has leaders for `partitions` partitions.
///
/// # Errors
/// It has not after 30 seconds.
pub fn await_leaders(connection: &mut Connection, topic: &str, partitions: usize) -> Result<()> {
    let since = Instant::now();
    loop {
        let census = read_metadata(&connection.call(metadata(Some(topic)))?)?;
        if census.led >= partitions {
            return Ok(());
        }
        if since.elapsed() > Duration::from_secs(30) {
            return Err(Failure::new(format!("{topic} has {} of {partitions} leaders after 30 s", census.led)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Produce 9 of one batch to each of `partitions`.
pub fn produce(topic: &str, partitions: &[i32], acks: i16, batch: &[u8]) -> Vec<u8> {
    let mut w = Writer::request(0, 9, true);
    w.null();
    w.i16(acks);
    w.i32(30_000);
    w.array(1);
    w.string(topic);
    w.array(partitions.len());
    for partition in partitions {
        w.i32(*partition);
        w.compact_bytes(batch);
        w.tags();
    }
    w.tags();
    w.tags();
    w.frame()
}

/// Read a Produce 9 answer: `each` gets (partition, error code, base offset).
///
/// # Errors
/// It is not in shape, or `each` fails.
pub fn read_produce(body: &[u8], mut each: impl FnMut(i32, i16, i64) -> Result<()>) -> Result<()> {
    let mut r = Reader::new(body);
    r.tags()?;
    for _ in 0..r.array()? {
        r.compact_bytes()?;
        for _ in 0..r.array()? {
            let (partition, error, base_offset) = (r.i32()?, r.i16()?, r.i64()?);
            r.take(16)?;
            for _ in 0..r.array()? {
                r.i32()?;
                r.compact_bytes()?;
                r.tags()?;
            }
            r.compact_bytes()?;
            r.tags()?;
            each(partition, error, base_offset)?;
        }
        r.tags()?;
    }
    r.i32()?;
    r.tags()?;
    r.finish()
}

/// Fetch 12 without a session, of (partition, offset) each up to `max_bytes`; also where each offset stands in the frame.
pub fn fetch(topic: &str, partitions: &[(i32, i64)], max_bytes: i32) -> (Vec<u8>, Vec<usize>) {
    let mut w = Writer::request(1, 12, true);
    w.i32(-1);
    w.i32(500);
    w.i32(1);
    w.i32(i32::MAX);
    w.i8(0);
    w.i32(0);
    w.i32(-1);
    w.array(1);
    w.string(topic);
    w.array(partitions.len());
    let mut offsets_at = Vec::with_capacity(partitions.len());
    for (partition, offset) in partitions {
        w.i32(*partition);
        w.i32(-1);
        offsets_at.push(w.bytes.len());
        w.i64(*offset);
        w.i32(-1);
        w.i64(-1);
        w.i32(max_bytes);
        w.tags();
    }
    w.tags();
    w.array(0);
    w.string("");
    w.tags();
    (w.frame(), offsets_at)
}

/// Read a Fetch 12 answer: `each` gets (partition, error code, high watermark, records).
///
/// # Errors
/// It is not in shape, the broker answered an error for the whole request, or `each` fails.
pub fn read_fetch(body: &[u8], mut each: impl FnMut(i32, i16, i64, &[u8]) -> Result<()>) -> Result<()> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    expect(r.i16()?, "Fetch")?;
    r.i32()?;
    for _ in 0..r.array()? {
        r.compact_bytes()?;
        for _ in 0..r.array()? {
            let (partition, error, high_watermark) = (r.i32()?, r.i16()?, r.i64()?);
            r.take(16)?;
            for _ in 0..r.array()? {
                r.take(16)?;
                r.tags()?;
            }
            r.i32()?;
            let records = r.compact_bytes()?;
            r.tags()?;
            each(partition, error, high_watermark, records)?;
        }
        r.tags()?;
    }
    r.tags()?;
    r.finish()
}
