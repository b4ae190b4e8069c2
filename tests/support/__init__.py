"""Helpers of the test suite: an independent wire codec, a raw socket client, a broker under test, hostile bytes.

Nothing here imports the broker's own codec: kio and kafka-python are the oracles.
"""
