"""Every API in docs/protocol.md that is an administrator's has a typed call of the admin client."""

import inspect

import pytest
from support import protocol_table

import odradek.aio
from odradek.protocol.api_keys import ApiKey

# Not asked by a call of its own, and why.
NO_CALL = {
    ApiKey.PRODUCE: "the producer's",
    ApiKey.FETCH: "the consumer's",
    ApiKey.OFFSET_FOR_LEADER_EPOCH: "the consumer's",
    ApiKey.INIT_PRODUCER_ID: "the producer's",
    ApiKey.JOIN_GROUP: "a member's",
    ApiKey.SYNC_GROUP: "a member's",
    ApiKey.HEARTBEAT: "a member's",
    ApiKey.CONSUMER_GROUP_HEARTBEAT: "a member's",
    ApiKey.API_VERSIONS: "api_versions, by the transport: each connection begins with it",
    ApiKey.FIND_COORDINATOR: "describe_groups says the coordinator, which the transport finds",
    ApiKey.ALTER_CONFIGS: "alter_configs uses IncrementalAlterConfigs: this one resets what it does not name (KIP-339)",
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: "describe_topics gets the same from Metadata, which old brokers serve as well",
}


def asked() -> set[ApiKey]:
    """Return the APIs that the methods of the admin client name."""
    functions = [function for _name, function in inspect.getmembers(odradek.aio.Admin, inspect.isfunction)]
    texts = [inspect.getsource(function) for function in functions]
    return {api for api in ApiKey if any(f"ApiKey.{api.name}," in text for text in texts)}


@pytest.mark.parametrize("row", protocol_table.rows(), ids=lambda row: row.name)
def test_each_api_served_has_an_admin_call_or_a_reason_for_none(row: protocol_table.Promise) -> None:
    assert (ApiKey(row.key) in asked()) != (ApiKey(row.key) in NO_CALL)
