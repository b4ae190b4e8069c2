//! What becomes of a batch after an answer, or after none came.
//!
//! | answer | then |
//! |---|---|
//! | 0, DUPLICATE_SEQUENCE_NUMBER (46) | written |
//! | retriable codes, a lost connection, a time-out | again, same sequence, after a back-off |
//! | MESSAGE_TOO_LARGE (10), several records | two halves, again |
//! | OUT_OF_ORDER_SEQUENCE_NUMBER (45), UNKNOWN_PRODUCER_ID (59), INVALID_PRODUCER_EPOCH (47) | again; the oldest one under a new epoch |
//! | anything else | failed |
//!
//! Source: Kafka `Sender.completeBatch`, `TransactionManager.canRetry`, KIP-360.

use std::time::Instant;

use super::batches::Batch;
use super::delivery::Outcome;
use super::desk::Event;
use super::metrics::Metrics;
use super::request::{self, Part, Verdict};
use super::sender::Sender;
use crate::client::error::ClientError;
use crate::wire::error_code;

const MESSAGE_TOO_LARGE: i16 = 10;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const DUPLICATE_SEQUENCE: i16 = 46;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNKNOWN_PRODUCER_ID: i16 = 59;

impl Sender {
    /// Deals with what came back.
    pub(super) fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Identity(result) => self.identified(result, now),
            Event::Packed { lane, batch, result } => self.was_packed(lane, batch, result, now),
            Event::Answer { node, parts, started, result, direct } => {
                let lanes: Vec<usize> = parts.iter().map(|part| part.lane).collect();
                let state = self.nodes.entry(node).or_default();
                state.in_flight = state.in_flight.saturating_sub(1);
                state.proven = result.is_ok();
                if !direct {
                    state.indirect -= 1;
                }
                self.shared.metrics.requests_in_flight.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                self.shared.metrics.answered(now.saturating_duration_since(started));
                for part in &parts {
                    self.lanes[part.lane].came_back(&part.batch);
                }
                match result {
                    Ok(None) => self.all_written(parts),
                    Ok(Some((answer, version))) => match request::decode(answer, version, &parts) {
                        Ok(verdicts) => self.judge(parts, verdicts, now),
                        Err(detail) => {
                            let peer = format!("broker {node}");
                            let detail = format!("its answer to Produce can't be read: {detail}");
                            self.all_failed(parts, &ClientError::Protocol { peer, detail }, now);
                        }
                    },
                    Err(error) => self.all_failed(parts, &error, now),
                }
                for id in lanes {
                    self.look(id, now);
                }
            }
        }
    }

    fn all_written(&mut self, parts: Vec<Part>) {
        for Part { batch, .. } in parts {
            self.shared.end(&batch.state, Outcome::Written { base_offset: -1, append_time_ms: None });
        }
    }

    fn all_failed(&mut self, parts: Vec<Part>, error: &ClientError, now: Instant) {
        if error.refreshes_metadata() {
            self.shared.cluster.request_refresh();
        }
        for Part { lane, batch } in parts {
            if error.retriable() {
                self.retry(lane, batch, error.clone(), now);
            } else {
                self.fail(lane, batch, error.clone());
            }
        }
    }

    fn judge(&mut self, parts: Vec<Part>, verdicts: Vec<Option<Verdict>>, now: Instant) {
        for (Part { lane, batch }, verdict) in parts.into_iter().zip(verdicts) {
            let Some(verdict) = verdict else {
                let peer = "the leader".to_owned();
                let detail = format!("its answer to Produce says nothing of {}", self.place(lane));
                self.retry(lane, batch, ClientError::Disconnected { peer, detail }, now);
                continue;
            };
            self.settle(lane, batch, &verdict, now);
        }
    }

    fn settle(&mut self, id: usize, batch: Batch, verdict: &Verdict, now: Instant) {
        let code = verdict.code;
        if code == 0 || code == DUPLICATE_SEQUENCE {
            let Verdict { base_offset, append_time_ms, .. } = *verdict;
            self.shared.end(&batch.state, Outcome::Written { base_offset, append_time_ms });
            return;
        }
        if code == MESSAGE_TOO_LARGE && batch.count() > 1 {
            self.split(id, batch);
            return;
        }
        let error = self.error(id, verdict);
        let of_sequence = matches!(code, OUT_OF_ORDER_SEQUENCE | UNKNOWN_PRODUCER_ID | INVALID_PRODUCER_EPOCH);
        if of_sequence && batch.sequence.is_some() {
            if self.lanes[id].is_oldest(&batch) {
                self.lanes[id].refused = true;
                if code != OUT_OF_ORDER_SEQUENCE {
                    // Another epoch of this producer id may be as unwelcome.
                    self.identity = None;
                }
                self.retry(id, batch, error, now);
            } else {
                // One before it is to be sent again first; this one was refused only for that.
                self.lanes[id].again(batch);
            }
        } else if error_code::is_retriable(code) {
            if error_code::refreshes_metadata(code) {
                self.shared.cluster.request_refresh();
            }
            self.retry(id, batch, error, now);
        } else {
            self.fail(id, batch, error);
        }
    }

    fn error(&self, id: usize, verdict: &Verdict) -> ClientError {
        let said = verdict.message.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
        let hint = match verdict.code {
            MESSAGE_TOO_LARGE => "; the record alone is over the topic's max.message.bytes",
            _ => "",
        };
        ClientError::Broker {
            code: verdict.code,
            what: format!("records for {} were refused{said}{hint}", self.place(id)),
        }
    }

    fn retry(&mut self, id: usize, mut batch: Batch, error: ClientError, now: Instant) {
        let settings = &self.shared.settings;
        if batch.attempts > settings.retries {
            self.fail(id, batch, error);
            return;
        }
        batch.last_error = Some(error);
        if now >= batch.opened + settings.delivery_timeout {
            let error = self.expiry(id, &batch);
            self.fail(id, batch, error);
            return;
        }
        let rest = self.shared.backoff(batch.attempts);
        let lane = &mut self.lanes[id];
        lane.rests_until = Some(now + rest);
        lane.again(batch);
    }

    fn split(&mut self, id: usize, batch: Batch) {
        let (level, pool) = (self.shared.settings.level, &self.shared.accumulator.pool);
        let state = std::sync::Arc::clone(&batch.state);
        self.shared.accumulator.stop_growth(&self.lanes[id].queue);
        Metrics::add(&self.shared.metrics.batch_splits, 1);
        match batch.split(level, pool) {
            Ok(halves) => {
                for half in halves {
                    self.lanes[id].again(half);
                }
            }
            Err(error) => {
                let what = format!("a batch for {} that was to be split", self.place(id));
                self.lanes[id].unresolved = true;
                self.shared.end(&state, Outcome::Failed(ClientError::Batch { what, error }));
            }
        }
    }
}
