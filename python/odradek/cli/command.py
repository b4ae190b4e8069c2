"""How commands are built: help with examples, and groups that load their commands when asked.

Not here: any command. `__init__.py` has the table of them.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

__all__ = ["Command", "Group", "LazyGroup"]


def _write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write command lines as they are; click would re-wrap them in an epilog."""
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Command(click.Command):
    """A command whose help ends in examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        _write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of commands whose help ends in examples; its commands are `Command` by default."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        _write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


class LazyGroup(Group):
    """A group that imports a command's module when that command is asked for.

    So `odradek serve` never pays for the client library of `odradek produce`.
    """

    def __init__(self, *args: Any, commands_table: Mapping[str, str], **kwargs: Any) -> None:
        """Make the group.

        Args:
            args: as for `Group`.
            commands_table: name -> "module:attribute" of each command.
            kwargs: as for `Group`.
        """
        super().__init__(*args, **kwargs)
        self.commands_table = commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names in the table."""
        return sorted(self.commands_table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        """Import and return a command; None if there is no such name."""
        place = self.commands_table.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command
