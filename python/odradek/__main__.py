"""Where the `odradek` command begins, as a script and as `python -m odradek`; the command itself is in `odradek.cli`.

Ctrl-C has to be quiet from here on, and most of the start goes by with importing: so nothing heavy is imported before
`main` has seen to the signal. What Python does before this module is imported is out of reach.
"""

import os
import signal
import sys

__all__ = ["main"]

_INTERRUPTED = 130
"""128 + SIGINT, as `odradek.cli` has it."""


def main() -> None:
    """Run the `odradek` command with the process's arguments and exit."""
    heeds = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else ignored: a shell's background job
    if heeds:
        # A KeyboardInterrupt in the middle of an import may be caught, or printed as ignored; nothing is begun yet.
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(_INTERRUPTED))
    from odradek.cli import main as run_command  # noqa: PLC0415

    try:
        if heeds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run_command()
    except KeyboardInterrupt:  # before or behind what `run_command` watches over
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
