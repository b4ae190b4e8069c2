//! Keeps the metadata fresh: one task that asks for it when it is old, when something failed, or when somebody waits.
//!
//! Requests for a refresh are tickets: a refresh serves all tickets drawn before it began. In one round the sources are
//! asked one after the other, the next one as soon as one fails or is slow; the first answer wins.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::cluster::{Channel, Shared, call_on, grown};
use super::connection::timed_out;
use super::error::ClientError;
use super::metadata::{BrokerView, MetadataView};

/// A source that has not answered for so long is no longer waited for alone.
const STAGGER: Duration = Duration::from_millis(500);
const METADATA_VERSIONS: std::ops::RangeInclusive<i16> = 1..=12;

/// How the last rounds went.
#[derive(Debug, Clone, Default)]
struct Outcome {
    /// All tickets up to this one are served.
    served: u64,
    /// The last round's failure, the first ticket it is an answer to, and whether waiting longer is of no use.
    failed: Option<(u64, ClientError, bool)>,
}

#[derive(Default)]
struct Interest {
    /// How often each topic has been asked for: a consumer's subscription and its fetcher watch the same ones.
    topics: HashMap<Arc<str>, usize>,
    all: bool,
}

/// The state of refreshing; its task is [`Shared::keep_fresh`].
pub(super) struct Refresher {
    view: ArcSwap<MetadataView>,
    changed: watch::Sender<u64>,
    interest: Mutex<Interest>,
    tickets: AtomicU64,
    urgent: AtomicBool,
    wake: Notify,
    outcome: watch::Sender<Outcome>,
}

impl Refresher {
    pub(super) fn new() -> Self {
        Self {
            view: ArcSwap::from_pointee(MetadataView::unknown()),
            changed: watch::channel(0).0,
            interest: Mutex::default(),
            tickets: AtomicU64::new(0),
            urgent: AtomicBool::new(false),
            wake: Notify::new(),
            outcome: watch::channel(Outcome::default()).0,
        }
    }

    pub(super) fn view(&self) -> Arc<MetadataView> {
        self.view.load_full()
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn watch_topic(&self, topic: &str) {
        let first = {
            let mut interest = self.interest.lock();
            let watchers = interest.topics.entry(Arc::from(topic)).or_default();
            *watchers += 1;
            *watchers == 1
        };
        if first {
            self.request(true);
        }
    }

    pub(super) fn unwatch_topic(&self, topic: &str) {
        let mut interest = self.interest.lock();
        if let Some(watchers) = interest.topics.get_mut(topic) {
            *watchers -= 1;
            if *watchers == 0 {
                interest.topics.remove(topic);
            }
        }
    }

    pub(super) fn watch_all(&self, yes: bool) {
        let before = std::mem::replace(&mut self.interest.lock().all, yes);
        if yes && !before {
            self.request(true);
        }
    }

    /// Asks for a refresh; an urgent one doesn't wait for the rest after the one before. Returns the ticket.
    pub(super) fn request(&self, urgent: bool) -> u64 {
        let ticket = self.tickets.fetch_add(1, Ordering::AcqRel) + 1;
        if urgent {
            self.urgent.store(true, Ordering::Release);
        }
        self.wake.notify_one();
        ticket
    }

    pub(super) fn learn_broker(&self, id: i32, broker: BrokerView) {
        let view = self.view();
        if view.brokers.get(&id).is_some_and(|known| known.host == broker.host && known.port == broker.port) {
            return;
        }
        let mut next = MetadataView::clone(&view);
        next.brokers.insert(id, broker);
        self.view.store(Arc::new(next));
    }

    fn publish(&self, ticket: u64, answer: &MetadataResponse) {
        let next = self.view().next(answer);
        let version = next.version;
        self.view.store(Arc::new(next));
        self.outcome.send_replace(Outcome { served: ticket, failed: None });
        self.changed.send_replace(version);
    }

    fn wanted(&self) -> Option<Vec<MetadataRequestTopic>> {
        let interest = self.interest.lock();
        if interest.all {
            return None;
        }
        let name = |topic: &Arc<str>| TopicName(StrBytes::from_string(topic.to_string()));
        let topics = interest.topics.keys().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
        Some(topics.collect())
    }
}

impl Shared {
    /// One refresh that begins after this call. See [`super::Cluster::refreshed`].
    pub(super) async fn refreshed(&self, deadline: Instant) -> Result<Arc<MetadataView>, ClientError> {
        let begun = Instant::now();
        let ticket = self.refresher.request(true);
        let mut outcome = self.refresher.outcome.subscribe();
        let settled = outcome.wait_for(|outcome| {
            let hopeless = outcome.failed.as_ref().is_some_and(|(from, _, hopeless)| *hopeless && *from >= ticket);
            outcome.served >= ticket || hopeless
        });
        let settled = timeout_at(deadline, settled).await.map(|settled| settled.map(|outcome| outcome.clone()));
        match settled {
            Ok(Ok(outcome)) if outcome.served >= ticket => Ok(self.refresher.view()),
            Ok(Ok(outcome)) => Err(outcome.failed.map_or(ClientError::Closed, |(_, error, _)| error)),
            Ok(Err(_)) => Err(ClientError::Closed),
            Err(_) => {
                let last = self.refresher.outcome.borrow().failed.clone();
                let after = deadline - begun;
                Err(last.map_or_else(|| timed_out("Metadata", &self.asked(), after), |(_, error, _)| error))
            }
        }
    }

    /// Those that a refresh waits for, in words.
    fn asked(&self) -> String {
        let silent = self.silent();
        if silent.is_empty() { "the cluster".to_owned() } else { silent.join(", ") }
    }

    /// Runs until the I/O thread ends.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let refresher = &self.refresher;
        let mut last_begun: Option<Instant> = None;
        let mut served = 0;
        loop {
            if refresher.tickets.load(Ordering::Acquire) == served {
                match last_begun {
                    // Nothing is asked before somebody needs it.
                    None => refresher.wake.notified().await,
                    Some(begun) => tokio::select! {
                        () = refresher.wake.notified() => {}
                        () = sleep_until(begun + self.settings.metadata_max_age) => { refresher.request(false); }
                    },
                }
                continue;
            }
            if let Some(begun) = last_begun {
                let rest_ends = begun + self.settings.retry_backoff;
                while !refresher.urgent.load(Ordering::Acquire) && Instant::now() < rest_ends {
                    tokio::select! {
                        () = refresher.wake.notified() => {}
                        () = sleep_until(rest_ends) => {}
                    }
                }
            }
            last_begun = Some(Instant::now());
            served = self.refresh().await;
        }
    }

    /// Rounds until one succeeds; returns the ticket served.
    async fn refresh(self: &Arc<Self>) -> u64 {
        let refresher = &self.refresher;
        let mut failures = 0;
        loop {
            refresher.urgent.store(false, Ordering::Release);
            let ticket = refresher.tickets.load(Ordering::Acquire);
            match self.round().await {
                Ok(answer) => {
                    refresher.publish(ticket, &answer);
                    return ticket;
                }
                Err(reasons) => {
                    let hopeless = reasons
                        .iter()
                        .all(|error| matches!(error, ClientError::Protocol { .. } | ClientError::Unsupported { .. }));
                    let detail = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    refresher.outcome.send_modify(|outcome| {
                        outcome.failed = Some((ticket, ClientError::NoBrokers { detail }, hopeless));
                    });
                    sleep(grown(self.settings.retry_backoff, self.settings.retry_backoff_max, failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Asks the sources, each once; returns the first answer, or each one's error.
    async fn round(self: &Arc<Self>) -> Result<MetadataResponse, Vec<ClientError>> {
        let mut sources = self.metadata_sources().into_iter();
        let mut asked = JoinSet::new();
        let mut reasons = Vec::new();
        loop {
            if let Some(source) = sources.next() {
                let shared = Arc::clone(self);
                asked.spawn(async move { shared.ask(source).await });
            } else if asked.is_empty() {
                return Err(reasons);
            }
            let next_source_at = if sources.len() > 0 { STAGGER } else { Duration::MAX };
            tokio::select! {
                Some(answered) = asked.join_next() => match answered {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => reasons.push(error),
                    Err(broken) => reasons.push(ClientError::System { detail: broken.to_string() }),
                },
                () = sleep(next_source_at) => {}
            }
        }
    }

    async fn ask(self: &Arc<Self>, source: (String, u16)) -> Result<MetadataResponse, ClientError> {
        let connection = self.connection_to(source, Channel::Control);
        let versions = connection.ready().await?;
        let version = versions.highest(ApiKey::Metadata as i16, METADATA_VERSIONS)?;
        let request = MetadataRequest::default()
            .with_topics(self.refresher.wanted())
            .with_allow_auto_topic_creation(self.settings.allow_auto_create_topics);
        call_on(&connection, version, Instant::now() + self.settings.request_timeout, &request).await
    }
}

/// A random number. Back-off and choice need no more of it than this.
pub(super) fn jitter() -> u64 {
    RandomState::new().build_hasher().finish()
}
