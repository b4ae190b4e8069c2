//! The facade that the Python bindings hold: log directory, partitions and server as one thing.
