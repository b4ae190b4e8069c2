"""What `odradek serve` loads while it is idle, so that a first member does not wait for it."""

import json
import subprocess
import sys

from odradek.broker.served import SERVED
from odradek.client.consumer.classic_calls import _VERSIONS
from odradek.client.consumer.group_calls import _COMMIT, _FETCH
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.kio_modules import kio_module

_LOADED = "print(json.dumps(sorted(name for name in sys.modules if name.startswith('kio'))))"


def in_a_process(code):
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_after_it_nothing_is_left_to_load_for_a_group_of_our_own_client():
    loaded = in_a_process(
        f"import asyncio, json, sys; from odradek.broker.warm_up import warm_up; asyncio.run(warm_up()); {_LOADED}"
    )
    newest = {key: high for key, _, high in SERVED}
    needed = {
        kio_module(api, min(high, newest[api]), part).__name__
        for api, (_, high) in {**_VERSIONS, ApiKey.OFFSET_COMMIT: _COMMIT, ApiKey.OFFSET_FETCH: _FETCH}.items()
        for part in ("request", "response")
    }
    assert needed
    assert needed <= set(loaded)


def test_a_broker_inside_a_process_loads_no_messages_before_somebody_asks():
    loaded = in_a_process(
        f"import json, odradek, sys\nwith odradek.Broker() as broker:\n    broker._control.wait()\n    {_LOADED}"
    )
    assert loaded == []
