"""Bytes <-> messages of Kafka's wire protocol, over the kio library. No I/O. Start with `codec.py`."""
