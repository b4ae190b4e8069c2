//! A fetch session (KIP-227) with one broker: what it was told last, and what the next request therefore need not say.
//!
//! A full request (epoch 0) names every partition and opens a session; from then on requests name what changed, and answers
//! only partitions with news. An answer without a session id means that the broker has no room: full requests go on. Any
//! doubt (an error, a lost answer, another naming of topics) ends the session: the next request closes it and opens anew.

use std::collections::HashMap;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::response::TopicRef;
use crate::log::types::TopicPartition;

/// First version with sessions.
const SESSIONS_FROM: i16 = 7;
/// First version that names topics by id.
const IDS_FROM: i16 = 13;

/// A partition to be fetched.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Topic and partition.
    pub partition: TopicPartition,
    /// The topic's id; nil = not known.
    pub topic_id: Uuid,
    /// The partition's generation.
    pub generation: u64,
    /// From which offset on.
    pub offset: i64,
    /// The leader's epoch as far as known, else -1.
    pub leader_epoch: i32,
    /// Most bytes of it.
    pub max_bytes: i32,
    /// To be had from the leader, whatever replica is nearby: then the whole request tells no rack.
    pub from_leader: bool,
}

impl Wanted {
    /// How an answer of that version refers to its topic.
    #[must_use]
    pub fn topic_ref(&self, version: i16) -> TopicRef {
        if version >= IDS_FROM { TopicRef::Id(self.topic_id) } else { TopicRef::Name(self.partition.topic.clone()) }
    }
}

/// The highest Fetch version that can name these topics.
#[must_use]
pub fn highest_version(wanted: &[Wanted], offered: i16) -> i16 {
    if wanted.iter().any(|one| one.topic_id.is_nil()) { offered.min(IDS_FROM - 1) } else { offered }
}

type Told = (i64, i32, i32);

/// The state of the session.
#[derive(Debug, Default)]
pub struct Session {
    id: i32,
    /// Epoch of the next request.
    epoch: i32,
    by_id: bool,
    /// What the broker was told of each partition: offset, leader epoch, most bytes; with the topic's id.
    told: HashMap<TopicPartition, (Told, Uuid)>,
}

impl Session {
    /// The topics and the session's fields of the next request, which the broker will then have been told.
    pub fn request(&mut self, wanted: &[Wanted], version: i16) -> FetchRequest {
        let by_id = version >= IDS_FROM;
        if by_id != self.by_id {
            self.reset();
            self.by_id = by_id;
        }
        let request = FetchRequest::default().with_session_id(self.id);
        if version < SESSIONS_FROM || self.epoch == 0 {
            self.told.clear();
            self.told.extend(wanted.iter().map(|one| (one.partition.clone(), told(one))));
            return request.with_session_epoch(self.epoch).with_topics(topics(wanted.iter(), version));
        }
        let present: HashMap<_, _> = wanted.iter().map(|one| (one.partition.clone(), told(one))).collect();
        let changed = wanted.iter().filter(|one| self.told.get(&one.partition) != Some(&told(one)));
        let changed = topics(changed, version);
        // A topic made anew has another id: its old self is forgotten, its new self is named.
        let gone = self
            .told
            .iter()
            .filter(|(partition, (_, id))| present.get(*partition).is_none_or(|(_, present_id)| present_id != id));
        let forgotten = forgotten(gone.map(|(partition, (_, id))| (partition, *id)));
        self.told = present;
        request.with_session_epoch(self.epoch).with_topics(changed).with_forgotten_topics_data(forgotten)
    }

    /// Takes the session id of a good answer.
    pub fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            (self.id, self.epoch) = (0, 0);
        } else {
            // The epoch after the largest is 1: 0 would mean a full request.
            self.epoch = if session_id == self.id { self.epoch.checked_add(1).unwrap_or(1) } else { 1 };
            self.id = session_id;
        }
    }

    /// Starts anew with the next request, which closes the old session.
    pub fn reset(&mut self) {
        self.epoch = 0;
        self.told.clear();
    }

    /// Starts anew after the broker said that it doesn't know the session.
    pub fn forget(&mut self) {
        self.reset();
        self.id = 0;
    }

    /// A request that closes the session, if there is one.
    #[must_use]
    pub fn close(&mut self) -> Option<FetchRequest> {
        let id = std::mem::take(&mut self.id);
        self.reset();
        (id != 0).then(|| FetchRequest::default().with_session_id(id).with_session_epoch(-1))
    }
}

/// A request for just these partitions, once, that leaves the broker's sessions alone.
pub fn sessionless(wanted: &[Wanted], version: i16) -> FetchRequest {
    // Session id 0 and epoch -1, Kafka's FetchMetadata.LEGACY, are the message's defaults.
    FetchRequest::default().with_topics(topics(wanted.iter(), version))
}

fn told(wanted: &Wanted) -> (Told, Uuid) {
    ((wanted.offset, wanted.leader_epoch, wanted.max_bytes), wanted.topic_id)
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn topics<'a>(wanted: impl Iterator<Item = &'a Wanted>, version: i16) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for one in wanted {
        let place = *places.entry(&one.partition.topic).or_insert_with(|| {
            let topic = FetchTopic::default();
            topics.push(if version >= IDS_FROM {
                topic.with_topic_id(one.topic_id)
            } else {
                topic.with_topic(name(&one.partition.topic))
            });
            topics.len() - 1
        });
        topics[place].partitions.push(
            FetchPartition::default()
                .with_partition(one.partition.partition)
                .with_current_leader_epoch(if version >= 9 { one.leader_epoch } else { -1 })
                .with_fetch_offset(one.offset)
                .with_partition_max_bytes(one.max_bytes),
        );
    }
    topics
}

fn forgotten<'a>(gone: impl Iterator<Item = (&'a TopicPartition, Uuid)>) -> Vec<ForgottenTopic> {
    let mut topics: HashMap<(&str, Uuid), Vec<i32>> = HashMap::new();
    for (partition, id) in gone {
        topics.entry((&partition.topic, id)).or_default().push(partition.partition);
    }
    let forgotten = topics.into_iter().map(|((topic, id), partitions)| {
        ForgottenTopic::default().with_topic(name(topic)).with_topic_id(id).with_partitions(partitions)
    });
    forgotten.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn wanted(partition: i32, offset: i64) -> Wanted {
        Wanted {
            partition: TopicPartition { topic: Arc::from("t"), partition },
            topic_id: Uuid::from_u128(7),
            generation: 1,
            offset,
            leader_epoch: 2,
            max_bytes: 100,
            from_leader: false,
        }
    }

    fn asked(request: &FetchRequest) -> Vec<(i32, i64)> {
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| (partition.partition, partition.fetch_offset)).collect()
    }

    fn dropped(request: &FetchRequest) -> Vec<i32> {
        request.forgotten_topics_data.iter().flat_map(|topic| topic.partitions.clone()).collect()
    }

    #[test]
    fn a_session_tells_only_what_changed() {
        let mut session = Session::default();
        let full = session.request(&[wanted(0, 0), wanted(1, 0), wanted(2, 0)], 12);
        assert_eq!((full.session_id, full.session_epoch), (0, 0));
        assert_eq!(asked(&full), [(0, 0), (1, 0), (2, 0)]);
        session.answered(9);
        let next = session.request(&[wanted(0, 0), wanted(1, 5), wanted(3, 0)], 12);
        assert_eq!((next.session_id, next.session_epoch), (9, 1));
        assert_eq!((asked(&next), dropped(&next)), (vec![(1, 5), (3, 0)], vec![2]));
        session.answered(9);
        let last = session.request(&[wanted(0, 0), wanted(1, 5), wanted(3, 0)], 12);
        assert_eq!((last.session_epoch, asked(&last), dropped(&last)), (2, vec![], vec![]));
    }

    #[test]
    fn a_broker_without_room_for_a_session_is_asked_in_full_each_time() {
        let mut session = Session::default();
        for _ in 0..2 {
            let request = session.request(&[wanted(0, 0)], 12);
            assert_eq!((request.session_id, request.session_epoch, asked(&request).len()), (0, 0, 1));
            session.answered(0);
        }
    }

    #[test]
    fn a_request_without_a_session_neither_opens_nor_closes_one() {
        let request = sessionless(&[wanted(0, 3), wanted(1, 4)], 12);
        assert_eq!((request.session_id, request.session_epoch), (0, -1));
        assert_eq!((asked(&request), dropped(&request)), (vec![(0, 3), (1, 4)], vec![]));
    }

    #[test]
    fn a_doubt_closes_the_session_with_the_next_request_and_a_lost_one_is_forgotten() {
        let mut session = Session::default();
        session.request(&[wanted(0, 0)], 12);
        session.answered(9);
        session.reset();
        let request = session.request(&[wanted(0, 0)], 12);
        assert_eq!((request.session_id, request.session_epoch, asked(&request).len()), (9, 0, 1));
        session.answered(10);
        assert_eq!(session.request(&[], 12).session_epoch, 1);
        session.forget();
        assert_eq!(session.request(&[], 12).session_id, 0);
    }

    #[test]
    fn naming_topics_otherwise_starts_a_session_anew() {
        let mut session = Session::default();
        session.request(&[wanted(0, 0)], 12);
        session.answered(9);
        let request = session.request(&[wanted(0, 0)], 13);
        assert_eq!((request.session_id, request.session_epoch), (9, 0));
        assert_eq!(request.topics[0].topic_id, Uuid::from_u128(7));
    }

    #[test]
    fn a_topic_made_anew_is_forgotten_and_named_again() {
        let mut session = Session::default();
        session.request(&[wanted(0, 5)], 13);
        session.answered(9);
        let anew = Wanted { topic_id: Uuid::from_u128(8), ..wanted(0, 5) };
        let request = session.request(&[anew], 13);
        assert_eq!((asked(&request), dropped(&request)), (vec![(0, 5)], vec![0]));
        assert_eq!(request.forgotten_topics_data[0].topic_id, Uuid::from_u128(7));
        assert_eq!(request.topics[0].topic_id, Uuid::from_u128(8));
    }

    #[test]
    fn epochs_wrap_to_one() {
        let mut session = Session { id: 9, epoch: i32::MAX, ..Session::default() };
        session.answered(9);
        assert_eq!(session.epoch, 1);
    }

    #[test]
    fn a_topic_without_an_id_is_fetched_by_name() {
        let nameless = Wanted { topic_id: Uuid::nil(), ..wanted(0, 0) };
        assert_eq!(highest_version(&[wanted(0, 0), nameless], 17), 12);
        assert_eq!(highest_version(&[wanted(0, 0)], 17), 17);
        assert_eq!(highest_version(&[wanted(0, 0)], 11), 11);
    }
}
