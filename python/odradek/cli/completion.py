"""`odradek completion`: the script that teaches a shell to complete odradek's commands and options."""

import click

from odradek.cli.command import Command

__all__ = ["completion"]


@click.command(
    cls=Command,
    examples=(
        'eval "$(odradek completion bash)"   # in ~/.bashrc',
        'eval "$(odradek completion zsh)"    # in ~/.zshrc',
        "odradek completion fish > ~/.config/fish/completions/odradek.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # click has all three; a later one may not
        raise click.UsageError(f"no completion for {shell} in this version of click")
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "odradek", "_ODRADEK_COMPLETE").source())
