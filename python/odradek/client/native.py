"""The compiled classes of the client; the only module of `client` that imports them.

Importing it makes forks known to them: a client made before a fork refuses to work in the child, whose copy of it has no
thread.
"""

import os

from odradek._native import (
    ArrowBatch,
    AsyncDeliveryFuture,
    ClusterClient,
    ConsumerRecord,
    DeliveryFuture,
    Dispatcher,
    Fetcher,
    ManyFuture,
    NativeProducer,
    Turn,
    TurnCall,
    note_fork,
)

__all__ = [
    "ArrowBatch",
    "AsyncDeliveryFuture",
    "ClusterClient",
    "ConsumerRecord",
    "DeliveryFuture",
    "Dispatcher",
    "Fetcher",
    "ManyFuture",
    "NativeProducer",
    "Turn",
    "TurnCall",
]

os.register_at_fork(after_in_child=note_fork)
