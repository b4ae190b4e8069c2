//! Sockets, framing, the Produce and Fetch path, purgatory and the control queue.
