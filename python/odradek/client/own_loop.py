"""`OwnLoop`: the event loop that a client for asyncio belongs to, and the refusal of calls from any other."""

import asyncio
import os

from odradek.errors import ForkedError, UsageError

__all__ = ["OwnLoop"]


class OwnLoop:
    """The running loop of whoever makes this. Its futures and readers are no other loop's to touch."""

    def __init__(self) -> None:
        """Remember the loop, and the process. Raises RuntimeError when none is running."""
        self.loop = asyncio.get_running_loop()
        self._pid = os.getpid()

    def check(self) -> None:
        """Refuse a call from elsewhere.

        Raises:
            UsageError: it comes from another loop. ForkedError: or from a child of the process.
        """
        if asyncio.get_running_loop() is not self.loop:
            if os.getpid() != self._pid:
                raise ForkedError("the client was made before a fork; make a new one in the child")
            raise UsageError("this client belongs to another event loop; make one in each")
