"""Coordinators: state that lives in a log. `runtime.py` appends and replays; `group/` is the consumer groups."""
