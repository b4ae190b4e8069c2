//! JoinGroup and SyncGroup requests of known members, gathered so that Python decides on a whole rebalance at once.
//!
//! Nothing is decided here. Python says who the members of a group are (`know`) and what it waits for in the group's
//! present state (`gather`). A plain request of a member is kept then, without an answer, and Python is rung up only when
//! what it waits for is there, or anything that it might not expect; it takes all that is kept together (`take`). Every
//! other request goes to Python on its own, and Python takes what is kept before it serves such a one: so the requests of
//! a group come to Python in their order.
//!
//! A request is kept as the bytes that came: Python's rows are cut from them when it takes them, on its own thread. The
//! join of a connection that has gone stays, as in Kafka.
//!
//! Not here: how requests are read (`wire::join_group`, `wire::sync_group`), why nothing overtakes a kept request on its
//! connection (`connection`). Python's side is `coordinator/group/rounds.py`.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::wire::join_group::{self, JoinRequest};
use crate::wire::sync_group::{self, SyncRequest};

/// SyncGroups of one group that come to more are Python's one by one. Followers bring no assignments, and for the leader's
/// Python is rung up, so this only bounds what members can send that do not as they should.
const MAX_SYNC_BYTES: usize = 4 << 20;

/// A request that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Names the request towards `respond` and `disconnect`.
    pub token: u64,
    /// API version.
    pub api_version: i16,
    /// Client id.
    pub client_id: Option<String>,
    /// The peer's IP address.
    pub peer_host: Arc<str>,
    /// The request after its header, which was read before it was kept.
    pub body: Bytes,
}

impl Kept {
    /// The request, if it is a JoinGroup.
    #[must_use]
    pub fn join(&self) -> Option<JoinRequest<'_>> {
        join_group::read(self.api_version, &self.body)
    }

    /// The request, if it is a SyncGroup.
    #[must_use]
    pub fn sync(&self) -> Option<SyncRequest<'_>> {
        sync_group::read(self.api_version, &self.body)
    }
}

/// All that was kept of a group, in the order of arrival of each kind.
#[derive(Debug, Default)]
pub struct Gathered {
    /// JoinGroups.
    pub joins: Vec<Kept>,
    /// SyncGroups.
    pub syncs: Vec<Kept>,
}

/// What Python knows of a member: (member id, instance id, names of its protocols in order).
pub type KnownMember = (String, Option<String>, Vec<String>);

/// What Python waits for in a group's present state.
#[derive(Debug, Default)]
pub struct Awaited {
    /// The present generation, of which a SyncGroup must be.
    pub generation: i32,
    /// Its protocol.
    pub protocol: Option<String>,
    /// Those whose JoinGroups Python waits for, all of them; empty: it wants to know of the first one.
    pub joins_of: HashSet<String>,
    /// The leader, whose SyncGroup the others' wait for; `None`: Python wants to know of the first one.
    pub sync_of: Option<String>,
}

struct Member {
    instance_id: Option<String>,
    protocols: Vec<String>,
    /// JoinGroups kept.
    joins: usize,
    /// SyncGroups kept.
    syncs: usize,
}

/// A kept request and what of it tells whether Python is to be rung up.
struct Waiting {
    member: Arc<str>,
    /// Of a SyncGroup.
    generation: i32,
    kept: Kept,
}

#[derive(Default)]
struct Group {
    protocol_type: String,
    members: HashMap<Arc<str>, Member>,
    /// `None`: nothing is kept, the first `gather` is still to come or the group was forgotten.
    awaited: Option<Awaited>,
    joins: Vec<Waiting>,
    syncs: Vec<Waiting>,
    sync_bytes: usize,
    /// How many of `Awaited::joins_of` have no JoinGroup kept.
    absent: usize,
    /// Something is kept of which Python should know at once.
    is_urgent: bool,
    /// Python was rung up and has not come yet.
    is_rung: bool,
}

impl Group {
    /// The member that asks to join, if all about the request is as Python knows it.
    fn joining(&self, request: &JoinRequest<'_>) -> Option<Arc<str>> {
        self.awaited.as_ref()?;
        let (id, member) = self.members.get_key_value(request.member)?;
        let fits = member.instance_id.as_deref() == request.instance
            && request.protocol_type == self.protocol_type
            && request.protocols.iter().map(|(name, _)| *name).eq(member.protocols.iter().map(String::as_str));
        fits.then(|| Arc::clone(id))
    }

    /// The member that asks for its assignment, if all about the request is as Python knows it.
    fn syncing(&self, version: i16, request: &SyncRequest<'_>) -> Option<Arc<str>> {
        let awaited = self.awaited.as_ref()?;
        let (id, member) = self.members.get_key_value(request.member)?;
        let names_protocol = request.protocol_type == Some(self.protocol_type.as_str())
            && request.protocol.is_some()
            && request.protocol == awaited.protocol.as_deref();
        let fits = member.instance_id.as_deref() == request.instance
            && request.generation == awaited.generation
            && (names_protocol || version < sync_group::PROTOCOL_FROM);
        fits.then(|| Arc::clone(id))
    }

    fn note_join(&mut self, id: &str) {
        let is_awaited = self.awaited.as_ref().is_some_and(|awaited| awaited.joins_of.contains(id));
        let joins = self.members.get_mut(id).map(|member| {
            member.joins += 1;
            member.joins
        });
        if is_awaited && joins == Some(1) {
            self.absent -= 1;
        } else {
            self.is_urgent = true;
        }
    }

    fn note_sync(&mut self, id: &str, generation: i32) {
        let waits = self.awaited.as_ref().is_some_and(|awaited| {
            awaited.generation == generation && awaited.sync_of.as_deref().is_some_and(|leader| leader != id)
        });
        let syncs = self.members.get_mut(id).map(|member| {
            member.syncs += 1;
            member.syncs
        });
        self.is_urgent |= !waits || syncs != Some(1);
    }

    /// Looks at all that is kept again: what Python waits for has changed, or who the members are.
    fn review(&mut self) {
        self.is_urgent = false;
        self.absent = self.awaited.as_ref().map_or(0, |awaited| awaited.joins_of.len());
        for member in self.members.values_mut() {
            (member.joins, member.syncs) = (0, 0);
        }
        let (joins, syncs) = (mem::take(&mut self.joins), mem::take(&mut self.syncs));
        for join in &joins {
            self.note_join(&join.member);
        }
        for sync in &syncs {
            self.note_sync(&sync.member, sync.generation);
        }
        (self.joins, self.syncs) = (joins, syncs);
    }

    /// True when Python is to be rung up now, which is then noted.
    fn rings(&mut self) -> bool {
        let is_due = self.is_urgent || (!self.joins.is_empty() && self.absent == 0);
        let rings = is_due && self.awaited.is_some() && !self.is_rung;
        self.is_rung |= rings;
        rings
    }

    fn take(&mut self) -> Gathered {
        let kept = |waiting: Vec<Waiting>| waiting.into_iter().map(|one| one.kept).collect();
        let gathered = Gathered { joins: kept(mem::take(&mut self.joins)), syncs: kept(mem::take(&mut self.syncs)) };
        self.sync_bytes = 0;
        self.is_rung = false;
        self.review();
        gathered
    }
}

/// The groups whose requests are gathered. Thread-safe; what a method says of ringing is the caller's to do.
#[derive(Default)]
pub struct Rounds {
    groups: RwLock<HashMap<String, Arc<Mutex<Group>>>>,
}

impl Rounds {
    /// Sets a group's protocol type and members; nothing of a new one is kept before [`Self::gather`]. What is kept
    /// stays. True: ring.
    #[must_use]
    pub fn know(&self, group: String, protocol_type: String, members: Vec<KnownMember>) -> bool {
        let member = |(id, instance_id, protocols): KnownMember| {
            (Arc::from(id), Member { instance_id, protocols, joins: 0, syncs: 0 })
        };
        let members = members.into_iter().map(member).collect();
        let entry = Arc::clone(self.groups.write().entry(group).or_default());
        let mut group = entry.lock();
        group.protocol_type = protocol_type;
        group.members = members;
        group.review();
        group.rings()
    }

    /// Sets what Python waits for; nothing happens to a group that is not known. True: ring.
    #[must_use]
    pub fn gather(&self, group: &str, awaited: Awaited) -> bool {
        self.of(group).is_some_and(|entry| {
            let mut group = entry.lock();
            group.awaited = Some(awaited);
            group.review();
            group.rings()
        })
    }

    /// Hands over what is kept of a group; Python may be rung up again.
    #[must_use]
    pub fn take(&self, group: &str) -> Gathered {
        self.of(group).map_or_else(Gathered::default, |entry| entry.lock().take())
    }

    /// Takes a group out and hands over what was kept of it; its requests are Python's.
    #[must_use]
    pub fn forget(&self, group: &str) -> Gathered {
        let gone = self.groups.write().remove(group);
        gone.map_or_else(Gathered::default, |entry| {
            let mut group = entry.lock();
            group.awaited = None; // for who found it before it was taken out
            group.take()
        })
    }

    /// Keeps a JoinGroup, for which `keep` is called then; `None`: it is Python's. True: ring.
    #[must_use]
    pub fn keep_join(&self, request: &JoinRequest<'_>, keep: impl FnOnce() -> Kept) -> Option<bool> {
        let entry = self.of(request.group)?;
        let mut group = entry.lock();
        let member = group.joining(request)?;
        group.note_join(&member);
        group.joins.push(Waiting { member, generation: -1, kept: keep() });
        Some(group.rings())
    }

    /// Keeps a SyncGroup of that version, for which `keep` is called then; `None`: it is Python's. True: ring.
    #[must_use]
    pub fn keep_sync(&self, version: i16, request: &SyncRequest<'_>, keep: impl FnOnce() -> Kept) -> Option<bool> {
        let entry = self.of(request.group)?;
        let mut group = entry.lock();
        if group.sync_bytes >= MAX_SYNC_BYTES {
            return None;
        }
        let member = group.syncing(version, request)?;
        let generation = request.generation;
        group.note_sync(&member, generation);
        let kept = keep();
        group.sync_bytes += kept.body.len();
        group.syncs.push(Waiting { member, generation, kept });
        Some(group.rings())
    }

    /// Not under the table's lock: others need not wait for one group.
    fn of(&self, group: &str) -> Option<Arc<Mutex<Group>>> {
        self.groups.read().get(group).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows "a" to "d"; "d" is static, as "i".
    fn rounds() -> Rounds {
        let rounds = Rounds::default();
        assert!(!know(&rounds, &["a", "b", "c", "d"]));
        rounds
    }

    fn know(rounds: &Rounds, ids: &[&str]) -> bool {
        let instance_id = |id: &str| (id == "d").then(|| "i".to_owned());
        let member = |id: &&str| ((*id).to_owned(), instance_id(id), vec!["range".to_owned(), "sticky".to_owned()]);
        rounds.know("g".to_owned(), "consumer".to_owned(), ids.iter().map(member).collect())
    }

    /// With `hold_syncs`, for "b".
    fn gather(rounds: &Rounds, joins_of: &[&str], hold_syncs: bool) -> bool {
        let joins_of = joins_of.iter().map(|id| (*id).to_owned()).collect();
        let sync_of = hold_syncs.then(|| "b".to_owned());
        rounds.gather("g", Awaited { generation: 7, protocol: Some("range".to_owned()), joins_of, sync_of })
    }

    fn kept(token: u64) -> Kept {
        Kept { token, api_version: 5, client_id: None, peer_host: Arc::default(), body: Bytes::new() }
    }

    fn join(member: &str) -> JoinRequest<'_> {
        JoinRequest {
            group: "g",
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            member,
            instance: (member == "d").then_some("i"),
            protocol_type: "consumer",
            protocols: vec![("range", b"1"), ("sticky", b"2")],
        }
    }

    fn sync<'a>(member: &'a str, assignments: &[(&'a str, &'a [u8])]) -> SyncRequest<'a> {
        SyncRequest {
            group: "g",
            generation: 7,
            member,
            instance: (member == "d").then_some("i"),
            protocol_type: Some("consumer"),
            protocol: Some("range"),
            assignments: assignments.to_vec(),
        }
    }

    fn joins(rounds: &Rounds, member: &str) -> bool {
        rounds.keep_join(&join(member), || kept(0)).expect("is kept")
    }

    fn syncs(rounds: &Rounds, member: &str, assignments: &[(&str, &[u8])]) -> bool {
        rounds.keep_sync(5, &sync(member, assignments), || kept(0)).expect("is kept")
    }

    fn tokens(of: &[Kept]) -> Vec<u64> {
        of.iter().map(|kept| kept.token).collect()
    }

    #[test]
    fn joins_ring_once_with_the_last_one_that_is_awaited() {
        let rounds = rounds();
        assert!(!gather(&rounds, &["a", "b", "d"], false));
        assert!(!joins(&rounds, "b") && !joins(&rounds, "d") && joins(&rounds, "a"));
        assert!(!joins(&rounds, "c") && !joins(&rounds, "a"), "it was rung");
        assert_eq!(rounds.take("g").joins.len(), 5);
        assert!(!joins(&rounds, "a"), "awaited as before");
        assert_eq!(rounds.take("g").joins.len(), 1);
    }

    #[test]
    fn the_first_join_rings_when_no_one_is_awaited_and_again_after_each_take() {
        let rounds = rounds();
        assert!(!gather(&rounds, &[], true));
        for _ in 0..2 {
            assert!(joins(&rounds, "c") && !joins(&rounds, "a"));
            assert_eq!(rounds.take("g").joins.len(), 2);
        }
    }

    #[test]
    fn a_join_that_is_not_awaited_or_comes_twice_rings_at_once() {
        let rounds = rounds();
        gather(&rounds, &["a", "b"], false);
        assert!(joins(&rounds, "c"), "not awaited");
        let _ = rounds.take("g");
        assert!(!joins(&rounds, "a") && joins(&rounds, "a"), "twice");
        assert_eq!(rounds.take("g").joins.len(), 2);
    }

    #[test]
    fn syncs_that_are_held_ring_with_the_leaders() {
        for assignments in [&[("a", &b"x"[..])][..], &[]] {
            let rounds = rounds();
            gather(&rounds, &[], true);
            assert!(!syncs(&rounds, "a", &[]) && !syncs(&rounds, "d", assignments) && syncs(&rounds, "b", assignments));
            assert_eq!(rounds.take("g").syncs.len(), 3);
        }
        let rounds = rounds();
        gather(&rounds, &[], true);
        assert!(!syncs(&rounds, "a", &[]) && syncs(&rounds, "a", &[]), "twice");
    }

    #[test]
    fn syncs_that_are_not_held_ring_at_once() {
        let rounds = rounds();
        gather(&rounds, &["a"], false);
        assert!(syncs(&rounds, "b", &[]) && !syncs(&rounds, "c", &[]));
    }

    #[test]
    fn what_python_waits_for_is_looked_for_among_what_is_kept() {
        let rounds = rounds();
        gather(&rounds, &["a", "b"], true);
        assert!(!joins(&rounds, "a") && !syncs(&rounds, "c", &[]));
        assert!(!gather(&rounds, &["a", "b", "c"], true));
        assert!(gather(&rounds, &["a"], true), "all who are awaited are there");
        assert!(!gather(&rounds, &["a"], true), "it was rung");
        let _ = rounds.take("g");
        assert!(!gather(&rounds, &["a"], true) && !syncs(&rounds, "c", &[]));
        assert!(gather(&rounds, &["a"], false), "held no more");
        let _ = rounds.take("g");
        gather(&rounds, &["a"], true);
        assert!(!syncs(&rounds, "c", &[]));
        let next = Awaited { generation: 8, sync_of: Some("b".to_owned()), ..Awaited::default() };
        assert!(rounds.gather("g", next), "of another generation");
    }

    #[test]
    fn a_member_that_is_known_no_more_rings() {
        let rounds = rounds();
        gather(&rounds, &["a", "b"], true);
        assert!(!joins(&rounds, "a"));
        assert!(!know(&rounds, &["a", "b"]) && know(&rounds, &["b"]));
        assert_eq!(rounds.take("g").joins.len(), 1);
        assert!(!know(&rounds, &["a", "b"]) && !syncs(&rounds, "a", &[]) && know(&rounds, &["b"]));
        assert_eq!(rounds.take("g").syncs.len(), 1);
    }

    #[test]
    fn requests_are_taken_in_their_order_once() {
        let rounds = rounds();
        gather(&rounds, &["a", "b", "c"], true);
        for (token, member) in [(3, "c"), (1, "a"), (2, "b")] {
            rounds.keep_join(&join(member), || kept(token)).expect("is kept");
            rounds.keep_sync(5, &sync(member, &[]), || kept(token + 10)).expect("is kept");
        }
        let gathered = rounds.take("g");
        assert_eq!((tokens(&gathered.joins), tokens(&gathered.syncs)), (vec![3, 1, 2], vec![13, 11, 12]));
        let gathered = rounds.take("g");
        assert!(gathered.joins.is_empty() && gathered.syncs.is_empty());
    }

    #[test]
    fn a_group_that_is_forgotten_hands_over_what_is_kept_and_keeps_nothing() {
        let rounds = rounds();
        gather(&rounds, &["a", "b"], true);
        assert!(!joins(&rounds, "a") && !syncs(&rounds, "c", &[]));
        let found_before = rounds.of("g").expect("is known");
        let gathered = rounds.forget("g");
        assert_eq!((gathered.joins.len(), gathered.syncs.len()), (1, 1));
        assert!(found_before.lock().joining(&join("a")).is_none(), "nor for who had found it");
        assert!(rounds.keep_join(&join("a"), || kept(0)).is_none());
        assert!(rounds.forget("g").joins.is_empty() && rounds.take("g").joins.is_empty());
        assert!(!gather(&rounds, &[], false), "a group that is not known");
        know(&rounds, &["a"]);
        assert!(rounds.keep_join(&join("a"), || kept(0)).is_none(), "nothing is gathered yet");
    }

    #[test]
    fn a_join_that_says_anything_else_than_is_known_is_not_kept() {
        let rounds = rounds();
        gather(&rounds, &[], false);
        let odd: [(&str, JoinRequest<'_>); 8] = [
            ("group", JoinRequest { group: "h", ..join("a") }),
            ("member", join("e")),
            ("no member", join("")),
            ("instance", JoinRequest { instance: Some("i"), ..join("a") }),
            ("no instance", JoinRequest { instance: None, ..join("d") }),
            ("protocol type", JoinRequest { protocol_type: "connect", ..join("a") }),
            ("fewer protocols", JoinRequest { protocols: vec![("range", b"1")], ..join("a") }),
            ("their order", JoinRequest { protocols: vec![("sticky", b"2"), ("range", b"1")], ..join("a") }),
        ];
        for (what, request) in odd {
            assert!(rounds.keep_join(&request, || panic!("{what}")).is_none());
        }
        assert!(rounds.take("g").joins.is_empty());
        assert!(joins(&rounds, "a"));
    }

    #[test]
    fn a_sync_that_says_anything_else_than_is_known_is_not_kept() {
        let rounds = rounds();
        gather(&rounds, &[], false);
        let odd: [(&str, SyncRequest<'_>); 9] = [
            ("group", SyncRequest { group: "h", ..sync("a", &[]) }),
            ("generation", SyncRequest { generation: 6, ..sync("a", &[]) }),
            ("member", sync("e", &[])),
            ("instance", SyncRequest { instance: Some("i"), ..sync("a", &[]) }),
            ("no instance", SyncRequest { instance: None, ..sync("d", &[]) }),
            ("protocol type", SyncRequest { protocol_type: Some("connect"), ..sync("a", &[]) }),
            ("no protocol type", SyncRequest { protocol_type: None, ..sync("a", &[]) }),
            ("protocol", SyncRequest { protocol: Some("sticky"), ..sync("a", &[]) }),
            ("no protocol", SyncRequest { protocol: None, ..sync("a", &[]) }),
        ];
        for (what, request) in odd {
            assert!(rounds.keep_sync(5, &request, || panic!("{what}")).is_none());
        }
        let without_protocol = SyncRequest { protocol_type: None, protocol: None, ..sync("a", &[]) };
        assert_eq!(rounds.keep_sync(4, &without_protocol, || kept(0)), Some(true), "as it is before version 5");
        let nothing_chosen = Awaited { generation: 7, ..Awaited::default() };
        assert!(!rounds.gather("g", nothing_chosen), "it was rung");
        let of_no_protocol = SyncRequest { protocol: None, ..sync("b", &[]) };
        assert!(rounds.keep_sync(5, &of_no_protocol, || kept(0)).is_none(), "version 5 has to name one");
    }

    #[test]
    fn syncs_are_kept_up_to_a_bound_in_bytes() {
        let rounds = rounds();
        gather(&rounds, &[], true);
        let long = || Kept { body: Bytes::from(vec![0; MAX_SYNC_BYTES / 2]), ..kept(0) };
        for _ in 0..2 {
            assert!(rounds.keep_sync(5, &sync("a", &[]), long).is_some());
        }
        assert!(rounds.keep_sync(5, &sync("b", &[]), long).is_none());
        let _ = rounds.take("g");
        assert!(rounds.keep_sync(5, &sync("b", &[]), long).is_some());
    }
}
