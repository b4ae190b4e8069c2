"""The consumer: `consumer.py` and `aio.py` are what users hold, both thin over `core.py`.

`subscription.py` is what the user wants and has, `membership.py` a place in a group, `classic_member.py` and
`modern_member.py` (KIP-848) the two protocols, `handover.py` the way from there into the user's poll, `commits.py` and
`offsets.py` the requests about offsets, `assignors/` who gets what.
Records come from the native `Fetcher`; no Python runs a record unless deserializers were asked for (`decoding.py`).
"""
