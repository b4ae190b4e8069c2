//! InitProducerId: a producer's name for the brokers. Source: KIP-98; `transactional.id` comes with transactions.

use std::time::Duration;

use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};

use super::batches::Identity;
use crate::client::cluster::{Channel, Cluster, Node};
use crate::client::error::ClientError;

/// Asks any broker for a producer id.
///
/// # Errors
/// The transport's, or [`ClientError::Broker`].
pub(super) async fn ask(cluster: &Cluster, timeout: Duration) -> Result<Identity, ClientError> {
    let build = |_| {
        InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    let (answer, _) = cluster.call::<InitProducerIdRequest>(Node::Any, Channel::Data, 0..=4, timeout, build).await?;
    if answer.error_code != 0 {
        let what = "no producer id for idempotent sending (enable.idempotence)".to_owned();
        return Err(ClientError::Broker { code: answer.error_code, what });
    }
    Ok(Identity { id: answer.producer_id.0, epoch: answer.producer_epoch })
}
