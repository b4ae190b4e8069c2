"""This broker's own nodes in the metadata tree: that it is there, and that it is the controller. Written at each start."""

import time
from typing import TYPE_CHECKING

from odradek.metadata import tree
from odradek.metadata.store import Create, Operation, Set

if TYPE_CHECKING:
    from odradek.config.address import Address
    from odradek.metadata.sqlite_tree import SqliteTree

__all__ = ["register"]


def register(nodes: "SqliteTree", node_id: int, address: "Address", cluster_id: str) -> int:
    """Put this broker into the tree, make it the controller, and return its controller epoch."""
    operations: list[Operation] = [Create(path) for path in tree.BASE_PATHS if nodes.get(path) is None]
    now = str(time.time_ns() // 1_000_000)
    if nodes.get(tree.CLUSTER_ID) is None:
        operations.append(Create(tree.CLUSTER_ID, tree.dump({"version": "1", "id": cluster_id})))
    node = nodes.get(tree.CONTROLLER_EPOCH)
    epoch = 1 if node is None else int(node.value) + 1
    value = str(epoch).encode()
    operations.append(Create(tree.CONTROLLER_EPOCH, value) if node is None else Set(tree.CONTROLLER_EPOCH, value))
    broker = {
        "version": 5,
        "host": address.host,
        "port": address.port,
        "endpoints": [f"PLAINTEXT://{address}"],
        "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"},
        "jmx_port": -1,
        "rack": None,
        "timestamp": now,
    }
    operations.append(Create(tree.broker_path(node_id), tree.dump(broker), ephemeral=True))
    controller = {"version": 2, "brokerid": node_id, "timestamp": now}
    operations.append(Create(tree.CONTROLLER, tree.dump(controller), ephemeral=True))
    nodes.multi(operations)
    return epoch
