//! How batches leave: compressed, if they are to be, and in a request of their own over the leader's connection.
//!
//! A request is written at once, by whichever thread has formed it, where the connection stands; else a task on the I/O
//! thread connects first. Large batches are compressed on other threads, so that neither the I/O thread nor a caller does.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::batches::Batch;
use super::desk::{Desk, Event};
use super::metrics::Metrics;
use super::request::{self, Part};
use super::sender::{SWEEP, Sender};
use super::settings::Acks;
use crate::client::cluster::{Channel, Node};
use crate::client::connection::{Answer, Reply, Submission};
use crate::client::error::ClientError;
use crate::client::versions::Versions;
use crate::compress::Compression;
use crate::record::batch::BatchError;

/// Smaller batches are compressed where they are: handing them over costs as much.
const PACK_ELSEWHERE: usize = 8 * 1024;

impl Sender {
    /// The batch, compressed; `None` if that failed, or is left to another thread.
    pub(super) fn packed(&mut self, id: usize, mut batch: Batch) -> Option<Batch> {
        if batch.is_packed() {
            return Some(batch);
        }
        let (codec, level) = (self.shared.settings.compression, self.shared.settings.level);
        Metrics::add(&self.shared.metrics.bytes_uncompressed, batch.size() as u64);
        if codec == Compression::None || batch.size() < PACK_ELSEWHERE {
            let result = batch.pack(codec, level);
            return self.unless_failed(id, batch, result);
        }
        self.packing += 1;
        self.lanes[id].packing = true;
        let desk = Weak::clone(&self.desk);
        self.shared.cluster.spawn_work(move || {
            let result = batch.pack(codec, level);
            Desk::bring(&desk, Event::Packed { lane: id, batch, result });
        });
        None
    }

    /// Takes a batch back that another thread has compressed.
    pub(super) fn was_packed(&mut self, id: usize, batch: Batch, result: Result<(), BatchError>, now: Instant) {
        self.packing -= 1;
        self.lanes[id].packing = false;
        self.lanes[id].staged = self.unless_failed(id, batch, result);
        self.look(id, now);
    }

    fn unless_failed(&mut self, id: usize, batch: Batch, result: Result<(), BatchError>) -> Option<Batch> {
        let Err(error) = result else { return Some(batch) };
        let what = format!("records for {}", self.place(id));
        self.fail(id, batch, ClientError::Batch { what, error });
        None
    }

    /// Sends a request to a broker.
    pub(super) fn send(&mut self, node: i32, mut parts: Vec<Part>, now: Instant) {
        self.stirred = true;
        let metrics = &self.shared.metrics;
        Metrics::add(&metrics.requests, 1);
        Metrics::add(&metrics.requests_in_flight, 1);
        request::sort(&mut parts);
        let deadline = self.answer_by(&parts, now);
        let (acks, state) = (self.shared.settings.acks, self.nodes.entry(node).or_default());
        state.in_flight += 1;
        // Without an answer the connection reports under its own lock, and only a task can take that.
        let direct = state.proven && state.indirect == 0 && acks != Acks::None;
        let standing = if direct { self.shared.cluster.standing(node, Channel::Data) } else { None };
        let Some((connection, versions)) = standing else {
            state.indirect += 1;
            self.send_by_task(node, parts, now, deadline);
            return;
        };
        let desk = Weak::clone(&self.desk);
        let bring = move |parts, result| {
            Desk::bring(&desk, Event::Answer { node, parts, started: now, result, direct: true });
        };
        match body(&parts, &versions, acks, self.shared.settings.request_timeout) {
            Ok((api_version, body)) => {
                let request = Submission {
                    api_key: request::PRODUCE,
                    api_version,
                    body,
                    answer: true,
                    deadline: deadline.into(),
                };
                let reply = move |answer: Answer| bring(parts, answer.map(|answer| Some((answer, api_version))));
                connection.submit_to(request, Reply::Call(Box::new(reply)));
            }
            Err(error) => bring(parts, Err(error)),
        }
    }

    fn send_by_task(&self, node: i32, parts: Vec<Part>, now: Instant, deadline: Instant) {
        let (cluster, settings) = (Arc::clone(&self.shared.cluster), &self.shared.settings);
        let (acks, broker_timeout) = (settings.acks, settings.request_timeout);
        let desk = Weak::clone(&self.desk);
        self.shared.cluster.spawn(async move {
            let exchange = async {
                let versions = cluster.versions(Node::Id(node), Channel::Data, deadline.into()).await?;
                let (version, body) = body(&parts, &versions, acks, broker_timeout)?;
                let answered = acks != Acks::None;
                let answer = cluster
                    .call_raw(Node::Id(node), Channel::Data, request::PRODUCE, version, body, deadline - now, answered)
                    .await?;
                Ok(answered.then_some((answer, version)))
            };
            let result = exchange.await;
            Desk::bring(&desk, Event::Answer { node, parts, started: now, result, direct: false });
        });
    }

    /// Until when an answer is waited for: no longer than the oldest batch may take.
    fn answer_by(&self, parts: &[Part], now: Instant) -> Instant {
        let settings = &self.shared.settings;
        let left =
            parts.iter().map(|part| (part.batch.opened + settings.delivery_timeout).saturating_duration_since(now));
        now + left.min().unwrap_or_default().clamp(SWEEP.0, settings.request_timeout.max(SWEEP.0))
    }
}

/// The body of a request, in the highest version that both sides have.
fn body(
    parts: &[Part],
    versions: &Versions,
    acks: Acks,
    broker_timeout: Duration,
) -> Result<(i16, Vec<Bytes>), ClientError> {
    let version = versions.highest(request::PRODUCE, request::VERSIONS)?;
    let body = request::encode(parts, version, acks, broker_timeout)
        .map_err(|error| ClientError::Batch { what: "a Produce request".to_owned(), error })?;
    Ok((version, body))
}
