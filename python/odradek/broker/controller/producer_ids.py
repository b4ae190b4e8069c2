"""Producer ids: handed out from blocks of 1,000 that are reserved in the store, so that none is ever given twice.

A broker that is killed loses the rest of its block, not more. Source: KIP-730, Kafka `ProducerIdsBlock`.
"""

import asyncio
from typing import Final

from odradek.metadata import tree
from odradek.metadata.store import BadVersionError, Create, MetadataStore, NodeExistsError, Operation, Set

__all__ = ["BLOCK_SIZE", "ProducerIds"]

BLOCK_SIZE: Final = 1_000


class ProducerIds:
    """The source of this broker's producer ids."""

    def __init__(self, store: MetadataStore, node_id: int) -> None:
        self._store = store
        self._node_id = node_id
        self._next = 0
        self._end = 0
        self._refill = asyncio.Lock()

    async def take(self) -> int:
        """Return an id that no broker of this cluster has given out before.

        Raises:
            StorageError: a new block can't be reserved.
        """
        async with self._refill:
            while self._next == self._end:
                await self._reserve()
            self._next += 1
            return self._next - 1

    async def _reserve(self) -> None:
        path = tree.PRODUCER_ID_BLOCK
        node = await self._store.get(path)
        start = 0 if node is None else int(tree.parse(path, node.value)["block_end"]) + 1
        end = start + BLOCK_SIZE
        value = tree.dump({"version": 1, "broker": self._node_id, "block_start": start, "block_end": end - 1})
        claim: Operation = Create(path, value) if node is None else Set(path, value, node.version)
        try:
            await self._store.multi([claim])
        except (BadVersionError, NodeExistsError):
            return  # another broker was faster; the caller tries again
        self._next, self._end = start, end
