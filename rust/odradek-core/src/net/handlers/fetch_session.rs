//! Fetch sessions (KIP-227): a client names its partitions once, then only what changed, and hears only of partitions
//! that have something new.
//!
//! Sessions belong to the broker, not to a connection. There are at most `max.incremental.fetch.session.cache.slots`.
//! When all are taken, a newcomer gets one only by evicting a session unused for two minutes, or, being a follower,
//! a consumer's; or one with fewer partitions that has lived for two minutes. Otherwise it is served without one
//! (session id 0). Their partitions are bounded, too, whatever clients name. Source: Kafka's `FetchSessionCacheShard.tryEvict`.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::wire::error_code::ErrorCode;

/// How long a session must have been unused (or must have lived) before another may take its slot.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);
/// Partitions in all sessions together; each costs some 200 bytes. Clients beyond it are served without a session.
const MAX_PARTITIONS: usize = 1_000_000;
/// Epoch that asks for a session, or for a full fetch in a new one.
pub const INITIAL_EPOCH: i32 = 0;
/// Epoch that asks for no session, and ends one.
pub const FINAL_EPOCH: i32 = -1;

/// A partition that a client fetches, as it asked for it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPartition {
    /// Topic name; empty when the client names topics by id.
    pub topic: Arc<str>,
    /// Topic id; nil when the client names topics by name.
    pub topic_id: Uuid,
    /// Partition number.
    pub index: i32,
    /// Leader epoch the client knows, -1 = none.
    pub current_leader_epoch: i32,
    /// Next offset it wants.
    pub fetch_offset: i64,
    /// Epoch of the last batch it has, -1 = not told.
    pub last_fetched_epoch: i32,
    /// At most that many bytes, but at least a batch.
    pub max_bytes: i32,
}

struct SessionPartition {
    wanted: WantedPartition,
    /// High watermark and log start as told last; `None` = tell in any case.
    told: Option<(i64, i64)>,
}

/// One client's session.
pub struct Session {
    /// Its id, positive.
    pub id: i32,
    /// Whether topics are named by id in it.
    pub by_topic_id: bool,
    next_epoch: i32,
    partitions: Vec<SessionPartition>,
    places: HashMap<(Arc<str>, Uuid, i32), usize>,
    /// Where the next answer starts, so that a byte limit starves nobody.
    first: usize,
}

impl Session {
    /// All partitions in the order they should be read.
    #[must_use]
    pub fn wanted(&self) -> Vec<WantedPartition> {
        let (head, tail) = self.partitions.split_at(self.first.min(self.partitions.len()));
        tail.iter().chain(head).map(|partition| partition.wanted.clone()).collect()
    }

    /// Adds or changes partitions.
    pub fn update(&mut self, wanted: impl IntoIterator<Item = WantedPartition>) {
        for wanted in wanted {
            let key = (Arc::clone(&wanted.topic), wanted.topic_id, wanted.index);
            if let Some(&place) = self.places.get(&key) {
                self.partitions[place].wanted = wanted;
            } else {
                self.places.insert(key, self.partitions.len());
                self.partitions.push(SessionPartition { wanted, told: None });
            }
        }
    }

    /// Takes partitions out.
    pub fn forget(&mut self, forgotten: &[(Arc<str>, Uuid, i32)]) {
        if forgotten.is_empty() {
            return;
        }
        for key in forgotten {
            self.places.remove(key);
        }
        let places = &mut self.places;
        self.partitions.retain(|partition| {
            let wanted = &partition.wanted;
            places.contains_key(&(Arc::clone(&wanted.topic), wanted.topic_id, wanted.index))
        });
        for (place, partition) in self.partitions.iter().enumerate() {
            let wanted = &partition.wanted;
            places.insert((Arc::clone(&wanted.topic), wanted.topic_id, wanted.index), place);
        }
        self.first = 0;
    }

    /// Notes what an answer says of a partition; true when that is worth saying: records, an error, or news.
    pub fn tell(&mut self, wanted: &WantedPartition, offsets: (i64, i64), has_news: bool) -> bool {
        let key = (Arc::clone(&wanted.topic), wanted.topic_id, wanted.index);
        let Some(partition) = self.places.get(&key).map(|&place| &mut self.partitions[place]) else {
            return has_news;
        };
        let changed = partition.told != Some(offsets);
        // After an error the client must hear of the partition again even if its offsets stay.
        partition.told = (offsets.0 >= 0).then_some(offsets);
        changed || has_news
    }

    /// The next answer starts after the partition that came last in this one.
    pub fn start_after(&mut self, wanted: &WantedPartition) {
        let key = (Arc::clone(&wanted.topic), wanted.topic_id, wanted.index);
        if let Some(&place) = self.places.get(&key) {
            self.first = if place + 1 >= self.partitions.len() { 0 } else { place + 1 };
        }
    }

    /// Number of partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// True without partitions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }
}

struct Slot {
    session: Arc<Mutex<Session>>,
    privileged: bool,
    created: Instant,
    last_used: Instant,
    partitions: usize,
}

#[derive(Default)]
struct Slots {
    by_id: HashMap<i32, Slot>,
    /// Sum over the slots.
    partitions: usize,
}

/// All sessions of the broker. Thread-safe.
pub struct SessionCache {
    capacity: usize,
    max_partitions: usize,
    slots: Mutex<Slots>,
}

impl SessionCache {
    /// Room for `capacity` sessions.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, max_partitions: MAX_PARTITIONS, slots: Mutex::default() }
    }

    /// Makes a session of these partitions; `None` when there is no room for it.
    pub fn create(
        &self,
        wanted: Vec<WantedPartition>,
        by_topic_id: bool,
        follower: bool,
    ) -> Option<Arc<Mutex<Session>>> {
        let now = Instant::now();
        let mut slots = self.slots.lock();
        if slots.by_id.len() >= self.capacity {
            let evicted = slots.evictable(now, follower, wanted.len())?;
            slots.remove(evicted);
        }
        if slots.partitions + wanted.len() > self.max_partitions {
            return None;
        }
        let id = slots.free_id();
        let mut session = Session {
            id,
            by_topic_id,
            next_epoch: 1,
            partitions: Vec::with_capacity(wanted.len()),
            places: HashMap::with_capacity(wanted.len()),
            first: 0,
        };
        session.update(wanted);
        let partitions = session.len();
        let session = Arc::new(Mutex::new(session));
        let slot =
            Slot { session: Arc::clone(&session), privileged: follower, created: now, last_used: now, partitions };
        slots.by_id.insert(id, slot);
        slots.partitions += partitions;
        Some(session)
    }

    /// The session for the next request in it, whose epoch is counted on.
    ///
    /// # Errors
    /// 70 when there is none of that id (any more: it has grown beyond all bounds), 71 when the epoch isn't the next,
    /// 106 when topics are named the other way.
    pub fn resume(
        &self,
        id: i32,
        epoch: i32,
        by_topic_id: bool,
        named_partitions: usize,
    ) -> Result<Arc<Mutex<Session>>, ErrorCode> {
        let mut slots = self.slots.lock();
        if slots.partitions + named_partitions > self.max_partitions {
            slots.remove(id);
        }
        let Slots { by_id, partitions } = &mut *slots;
        let slot = by_id.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut session = slot.session.lock();
        if session.by_topic_id != by_topic_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if session.next_epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        slot.last_used = Instant::now();
        // What this request adds is counted by the next one.
        *partitions = *partitions - slot.partitions + session.len();
        slot.partitions = session.len();
        drop(session);
        Ok(Arc::clone(&slot.session))
    }

    /// Ends a session, if there is one of that id.
    pub fn remove(&self, id: i32) {
        self.slots.lock().remove(id);
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.lock().by_id.len()
    }

    /// True without sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Slots {
    fn remove(&mut self, id: i32) {
        if let Some(slot) = self.by_id.remove(&id) {
            self.partitions -= slot.partitions;
        }
    }

    /// The session that a newcomer of `partitions` partitions may push out.
    fn evictable(&self, now: Instant, follower: bool, partitions: usize) -> Option<i32> {
        let (id, oldest) = self.by_id.iter().min_by_key(|(_, slot)| slot.last_used)?;
        if now.duration_since(oldest.last_used) > EVICTABLE_AFTER {
            return Some(*id);
        }
        let rank = |privileged: bool, partitions: usize| (privileged, partitions);
        let settled = |slot: &Slot| now.duration_since(slot.created) > EVICTABLE_AFTER;
        let candidates = self.by_id.iter().filter(|(_, slot)| (follower && !slot.privileged) || settled(slot));
        let (id, least) = candidates.min_by_key(|(_, slot)| rank(slot.privileged, slot.partitions))?;
        (rank(least.privileged, least.partitions) < rank(follower, partitions)).then_some(*id)
    }

    fn free_id(&self) -> i32 {
        loop {
            // Not counted up from 1: a client that outlived the last broker must not meet another client's session.
            let id = (RandomState::new().build_hasher().finish() & 0x7fff_ffff) as i32;
            if id > 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(topic: &str, index: i32) -> WantedPartition {
        WantedPartition {
            topic: Arc::from(topic),
            topic_id: Uuid::nil(),
            index,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            max_bytes: 100,
        }
    }

    #[test]
    fn epochs_must_follow_each_other() {
        let cache = SessionCache::new(2);
        let id = cache.create(vec![wanted("a", 0)], false, false).expect("room").lock().id;
        assert!(cache.resume(id, 1, false, 0).is_ok());
        assert_eq!(cache.resume(id, 1, false, 0).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(cache.resume(id, 2, true, 0).err(), Some(ErrorCode::FetchSessionTopicIdError));
        assert!(cache.resume(id, 2, false, 0).is_ok());
        assert_eq!(cache.resume(id + 1, 1, false, 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
        cache.remove(id);
        assert_eq!(cache.resume(id, 3, false, 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
    }

    #[test]
    fn a_full_cache_keeps_its_sessions_unless_a_follower_comes() {
        let cache = SessionCache::new(1);
        let first = cache.create(vec![wanted("a", 0)], false, false).expect("room").lock().id;
        assert!(cache.create(vec![wanted("b", 0), wanted("b", 1)], false, false).is_none());
        let follower = cache.create(vec![wanted("b", 0)], false, true).expect("evicts a consumer").lock().id;
        assert_eq!(cache.len(), 1);
        assert_eq!(cache.resume(first, 1, false, 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
        assert!(cache.resume(follower, 1, false, 0).is_ok());
    }

    #[test]
    fn partitions_of_all_sessions_are_bounded() {
        let mut cache = SessionCache::new(10);
        cache.max_partitions = 5;
        let named = |count| (0..count).map(|index| wanted("a", index)).collect::<Vec<_>>();
        let first = cache.create(named(3), false, false).expect("room");
        assert!(cache.create(named(3), false, false).is_none());
        let second = cache.create(named(1), false, false).expect("room").lock().id;
        let id = first.lock().id;
        assert!(cache.resume(id, 1, false, 1).is_ok());
        first.lock().update(named(4));
        assert!(cache.resume(id, 2, false, 0).is_ok());
        assert_eq!(cache.resume(id, 3, false, 1).err(), Some(ErrorCode::FetchSessionIdNotFound), "it grew too large");
        assert!(cache.create(named(4), false, false).is_some(), "its room is free again");
        assert!(cache.resume(second, 1, false, 0).is_ok());
    }

    #[test]
    fn only_news_is_told_and_order_rotates() {
        let cache = SessionCache::new(1);
        let session = cache.create((0..3).map(|index| wanted("a", index)).collect(), false, false).expect("room");
        let mut session = session.lock();
        let second = wanted("a", 1);
        assert!(session.tell(&second, (5, 0), false), "first time");
        assert!(!session.tell(&second, (5, 0), false), "nothing new");
        assert!(session.tell(&second, (6, 0), false), "high watermark moved");
        assert!(session.tell(&second, (-1, -1), true), "an error");
        assert!(session.tell(&second, (6, 0), false), "well again after an error");
        session.start_after(&second);
        assert_eq!(session.wanted().iter().map(|wanted| wanted.index).collect::<Vec<_>>(), [2, 0, 1]);
        session.forget(&[(Arc::from("a"), Uuid::nil(), 0)]);
        assert_eq!(session.wanted().iter().map(|wanted| wanted.index).collect::<Vec<_>>(), [1, 2]);
        session.update([WantedPartition { fetch_offset: 9, ..wanted("a", 2) }]);
        assert_eq!(session.wanted()[1].fetch_offset, 9);
    }
}
