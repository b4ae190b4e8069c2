"""`odradek.Producer`: a producer for threads. `send` is the native method itself; see `_native.pyi` for what it takes."""

import time
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from odradek.client.native import NativeProducer
from odradek.client.producer.dispatcher import end
from odradek.client.producer.options import OnDelivery, open_producer
from odradek.config.client import ClientOptions, resolve, resolve_config
from odradek.errors import TimeoutError  # noqa: A004 - ours

if TYPE_CHECKING:
    from typing import Unpack

    from odradek.client.keywords import ProducerKeywords

__all__ = ["Producer"]


class Producer(NativeProducer):
    """Sends records: `with odradek.Producer("localhost:9092") as producer: future = producer.send("topic", b"value")`.

    Records are copied into batches and sent by a thread of Rust. By default nothing is lost, doubled or reordered by
    retries (`enable_idempotence`), and a record counts as sent once every replica in sync has it (`acks="all"`).
    Thread-safe. `close` (or the end of `with`) delivers what was sent; a producer that is forgotten warns and doesn't.

    Args:
        bootstrap_servers: "HOST:PORT,HOST:PORT", or a sequence of them.
        on_delivery: called for every record that has no `on_delivery` of its own; see `send`.
        options: see docs/client-options.md; None = default.

    Raises:
        ConfigError: an unknown option or a bad value; says what is allowed.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str],
        *,
        on_delivery: OnDelivery | None = None,
        **options: "Unpack[ProducerKeywords]",
    ) -> None:
        self._begin(resolve("producer", bootstrap_servers, options), on_delivery)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, on_delivery: OnDelivery | None = None) -> Self:
        """Make a producer from Kafka's dotted names: `{"bootstrap.servers": "localhost:9092", "linger.ms": 5}`.

        Raises:
            ConfigError: as the constructor. Nothing is ignored in silence.
        """
        producer = cls.__new__(cls)
        producer._begin(resolve_config("producer", config), on_delivery)
        return producer

    def _begin(self, options: ClientOptions, on_delivery: OnDelivery | None) -> None:
        self._options = options
        open_producer(self, options, on_delivery)

    def __repr__(self) -> str:
        return self._options.shown("odradek.Producer", closed=not self._is_open())

    def close(self, timeout: float | None = None) -> None:
        """Deliver what was sent, make the calls that are due (`on_delivery`), then end. Closing twice is fine; so is closing in a forked child, which does nothing.

        Args:
            timeout: seconds to wait for deliveries and calls; None = as long as they may take (`delivery_timeout_ms`).

        Raises:
            TimeoutError: some records were not delivered in that time; they have failed with ClosedError. Or all were, and
                calls are still being made.
        """
        if not self._stop_taking():
            return
        began = time.monotonic()
        try:
            if timeout is None or timeout > 0:
                self.flush(timeout)
        except TimeoutError:
            left = self._records_left()
            what = f"{left} records were not delivered" if left else "calls for what is delivered were not all made"
            then = " and have failed with ClosedError" if left else ""
            raise TimeoutError(f"closing: {what} within {time.monotonic() - began:.1f} s{then}") from None
        finally:
            delivering = end(self)
            if delivering is not None:
                delivering.join(None if timeout is None else max(0.0, began + timeout - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._is_open():
            warnings.warn(
                f"{self!r} was not closed; use `with`, or close it", ResourceWarning, source=self, stacklevel=2
            )
            end(self)
