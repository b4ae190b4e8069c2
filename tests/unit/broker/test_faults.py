"""What `broker.faults` refuses: each error says which argument, what it was, and what is allowed or was meant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import odradek
from odradek.broker.faults import Faults
from odradek.errors import ConfigError, ErrorCode, TimeoutError  # noqa: A004
from odradek.protocol.api_keys import ApiKey


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    """The faults of a broker that nobody uses."""
    with odradek.Broker() as broker:
        yield broker.faults


@pytest.mark.parametrize("call", ["delay", "fail", "drop_connection"])
@pytest.mark.parametrize(
    ("api", "said"),
    [
        ("Prodcue", "'Prodcue'; did you mean Produce"),
        ("join_gruop", "'join_gruop'; did you mean JoinGroup"),
        ("", "unknown API ''"),
        ("nothing like it", "unknown API 'nothing like it'$"),
        (0, "unknown API 0"),
        (None, "unknown API None"),
    ],
)
def test_an_unknown_api_is_named_with_what_was_probably_meant(faults: Faults, call: str, api: Any, said: str) -> None:
    second = {"delay": (1,), "fail": ("UNKNOWN_SERVER_ERROR",), "drop_connection": ()}[call]
    with pytest.raises(ConfigError, match=said):
        getattr(faults, call)(api, *second)


@pytest.mark.parametrize("seconds", [-1, -0.001, 86_401, math.inf, math.nan, True, "1", None])
def test_a_delay_below_zero_above_a_day_or_no_number_is_refused(faults: Faults, seconds: Any) -> None:
    with pytest.raises(ConfigError, match=r"seconds: .* is not allowed; allowed: 0 to 86400") as caught:
        faults.delay("Produce", seconds)
    assert repr(seconds) in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NOT_LEADER", "'NOT_LEADER'; did you mean .*NOT_LEADER_OR_FOLLOWER"),
        ("purple", "unknown error code 'purple'$"),
        (9_999, "unknown error code 9999"),
        (True, "unknown error code True"),
        (None, "unknown error code None"),
        (0, "NONE is no error"),
        ("none", "NONE is no error"),
        (ErrorCode.NONE, "NONE is no error"),
    ],
)
def test_an_error_code_that_is_none_is_refused_with_what_was_probably_meant(
    faults: Faults, code: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        faults.fail("Produce", code)


@pytest.mark.parametrize("times", [0, -1, 1.5, True, "2"])
@pytest.mark.parametrize("call", ["delay", "fail", "drop_connection"])
def test_a_number_of_times_below_one_is_refused(faults: Faults, call: str, times: Any) -> None:
    second = {"delay": (1,), "fail": ("UNKNOWN_SERVER_ERROR",), "drop_connection": ()}[call]
    with pytest.raises(ConfigError, match=r"times: .* is not allowed; allowed: 1 or more, or None") as caught:
        getattr(faults, call)("Produce", *second, times=times)
    assert repr(times) in str(caught.value)


@pytest.mark.parametrize("api", ["Produce", "produce", "PRODUCE", ApiKey.PRODUCE])
def test_case_underscores_and_the_key_itself_name_an_api(faults: Faults, api: Any) -> None:
    with faults.fail(api, -1) as fault:
        assert fault.hits == 0


def test_waiting_for_hits_that_do_not_come_says_what_and_how_many(faults: Faults) -> None:
    fault = faults.fail("JoinGroup", "COORDINATOR_NOT_AVAILABLE")
    with pytest.raises(TimeoutError, match=r"fail of JOIN_GROUP met 0 of 2 requests within 0\.01 s"):
        fault.wait(2, timeout=0.01)
    fault.remove()
    fault.remove()
    with pytest.raises(TimeoutError, match="met 0 of 1 requests"):
        fault.wait(timeout=0.01)
