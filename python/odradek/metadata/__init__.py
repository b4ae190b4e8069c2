"""The cluster's truth: a small tree of versioned nodes. `store.py` is the contract, `tree.py` says what lies where."""
