"""A broker inside a Python process. Only odradek can be one, so there is nothing to compare: its own bound holds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from benches.versus.session import ROOT, RunFailedError

if TYPE_CHECKING:
    from benches.versus.session import Session

ROUNDS = 20


def run(session: Session) -> None:
    """The first broker of a fresh interpreter, and the ones after it."""
    if session.broker.name != "odradek":
        return
    command = [sys.executable, "-W", "ignore", "-m", "benches.versus.clients.in_process", "-", str(ROUNDS)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode != 0:
        raise RunFailedError(ran.stderr[-400:])
    session.report("odradek.Broker() in a process", json.loads(ran.stdout))
