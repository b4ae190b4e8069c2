"""The package's public names: each importable, listed, in order, and made only when asked for."""

import subprocess
import sys

import odradek


def test_public_names_are_sorted_and_all_there() -> None:
    assert sorted(odradek.__all__) == odradek.__all__
    for name in odradek.__all__:
        assert getattr(odradek, name) is not None
        assert name in dir(odradek)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(odradek, "Brooker")


def test_importing_the_package_loads_neither_broker_nor_native_code() -> None:
    script = "import sys, odradek; print([name for name in sys.modules if name.startswith('odradek.')])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_the_tree_of_errors_gives_out_kafkas_codes_but_loads_them_only_for_who_names_one() -> None:
    script = (
        "import sys, odradek.errors; before = 'odradek.kafka_errors' in sys.modules; "
        "from odradek import kafka_errors; from odradek.errors import KafkaError, OdradekError; "
        "print(before, all(getattr(odradek.errors, name) is getattr(kafka_errors, name) for name in kafka_errors.__all__),"
        " set(kafka_errors.__all__) <= set(odradek.errors.__all__), issubclass(KafkaError, OdradekError),"
        " hasattr(odradek.errors, 'KafkaErrors'))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False True True True False"
