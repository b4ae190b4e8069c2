"""What answers say: error codes become errors, and the outcomes for several things one result or one error."""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from odradek.client.metadata import error_code
from odradek.errors import ErrorCode, KafkaError

__all__ = ["check", "refusal", "settle", "settle_rows"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def refusal(code: int, what: str, text: str | None = None) -> KafkaError | None:
    """Return the error that a code stands for, None if it says that all went well.

    Args:
        code: as answered.
        what: it is about, "topic 'orders'": the beginning of the error's text, unless the broker's own text has it.
        text: the broker's; None = Kafka's sentence for the code.
    """
    row = error_code(code)
    if row == ErrorCode.NONE:
        return None
    said = text or row.text
    return KafkaError.of(row, said if what.lower() in said.lower() else f"{what}: {said}")


def check(code: int, what: str, text: str | None = None) -> None:
    """Raise what `refusal` returns."""
    error = refusal(code, what, text)
    if error is not None:
        raise error


def settle(results: dict[K, V], errors: Mapping[K, KafkaError]) -> dict[K, V]:
    """Return the results if nothing failed.

    Raises:
        KafkaError: the first one's own class; its text has every failure, `errors` and `results` have all by item.
    """
    if not errors:
        return results
    first = next(iter(errors.values()))
    raised = KafkaError.of(first.error_code, "; ".join(str(error) for error in errors.values()))
    raised.errors = dict(errors)
    raised.results = dict(results)
    raise raised


def settle_rows(rows: Iterable[tuple[K, KafkaError | None, V]]) -> dict[K, V]:
    """Settle (item, what `refusal` returned, result) rows."""
    results: dict[K, V] = {}
    errors: dict[K, KafkaError] = {}
    for item, error, result in rows:
        if error is None:
            results[item] = result
        else:
            errors[item] = error
    return settle(results, errors)
