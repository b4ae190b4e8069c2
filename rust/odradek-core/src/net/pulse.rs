//! The settled groups: whose members' heartbeats and commits are answered here, so that they cost Python nothing.
//!
//! Python publishes the generation and the members of each group that is stable and withdraws it before anything else
//! becomes of the group. A heartbeat that fits is answered "no error" and the time noted; every other one goes to Python.
//! Python asks for those times when a session may have run out. It decides; nothing here ends a session.
//! A commit is a sign of life as well; what becomes of its offsets is in [`super::commits`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::time::Instant;

use super::commits::{CommittedOffsets, GroupCommits};

struct Member {
    instance_id: Option<String>,
    /// Milliseconds after `Pulse::since`, plus 1; 0 = not heard of yet.
    heard: AtomicU64,
}

struct Generation {
    id: i32,
    members: HashMap<String, Member>,
    commits: Arc<GroupCommits>,
}

/// The settled groups of this broker. Thread-safe.
pub struct Pulse {
    since: Instant,
    groups: RwLock<HashMap<String, Arc<Generation>>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { since: Instant::now(), groups: RwLock::default() }
    }
}

impl Pulse {
    /// Sets a group's generation, its (member id, instance id) and its partition of `__consumer_offsets`. What was heard
    /// of earlier ones is forgotten.
    pub fn publish(&self, group: String, generation: i32, members: Vec<(String, Option<String>)>, partition: i32) {
        let member = |(id, instance_id)| (id, Member { instance_id, heard: AtomicU64::new(0) });
        let members = members.into_iter().map(member).collect();
        let commits = Arc::new(GroupCommits::new(partition));
        self.groups.write().insert(group, Arc::new(Generation { id: generation, members, commits }));
    }

    /// Takes a group out; returns what [`Self::silences`] would have.
    #[must_use]
    pub fn withdraw(&self, group: &str) -> BTreeMap<String, u64> {
        let gone = self.groups.write().remove(group);
        gone.map_or_else(BTreeMap::new, |generation| self.silences_of(&generation))
    }

    /// By member id, how many milliseconds ago it was last heard of here; without those that were not.
    #[must_use]
    pub fn silences(&self, group: &str) -> BTreeMap<String, u64> {
        let generation = self.groups.read().get(group).cloned();
        generation.map_or_else(BTreeMap::new, |generation| self.silences_of(&generation))
    }

    /// True when the heartbeat is that of a member of a settled generation, which is noted.
    #[must_use]
    pub fn hear(&self, group: &str, generation_id: i32, member_id: &str, instance_id: Option<&str>) -> bool {
        self.heard(group, generation_id, member_id, instance_id, |_| ()).is_some()
    }

    /// The commits of a group, if it is a member of its settled generation that asks, which is noted.
    #[must_use]
    pub fn commits_of(
        &self,
        group: &str,
        generation_id: i32,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Option<Arc<GroupCommits>> {
        self.heard(group, generation_id, member_id, instance_id, |generation| Arc::clone(&generation.commits))
    }

    fn heard<T>(
        &self,
        group: &str,
        generation_id: i32,
        member_id: &str,
        instance_id: Option<&str>,
        found: impl FnOnce(&Generation) -> T,
    ) -> Option<T> {
        let groups = self.groups.read();
        let generation = groups.get(group).filter(|generation| generation.id == generation_id)?;
        let member = generation.members.get(member_id)?;
        if instance_id.is_some() && instance_id != member.instance_id.as_deref() {
            return None;
        }
        member.heard.store(self.now_ms() + 1, Ordering::Relaxed);
        Some(found(generation))
    }

    /// Hands over what was committed to a settled group since the last time; with `hold`, its commits are Python's until
    /// [`Self::release_commits`]. To be called, with `hold`, before a group is withdrawn.
    #[must_use]
    pub fn take_commits(&self, group: &str, hold: bool) -> CommittedOffsets {
        self.of_group(group).map_or_else(CommittedOffsets::new, |commits| commits.take(hold))
    }

    /// Ends a hold.
    pub fn release_commits(&self, group: &str) {
        self.of_group(group).iter().for_each(|commits| commits.release());
    }

    /// Not under the table's lock: a commit holds the group's own while it is written.
    fn of_group(&self, group: &str) -> Option<Arc<GroupCommits>> {
        self.groups.read().get(group).map(|generation| Arc::clone(&generation.commits))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn silences_of(&self, generation: &Generation) -> BTreeMap<String, u64> {
        let now_ms = self.now_ms();
        let silence = |(id, member): (&String, &Member)| {
            let heard_ms = member.heard.load(Ordering::Relaxed).checked_sub(1)?;
            Some((id.clone(), now_ms.saturating_sub(heard_ms)))
        };
        generation.members.iter().filter_map(silence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        let pulse = Pulse::default();
        pulse.publish("g".to_owned(), 3, vec![("a".to_owned(), None), ("b".to_owned(), Some("i".to_owned()))], 0);
        pulse
    }

    #[test]
    fn only_a_member_of_the_settled_generation_is_heard() {
        let pulse = pulse();
        assert!(pulse.hear("g", 3, "a", None) && pulse.hear("g", 3, "b", None) && pulse.hear("g", 3, "b", Some("i")));
        for (group, generation, member, instance) in [
            ("h", 3, "a", None),
            ("g", 2, "a", None),
            ("g", 4, "a", None),
            ("g", 3, "c", None),
            ("g", 3, "", None),
            ("g", 3, "a", Some("i")),
            ("g", 3, "b", Some("j")),
        ] {
            assert!(!pulse.hear(group, generation, member, instance), "{group} {generation} {member} {instance:?}");
        }
    }

    #[test]
    fn who_was_heard_is_told_once_more_on_the_way_out() {
        let pulse = pulse();
        assert!(pulse.silences("g").is_empty());
        assert!(pulse.hear("g", 3, "a", None));
        assert_eq!(pulse.silences("g").keys().collect::<Vec<_>>(), ["a"]);
        assert!(pulse.withdraw("g").contains_key("a"));
        assert!(!pulse.hear("g", 3, "a", None) && pulse.silences("g").is_empty() && pulse.withdraw("g").is_empty());
    }

    #[test]
    fn a_new_generation_starts_with_nobody_heard() {
        let pulse = pulse();
        assert!(pulse.hear("g", 3, "a", None));
        pulse.publish("g".to_owned(), 4, vec![("a".to_owned(), None)], 0);
        assert!(pulse.silences("g").is_empty() && !pulse.hear("g", 3, "a", None) && pulse.hear("g", 4, "a", None));
    }
}
