//! Requests of a classic consumer group, each in the one version that is sent here. See `messages` for the rest.

use crate::failure::Result;
use crate::messages::expect;
use crate::wire::{Reader, Writer};

const SESSION_TIMEOUT_MS: i32 = 60_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

/// A member as the coordinator knows it.
#[derive(Clone, Default)]
pub struct Membership {
    /// Given by the coordinator; empty before.
    pub member_id: String,
    /// Of the last answered JoinGroup.
    pub generation: i32,
    /// Ids of all members, told to the leader only.
    pub members: Vec<String>,
}

/// FindCoordinator 3 for a group.
pub fn find_coordinator(group: &str) -> Vec<u8> {
    let mut w = Writer::request(10, 3, true);
    w.string(group);
    w.i8(0);
    w.tags();
    w.frame()
}

/// The error code of a FindCoordinator 3 answer.
///
/// # Errors
/// It is not in shape.
pub fn read_find_coordinator(body: &[u8]) -> Result<i16> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    r.i16()
}

/// JoinGroup 6; `subscription` is what makes a rejoin a change of the group.
pub fn join(group: &str, member_id: &str, subscription: &[u8]) -> Vec<u8> {
    let mut w = Writer::request(11, 6, true);
    w.string(group);
    w.i32(SESSION_TIMEOUT_MS);
    w.i32(REBALANCE_TIMEOUT_MS);
    w.string(member_id);
    w.null();
    w.string("consumer");
    w.array(1);
    w.string("range");
    w.compact_bytes(subscription);
    w.tags();
    w.tags();
    w.frame()
}

/// Read a JoinGroup 6 answer: its error code and what it says of the member.
///
/// # Errors
/// It is not in shape.
pub fn read_join(body: &[u8]) -> Result<(i16, Membership)> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    let (error, generation) = (r.i16()?, r.i32()?);
    r.compact_bytes()?;
    r.compact_bytes()?;
    let member_id = r.string()?.to_owned();
    let mut members = Vec::new();
    for _ in 0..r.array()? {
        members.push(r.string()?.to_owned());
        r.compact_bytes()?;
        r.compact_bytes()?;
        r.tags()?;
    }
    r.tags()?;
    r.finish()?;
    Ok((error, Membership { member_id, generation, members }))
}

/// SyncGroup 4: the leader hands the same `assignment` to each of `members`, the others hand none.
pub fn sync(group: &str, member: &Membership, assignment: &[u8]) -> Vec<u8> {
    let mut w = Writer::request(14, 4, true);
    w.string(group);
    w.i32(member.generation);
    w.string(&member.member_id);
    w.null();
    w.array(member.members.len());
    for id in &member.members {
        w.string(id);
        w.compact_bytes(assignment);
        w.tags();
    }
    w.tags();
    w.frame()
}

/// Read a SyncGroup 4 answer: its error code and the size of the assignment.
///
/// # Errors
/// It is not in shape.
pub fn read_sync(body: &[u8]) -> Result<(i16, usize)> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    let error = r.i16()?;
    let assignment = r.compact_bytes()?.len();
    r.tags()?;
    r.finish()?;
    Ok((error, assignment))
}

/// Heartbeat 4.
pub fn heartbeat(group: &str, member: &Membership) -> Vec<u8> {
    let mut w = Writer::request(12, 4, true);
    w.string(group);
    w.i32(member.generation);
    w.string(&member.member_id);
    w.null();
    w.tags();
    w.frame()
}

/// The error code of a Heartbeat 4 answer.
///
/// # Errors
/// It is not in shape.
pub fn read_heartbeat(body: &[u8]) -> Result<i16> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    let error = r.i16()?;
    r.tags()?;
    r.finish()?;
    Ok(error)
}

/// `LeaveGroup` 4 of all `members` at once.
pub fn leave(group: &str, members: &[Membership]) -> Vec<u8> {
    let mut w = Writer::request(13, 4, true);
    w.string(group);
    w.array(members.len());
    for member in members {
        w.string(&member.member_id);
        w.null();
        w.tags();
    }
    w.tags();
    w.frame()
}

/// The error code of a `LeaveGroup` 4 answer; those of single members are not looked at.
///
/// # Errors
/// It is not in shape.
pub fn read_leave(body: &[u8]) -> Result<i16> {
    let mut r = Reader::new(body);
    r.tags()?;
    r.i32()?;
    r.i16()
}

/// OffsetCommit 8 of `offset` for partitions 0 to `partitions` of `topic`; also where each offset stands in the frame.
pub fn commit(group: &str, member: &Membership, topic: &str, partitions: i32, offset: i64) -> (Vec<u8>, Vec<usize>) {
    let mut w = Writer::request(8, 8, true);
    w.string(group);
    w.i32(member.generation);
    w.string(&member.member_id);
    w.null();
    w.array(1);
    w.string(topic);
    w.array(usize::try_from(partitions).unwrap_or(0));
    let mut offsets_at = Vec::new();
    for partition in 0..partitions {
        w.i32(partition);
        offsets_at.push(w.bytes.len());
        w.i64(offset);
        w.i32(-1);
        w.string("");
        w.tags();
    }
    w.tags();
    w.tags();
    (w.frame(), offsets_at)
}

/// Check an OffsetCommit 8 answer; returns how many partitions it covers.
///
/// # Errors
/// It has an error, or is not in shape.
pub fn check_commit(body: &[u8]) -> Result<u64> {
    let mut r = Reader::new(body);
    let mut partitions = 0;
    r.tags()?;
    r.i32()?;
    for _ in 0..r.array()? {
        r.compact_bytes()?;
        for _ in 0..r.array()? {
            r.i32()?;
            expect(r.i16()?, "OffsetCommit")?;
            r.tags()?;
            partitions += 1;
        }
        r.tags()?;
    }
    r.tags()?;
    r.finish()?;
    Ok(partitions)
}
