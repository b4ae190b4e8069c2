"""Settings in effect: what a topic or broker uses, where each value comes from, and changes at run time.

A value comes from the first of: the topic's own setting, this broker's run-time setting, the run-time default of all
brokers, the static settings (file, command line), the built-in default. Run-time settings are in the metadata tree
under `/config`; the options themselves are defined in `odradek.config`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from odradek.config.broker import BROKER_OPTIONS, BrokerSettings
from odradek.config.definition import Option, Scope
from odradek.config.topic import TOPIC_OPTIONS
from odradek.metadata import tree
from odradek.metadata.sqlite_tree import SqliteTree
from odradek.metadata.store import Create, Delete, Operation, Set

__all__ = ["Configs", "Entry", "Source", "Synonym"]

ALL_BROKERS: Final = ""
"""The resource name that stands for the default of all brokers."""


class Source(IntEnum):
    """Where a value comes from; DescribeConfigs' `config_source`."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


@dataclass(frozen=True, slots=True)
class Synonym:
    """One place a value could come from; the first in a row of them is the one in effect."""

    name: str
    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting in effect."""

    option: Option
    text: str | None
    source: Source
    synonyms: tuple[Synonym, ...]


class Configs:
    """All settings of this broker and its topics. Writes nothing: who changes them writes what `..._change` returns."""

    def __init__(self, settings: BrokerSettings, node_id: int) -> None:
        self.settings: Final = settings
        self.node_id: Final = node_id
        self._node = str(node_id)
        self._topics: dict[str, dict[str, str]] = {}
        self._brokers: dict[str, dict[str, str]] = {}
        self._defaults: dict[str, str] | None = None

    def load(self, nodes: SqliteTree) -> None:
        """Read the run-time settings from the metadata tree."""
        for path, node in nodes.subtree(tree.TOPIC_CONFIGS):
            self._topics[path.rpartition("/")[2]] = dict(tree.parse(path, node.value)["config"])
        for path, node in nodes.subtree(tree.BROKER_CONFIGS):
            name = path.rpartition("/")[2]
            self._brokers[ALL_BROKERS if name == "<default>" else name] = dict(tree.parse(path, node.value)["config"])

    def topic_overrides(self, topic: str) -> Mapping[str, str]:
        """Return a topic's own settings."""
        return self._topics.get(topic, {})

    def broker_overrides(self, node: str) -> Mapping[str, str]:
        """Return a broker's run-time settings; "" for the default of all."""
        return self._brokers.get(node, {})

    def topic_texts(self, topic: str) -> dict[str, str]:
        """Return every setting of a topic in effect, as the engine takes them."""
        if self._defaults is None:
            entries = (self._topic_entry("", option) for option in TOPIC_OPTIONS.values())
            self._defaults = {entry.option.name: entry.text or "" for entry in entries}
        return self._defaults | self._topics.get(topic, {})

    def topic_entries(self, topic: str) -> Iterator[Entry]:
        """Yield every setting of a topic with its source."""
        return (self._topic_entry(topic, option) for option in TOPIC_OPTIONS.values())

    def broker_entries(self) -> Iterator[Entry]:
        """Yield every setting of this broker with its source."""
        return (self._broker_entry(option) for option in BROKER_OPTIONS.values())

    def default_broker_entries(self) -> Iterator[Entry]:
        """Yield what is set at run time for all brokers."""
        for name, text in self.broker_overrides(ALL_BROKERS).items():
            synonym = Synonym(name, text, Source.DYNAMIC_DEFAULT_BROKER)
            yield Entry(BROKER_OPTIONS[name], text, synonym.source, (synonym,))

    def topic_change(self, topic: str, overrides: Mapping[str, str]) -> list[Operation]:
        """Return the operations that make `overrides` a topic's own settings; none if nothing changes."""
        return self._change(tree.topic_config_path(topic), self._topics.get(topic), overrides)

    def note_topic(self, topic: str, overrides: Mapping[str, str]) -> None:
        """Take over a topic's own settings that have been written to the store."""
        if overrides:
            self._topics[topic] = dict(overrides)
        else:
            self._topics.pop(topic, None)

    def broker_change(self, node: str, overrides: Mapping[str, str]) -> list[Operation]:
        """Return the operations that make these the run-time settings of this broker, or of all brokers ("")."""
        return self._change(tree.broker_config_path(node), self._brokers.get(node), overrides)

    def note_broker(self, node: str, overrides: Mapping[str, str]) -> None:
        """Take over run-time settings of a broker that have been written to the store."""
        self._brokers[node] = dict(overrides)
        self._defaults = None

    @staticmethod
    def _change(path: str, old: Mapping[str, str] | None, new: Mapping[str, str]) -> list[Operation]:
        value = tree.dump({"version": 1, "config": dict(new)})
        if not old:
            return [Create(path, value)] if new else []
        if not new:
            return [Delete(path)]
        return [Set(path, value)]

    def _topic_entry(self, topic: str, option: Option) -> Entry:
        own = self._topics.get(topic, {}).get(option.name)
        synonyms = list(self._broker_synonyms(option.broker))
        if own is not None:
            return Entry(
                option, own, Source.TOPIC, (Synonym(option.name, own, Source.TOPIC), *(s for s, _ in synonyms))
            )
        if not synonyms:
            return Entry(option, option.render(option.default), Source.DEFAULT, ())
        (first, factor) = synonyms[0]
        text = first.text if factor == 1 or first.text.startswith("-") else str(int(first.text) * factor)
        return Entry(option, text, first.source, tuple(s for s, _ in synonyms))

    def _broker_entry(self, option: Option) -> Entry:
        synonyms = tuple(synonym for synonym, _ in self._broker_synonyms(((option.name, 1),)))
        if not synonyms:
            return Entry(option, option.render(option.default), Source.DEFAULT, ())
        return Entry(option, synonyms[0].text, synonyms[0].source, synonyms)

    def _broker_synonyms(self, names: tuple[tuple[str, int], ...]) -> Iterator[tuple[Synonym, int]]:
        for name, factor in names:
            option = BROKER_OPTIONS[name]
            layers = [(self.settings.texts, Source.STATIC_BROKER)]
            if option.scope is not Scope.READ_ONLY:
                layers.insert(0, (self._brokers.get(ALL_BROKERS, {}), Source.DYNAMIC_DEFAULT_BROKER))
                layers.insert(0, (self._brokers.get(self._node, {}), Source.DYNAMIC_BROKER))
            for texts, source in layers:
                if name in texts:
                    yield Synonym(name, texts[name], source), factor
            default = option.render(option.default)
            if default is not None:
                yield Synonym(name, default, Source.DEFAULT), factor
