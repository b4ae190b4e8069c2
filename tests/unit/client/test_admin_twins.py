"""The blocking admin client and the asyncio one are one client: same calls, same arguments, same words."""

import inspect
from typing import Any

import odradek
import odradek.aio


def calls(of: type) -> dict[str, Any]:
    names = [name for name in dir(of) if not name.startswith("_")]
    return {name: getattr(of, name) for name in names if inspect.isfunction(getattr(of, name))}


def test_both_have_the_same_calls() -> None:
    assert calls(odradek.Admin).keys() == calls(odradek.aio.Admin).keys()
    assert len(calls(odradek.Admin)) > 20


def test_each_call_takes_the_same_arguments_and_returns_the_same() -> None:
    for name, blocking in calls(odradek.Admin).items():
        twin = calls(odradek.aio.Admin)[name]
        assert inspect.iscoroutinefunction(twin), name
        here, there = (inspect.signature(call, eval_str=True) for call in (blocking, twin))
        assert str(here) == str(there), name


def test_each_call_is_documented_in_full_on_both() -> None:
    for name, blocking in calls(odradek.Admin).items():
        if name != "close":
            assert blocking.__doc__ == calls(odradek.aio.Admin)[name].__doc__, name
            assert blocking.__doc__, name
