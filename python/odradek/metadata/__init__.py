"""The cluster's truth: a small tree of versioned nodes. `store.py` is the contract, `tree.py` says what lies where."""

__all__ = ["FILE_NAME"]

FILE_NAME = "metadata.db"
"""Of the embedded store, in the data directory."""
