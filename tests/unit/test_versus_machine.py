"""The meter of `benches/versus` beside what a process says of itself."""

import subprocess
import sys

from benches.versus import machine

BURN = """
import time
while time.process_time() < 0.02:
    pass
print(time.process_time(), flush=True)
input()
print(time.process_time(), flush=True)
"""


def test_cpu_seconds_lie_between_what_the_process_says_before_and_after() -> None:
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        before = float(child.stdout.readline())
        seen = machine.cpu_seconds(child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
        after = float(child.stdout.readline())
    assert 0.02 <= before <= seen <= after


def test_a_process_that_is_gone_has_used_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert machine.cpu_seconds(child.pid) == 0
