"""Consumer groups and their committed offsets, kept in `__consumer_offsets`.

`service.py` is the entry: it routes requests to groups and knows API versions. `classic.py` is the group as a state
machine, `members.py` its members, `offsets.py` the committed offsets, `records.py` the bytes in the log, `shard.py` the
state of one partition of that log.
"""
