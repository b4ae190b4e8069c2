"""Write docs/configuration.md from the tables of options: `python -m odradek.config.page > docs/configuration.md`.

A test holds the page to the tables.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from odradek.config.broker import BROKER_OPTIONS
from odradek.config.definition import Kind, Option, Scope
from odradek.config.topic import TOPIC_OPTIONS

__all__ = ["TABLE_HEAD", "render", "table_row"]

TABLE_HEAD: Final = ("| name | default | allowed | meaning |", "|---|---|---|---|")

_HEAD = """# Configuration

`odradek serve` takes settings from `--config FILE` (Kafka's `server.properties` form, or TOML if the name ends in
`.toml`), then `--set KEY=VALUE`, then `--data-dir`, `--listen` and `--advertise`; what comes later wins.
`odradek.Broker(data_dir=None, **config)` takes the same names with underscores. Names, defaults and ranges are those of
Apache Kafka 4.3 unless the text says otherwise. An unknown name or a value outside its range is refused, with the name,
the value and what is allowed; so are Kafka's options for things odradek does not have, where leaving them out in
silence could hurt (TLS, SASL, ACLs, quotas, tiered storage).

A topic's setting in effect is the first of: its own, this broker's at run time, the run-time default of all brokers,
the file or command line, the built-in default.

This page is written by `python -m odradek.config.page` from the tables in `odradek/config/`.
"""


def render() -> str:
    """Return the page."""
    served = (option for option in BROKER_OPTIONS.values() if not option.inert)
    inert = (option for option in BROKER_OPTIONS.values() if option.inert)
    parts = [
        _HEAD,
        "## Topics\n",
        "Set them with `odradek topics create --config`, `odradek configs alter`, or any Kafka admin client.\n",
        *_table(TOPIC_OPTIONS.values()),
        "## Brokers\n",
        "Those marked *run time* can also be changed while the broker runs, for one broker or for all.\n",
        *_table(served),
        "## Accepted without effect\n",
        "They stand in files people have for Apache Kafka; odradek takes them and does nothing with them.\n",
        *_table(inert),
    ]
    return "\n".join(parts)


def _table(options: Iterable[Option]) -> Iterator[str]:
    yield from TABLE_HEAD
    for option in sorted(options, key=lambda row: row.name):
        yield table_row(option, " *run time*" if option.scope is Scope.CLUSTER_WIDE else "")
    yield ""


def table_row(option: Option, mark: str = "") -> str:
    """Return an option's row, with this mark behind its name."""
    default = option.render(option.default)
    shown = "" if default is None else f"`{default}`" if default else "empty"
    if option.unit and default:
        shown += f" {option.unit}"
    allowed = option.allowed() if option.valid or option.kind is not Kind.STRING else ""
    return f"| `{option.name}`{mark} | {shown} | {allowed} | {option.doc} |"


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - the page is the program's output
