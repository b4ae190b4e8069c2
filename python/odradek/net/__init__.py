"""Connections to a broker. `connection.py` sends a request and waits for its answer; nothing here knows what it says."""
