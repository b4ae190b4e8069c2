"""A request of the admin client that isn't answered in time is tried again. It once ended in an AttributeError."""

import odradek


def test_a_call_goes_on_after_a_request_that_was_not_answered_in_time() -> None:
    with odradek.Broker() as broker, odradek.Admin(broker.bootstrap_servers, request_timeout_ms=300) as admin:
        admin.describe_cluster()
        with broker.faults.delay("ListGroups", seconds=60, times=1) as late:
            assert admin.list_groups(timeout=20) == []
            assert late.hits == 1
