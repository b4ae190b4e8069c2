//! A group of members in lock-step, one connection each: everyone joins, the leader assigns, everyone has its assignment.

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::group_messages::{self as wire, Membership};
use crate::messages;
use std::time::{Duration, Instant};

const MEMBER_ID_REQUIRED: i16 = 79;
const SETTLING: [i16; 3] = [14, 15, 16];
const PARTITIONS: i32 = 12;

/// The members of one group and their connections.
pub struct Group {
    name: String,
    round: u32,
    /// One a member.
    pub connections: Vec<Connection>,
    /// As of the last round; same order.
    pub members: Vec<Membership>,
}

impl Group {
    /// Make `count` members and bring them into one generation.
    ///
    /// # Errors
    /// The coordinator answers an error, or does not settle within 30 seconds.
    pub fn form(address: &str, name: &str, count: usize) -> Result<Self> {
        let mut connections = vec![messages::open(address)?];
        for _ in 1..count {
            connections.push(Connection::open(address)?);
        }
        await_coordinator(&mut connections[0], name)?;
        let mut group = Self { name: name.to_owned(), round: 0, connections, members: Vec::new() };
        // One member first: a new group's first rebalance waits for nobody, every later one for all known members.
        group.identify(1)?;
        group.rebalance()?;
        group.identify(count)?;
        group.rebalance()?;
        Ok(group)
    }

    /// Get ids for the members that have none yet, up to `count`.
    fn identify(&mut self, count: usize) -> Result<()> {
        for connection in &mut self.connections[self.members.len()..count] {
            let answer = connection.call(wire::join(&self.name, "", &subscription(self.round)))?;
            match wire::read_join(&answer)? {
                (MEMBER_ID_REQUIRED, member) => self.members.push(member),
                (code, _) => return Err(Failure::new(format!("JoinGroup without an id answered {code}, not 79"))),
            }
        }
        Ok(())
    }

    /// Have all members leave.
    ///
    /// # Errors
    /// The coordinator answers an error.
    pub fn leave(&self, address: &str) -> Result<()> {
        let mut connection = messages::open(address)?;
        let answer = connection.call(wire::leave(&self.name, &self.members))?;
        messages::expect(wire::read_leave(&answer)?, "LeaveGroup")
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn join_all(&mut self, members: &[Membership]) -> Result<Vec<(i16, Membership)>> {
        self.round += 1;
        let subscription = subscription(self.round);
        for (connection, member) in self.connections.iter_mut().zip(members) {
            connection.send(wire::join(&self.name, &member.member_id, &subscription))?;
        }
        let joining = self.connections.iter_mut().take(members.len());
        joining.map(|connection| wire::read_join(&connection.receive()?)).collect()
    }

    /// One round: everyone joins with a changed subscription, everyone syncs.
    ///
    /// # Errors
    /// An error code, members in different generations, or a member without assignment.
    pub fn rebalance(&mut self) -> Result<()> {
        let members = std::mem::take(&mut self.members);
        let mut joined = Vec::with_capacity(members.len());
        for (code, member) in self.join_all(&members)? {
            messages::expect(code, "JoinGroup")?;
            joined.push(member);
        }
        let generation = joined[0].generation;
        if joined.iter().any(|member| member.generation != generation) {
            return Err(Failure::new("members of one round were put into different generations"));
        }
        if joined.iter().filter(|member| member.members.len() == joined.len()).count() != 1 {
            return Err(Failure::new("not exactly one member was made leader and told of all others"));
        }
        let assignment = assignment();
        for (connection, member) in self.connections.iter_mut().zip(&joined) {
            connection.send(wire::sync(&self.name, member, &assignment))?;
        }
        for connection in self.connections.iter_mut().take(joined.len()) {
            let (code, size) = wire::read_sync(&connection.receive()?)?;
            messages::expect(code, "SyncGroup")?;
            if size != assignment.len() {
                return Err(Failure::new(format!("SyncGroup brought {size} bytes of {}", assignment.len())));
            }
        }
        self.members = joined;
        Ok(())
    }
}

/// The consumer protocol's subscription (version 0) to one topic; `round` is its user data, which makes it a new one.
fn subscription(round: u32) -> Vec<u8> {
    [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"storm", &4_u32.to_be_bytes(), &round.to_be_bytes()].concat()
}

/// The consumer protocol's assignment (version 0) of 12 partitions of that topic.
fn assignment() -> Vec<u8> {
    let mut out = [&[0, 0, 0, 0, 0, 1, 0, 5][..], b"storm", &PARTITIONS.to_be_bytes()].concat();
    (0..PARTITIONS).for_each(|partition| out.extend_from_slice(&partition.to_be_bytes()));
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out
}

/// Ask until the group's coordinator is there: a broker makes its offsets topic on the first question.
fn await_coordinator(connection: &mut Connection, group: &str) -> Result<()> {
    let since = Instant::now();
    loop {
        let found = wire::read_find_coordinator(&connection.call(wire::find_coordinator(group))?)?;
        if found == 0 {
            // From nobody: an unknown member is refused, but only by a coordinator that has loaded; Kafka's says 0 till then.
            let answer = connection.call(wire::heartbeat(group, &Membership::default()))?;
            let said = wire::read_heartbeat(&answer)?;
            if said != 0 && !SETTLING.contains(&said) {
                return Ok(());
            }
        } else if !SETTLING.contains(&found) {
            return messages::expect(found, "FindCoordinator");
        }
        if since.elapsed() > Duration::from_secs(30) {
            return Err(Failure::new("the group coordinator is not there after 30 s"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
