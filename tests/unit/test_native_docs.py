"""`help()` tells of the native methods that users call what the stub tells editors."""

import ast
import inspect
from pathlib import Path

import pytest

import odradek
from odradek import _native, aio

STUB = ast.parse((Path(odradek.__file__).parent / "_native.pyi").read_text())
FOR_USERS = ("NativeProducer", "DeliveryFuture", "AsyncDeliveryFuture", "ManyFuture", "ArrowBatch", "ConsumerRecord")


def _stub(name: str) -> ast.ClassDef:
    [found] = [one for one in STUB.body if isinstance(one, ast.ClassDef) and one.name == name]
    return found


@pytest.mark.parametrize("name", FOR_USERS)
def test_the_text_is_the_stubs(name: str) -> None:
    here, stub = getattr(_native, name), _stub(name)
    assert inspect.cleandoc(here.__doc__) == ast.get_docstring(stub)
    for one in stub.body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and ast.get_docstring(one):
            assert inspect.getdoc(getattr(here, one.name)) == ast.get_docstring(one), one.name


@pytest.mark.parametrize("client", [odradek.Producer, odradek.Consumer, odradek.Admin, odradek.Broker, aio.Producer, aio.Consumer, aio.Admin])  # fmt: skip
def test_every_method_has_a_text(client: type) -> None:
    bare = [name for name, one in inspect.getmembers(client) if not name.startswith("_") and not inspect.getdoc(one)]
    assert bare == []
