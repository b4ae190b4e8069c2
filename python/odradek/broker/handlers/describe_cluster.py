"""DescribeCluster (60), versions 0-2.

Behaviour: this broker, which is also the controller. The endpoint type "controllers" is MISMATCHED_ENDPOINT_TYPE (114),
    an unknown one UNSUPPORTED_ENDPOINT_TYPE (115). Without ACLs everybody may do everything.
Left out: nothing.

v0: the first (KIP-700). v1: endpoint type (KIP-919). v2: fenced brokers (KIP-1073); there are none.
"""

from typing import Any, Final

from odradek.broker import authorized_operations
from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.DESCRIBE_CLUSTER
VERSIONS: Final = (0, 2)

_BROKERS: Final = 1
_CONTROLLERS: Final = 2


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Describe the cluster."""
    m = ctx.schema
    broker = ctx.broker
    endpoint_type = getattr(request, "endpoint_type", _BROKERS)
    if endpoint_type != _BROKERS:
        known = endpoint_type == _CONTROLLERS
        code = ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
        return m.DescribeClusterResponse(
            error_code=code,
            error_message=f"this listener is for clients of brokers, not for endpoint type {endpoint_type}",
            endpoint_type=endpoint_type,
            cluster_id="",
            controller_id=-1,
            brokers=(),
        )
    row = m.DescribeClusterBroker(
        broker_id=broker.node_id, host=broker.host, port=broker.port, rack=broker.rack, is_fenced=False
    )
    return m.DescribeClusterResponse(
        error_code=ErrorCode.NONE,
        error_message=None,
        endpoint_type=_BROKERS,
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=(row,),
        cluster_authorized_operations=authorized_operations.CLUSTER
        if request.include_cluster_authorized_operations
        else authorized_operations.NOT_ASKED,
    )
