//! The listening socket and the I/O threads.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use super::state::NetState;
use crate::engine::error::EngineError;

/// A running server.
pub struct Server {}

impl Server {
    /// Starts the I/O threads and accepts from `listener`, which listens already.
    ///
    /// # Errors
    /// When a thread or its event loop can't be had.
    pub fn start(listener: TcpListener, state: Arc<NetState>) -> Result<Self, EngineError> {
        let _ = (listener, state);
        Ok(Self {})
    }

    /// Stops accepting, lets requests under way finish for up to `grace`, closes every connection.
    pub fn stop(self, grace: Duration) {
        let _ = grace;
    }
}
