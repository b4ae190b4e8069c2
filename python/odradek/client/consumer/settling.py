"""What a poll does when there is more to do than to fetch: rebalances, callbacks, automatic commits, errors.

Written once for both consumers, as a generator of steps: each is an awaitable or a call of the user's, which the sync
consumer runs in its loop's thread and in its own, and the asyncio consumer awaits. What a step raises is thrown back in.
"""

import logging
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odradek.client.consumer.handover import Assign, Event, Lost, Revoke
from odradek.client.consumer.subscription import RebalanceCallback
from odradek.errors import NoOffsetForPartitionError, OdradekError
from odradek.types import TopicPartition

if TYPE_CHECKING:
    from odradek.client.consumer.core import Core

__all__ = ["Call", "Run", "Steps", "call_back", "depart", "settle"]

_log = logging.getLogger("odradek.client.consumer")


@dataclass(slots=True)
class Run:
    """Something of ours to make and await on the consumer's loop."""

    work: Callable[[], Coroutine[Any, Any, object]]


@dataclass(slots=True)
class Call:
    """Something of the user's to call where the user polls."""

    function: Callable[..., object]
    arguments: Sequence[object]


Steps = Generator[Run | Call, None, None]


def settle(core: "Core") -> Steps:
    """Do what waits, oldest first. When something raises, the rest is kept for the next poll."""
    core.handover.attention = False
    try:
        if core.holdings.untold:  # Ctrl-C was first
            yield from _tell_assigned(core)
        while (event := core.handover.take()) is not None:
            try:
                yield from _event(core, event)
            finally:
                if _is_done(core.holdings.held(), event):  # else Ctrl-C came before: the next poll begins with it anew
                    core.handover.settle(event)
        yield from call_back(core)
        if core.commit_due:
            core.commit_due = False
            core.commit_in_background()
        _raise_next(core)
        core.position_soon()  # not after an error about positions: the user may be about to seek
    except BaseException:
        core.handover.let_go()
        core.handover.attention = True
        raise


def _raise_next(core: "Core") -> None:
    while core.errors:
        error = core.errors.popleft()
        if not isinstance(error, NoOffsetForPartitionError) or core.holdings.unpositioned():
            raise error


def call_back(core: "Core") -> Steps:
    """Tell of asynchronous commits that are done."""
    while core.called_back:
        callback, offsets, error = core.called_back.popleft()
        yield Call(callback, (offsets, error))


def depart(core: "Core") -> Steps:
    """Give up everything because the consumer unsubscribes or closes."""
    if core.holdings.wanted is not None and core.identity().generation < 0:
        yield from _lose(core, None)
    else:
        yield from give_up(core, sorted(core.holdings.held()))


def _event(core: "Core", event: Event) -> Steps:
    if isinstance(event, Revoke):
        yield from give_up(core, event.partitions)
    elif isinstance(event, Assign):
        core.take_over(event.target)
        yield from _tell_assigned(core)
    elif isinstance(event, Lost):
        yield from _lose(core, event.error)


def _is_done(held: frozenset[TopicPartition], event: Event) -> bool:
    if isinstance(event, Assign):
        return held == frozenset(event.target)
    return held.isdisjoint(event.partitions) if isinstance(event, Revoke) else not held


def give_up(core: "Core", partitions: Sequence[TopicPartition]) -> Steps:
    """Commit if that is automatic, tell the user, stop fetching; the last whatever happens before it."""
    held = core.holdings.held()
    going = [one for one in partitions if one in held]
    if not going:
        return
    try:
        if core.auto_commit:
            try:
                yield Run(lambda: core.commit_before(going))
            except OdradekError as error:
                _log.warning("records of %s may be read again: %s", _names(going), error)
        yield from _tell(core.holdings.callbacks.on_revoked, _told_of(core, going))
    finally:
        core.take_over(held.difference(going))


def _lose(core: "Core", error: Exception | None) -> Steps:
    gone = sorted(core.holdings.held())
    told = _told_of(core, gone)
    core.take_over(())
    callbacks = core.holdings.callbacks
    if gone:
        _log.warning("lost %s: other members have them already", _names(gone))
        try:
            yield from _tell(callbacks.on_lost or callbacks.on_revoked, told)
        except BaseException:
            if error is not None:
                core.errors.append(error)
            raise
    if error is not None:
        raise error


def _tell_assigned(core: "Core") -> Steps:
    """Tell of what is held and new; once it has begun to, never again of the same, whatever it raises."""
    callback, untold = core.holdings.callbacks.on_assigned, core.holdings.untold

    def told(partitions: list[TopicPartition]) -> object:
        core.holdings.untold = []
        return None if callback is None else callback(partitions)

    yield Call(told, (untold,))


def _told_of(core: "Core", partitions: list[TopicPartition]) -> list[TopicPartition]:
    untold = set(core.holdings.untold)
    return [one for one in partitions if one not in untold]


def _tell(callback: RebalanceCallback | None, partitions: list[TopicPartition]) -> Steps:
    if callback is not None and partitions:
        yield Call(callback, (partitions,))


def _names(partitions: Sequence[TopicPartition]) -> str:
    few = ", ".join(f"{topic}-{partition}" for topic, partition in partitions[:5])
    return few if len(partitions) <= 5 else f"{few} and {len(partitions) - 5} more"
