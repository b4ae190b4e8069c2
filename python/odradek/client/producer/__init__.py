"""The producer. `producer.py` is the one for threads, `aio.py` the one for asyncio; both are thin over Rust."""
