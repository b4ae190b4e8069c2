"""The twins offer the same names, and the facade offers them all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import odradek.record
from odradek import _native, _pure
from odradek.client import native

BROKER_ONLY = {"ControlRequest", "Engine", "Faults", "Listener", "__version__", "build_profile"}
CLIENT_ONLY = {*native.__all__, "ArrowRows", "note_fork"}


def public(module: object) -> set[str]:
    return {name for name in dir(module) if not name.startswith("_")} - BROKER_ONLY - CLIENT_ONLY


def test_each_public_codec_name_exists_in_both_twins() -> None:
    assert set(_pure.__all__) == public(_native)


def test_the_facade_offers_each_function_of_the_twin_in_use() -> None:
    functions = {name for name in _pure.__all__ if name[0].islower()}
    assert functions <= set(odradek.record.__all__)
    assert all(getattr(odradek.record, name) is getattr(odradek.record.codec, name) for name in functions)


def test_the_protocol_states_each_function_of_the_twins() -> None:
    functions = {name for name in _pure.__all__ if name[0].islower()}
    assert {name for name in vars(odradek.record.Codec) if not name.startswith("_")} == functions


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_native_twin_is_the_default() -> None:
    result = run("import odradek.record as r; print(r.codec.__name__)", ODRADEK_PURE="")
    assert (result.stdout.strip(), result.stderr) == ("odradek._native", "")


def test_odradek_pure_selects_the_pure_twin_and_says_so() -> None:
    result = run("import odradek.record as r; print(r.codec.__name__)", ODRADEK_PURE="1")
    assert result.stdout.strip() == "odradek._pure"
    assert "ODRADEK_PURE" in result.stderr


def test_a_missing_native_twin_is_an_error_and_no_reason_to_fall_back() -> None:
    result = run("import sys; sys.modules['odradek._native'] = None; import odradek.record", ODRADEK_PURE="")
    assert result.returncode != 0
    assert "ImportError" in result.stderr or "ModuleNotFoundError" in result.stderr


@pytest.mark.parametrize("name", ["Record", "RecordBatch"])
def test_decoded_values_have_the_attributes_that_the_protocol_states(name: str) -> None:
    stated = {attribute for attribute in vars(getattr(odradek.record, name)) if not attribute.startswith("_")}
    for twin in (_native, _pure):
        assert stated <= set(dir(getattr(twin, name)))
