//! Counters of the I/O threads. Each thread counts in its own cache line; reading adds them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One I/O thread's counters.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64,)* }

        impl Counters {
            fn add_to(&self, sums: &mut BTreeMap<&'static str, u64>) {
                $(*sums.entry(stringify!($name)).or_default() += self.$name.load(Ordering::Relaxed);)*
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections_accepted,
    /// Connections refused by a limit.
    connections_refused,
    /// Connections closed, for whatever reason.
    connections_closed,
    /// Connections closed because nothing came for too long.
    connections_idle_closed,
    /// Connections closed because the client broke the protocol.
    connections_protocol_errors,
    /// Connections ended by a bug of ours.
    connections_panicked,
    /// Requests received.
    requests,
    /// Produce requests.
    produce_requests,
    /// Fetch requests.
    fetch_requests,
    /// Requests handed to Python.
    control_requests,
    /// JoinGroup and SyncGroup requests kept until Python takes many together.
    gathered_requests,
    /// Bytes read from sockets.
    bytes_in,
    /// Bytes written to sockets.
    bytes_out,
    /// Batches' bytes appended for clients.
    produced_bytes,
    /// Batches' bytes sent to clients.
    fetched_bytes,
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, amount: u64) {
    // One writer a counter: a load and a store are enough, and cheaper than a locked add.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

/// Sums over all threads, by name.
#[must_use]
pub fn sum<'a>(threads: impl IntoIterator<Item = &'a Counters>) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for thread in threads {
        thread.add_to(&mut sums);
    }
    sums
}
