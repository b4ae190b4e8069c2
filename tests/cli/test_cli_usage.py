"""What every command keeps to: help with examples, one line for an error, honest exit codes, a light start."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from cli_support import COMMAND, Outcome, Running, environment, run_process

from odradek.cli import odradek

Run = Callable[..., Outcome]


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield (*path, name)
            yield from _commands(command, (*path, name))


COMMANDS = sorted(_commands(odradek))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_says_what_it_does_and_shows_an_example(offline: Run, command: tuple[str, ...]) -> None:
    shown = offline(*command, "--help")
    assert shown.code == 0
    assert f"Usage: odradek {' '.join(command)}" in shown.out
    examples = shown.out.partition("Examples:\n")[2]
    assert f"odradek {' '.join(command)}" in examples


def test_help_of_the_whole_lists_every_command(offline: Run) -> None:
    listed = offline("--help").out
    assert all(f"\n  {command[0]} " in listed for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("topics", "frobnicate"),
        ("topics", "list", "--frobnicate"),
        ("topics", "create"),
        ("topics", "create", "t", "--partitions", "0"),
        ("topics", "create", "t", "--partitions", "many"),
        ("topics", "create", "t", "--config", "novalue"),
        ("topics", "alter", "t"),
        ("topics", "list", "-b", "host:port"),
        ("topics", "list", "-b", "host:99999"),
        ("topics", "list", "--timeout", "0"),
        ("topics", "list", "--command-config", "/no/such/file"),
        ("configs", "describe"),
        ("configs", "describe", "--topic", "t", "--broker", "1"),
        ("configs", "alter", "--topic", "t"),
        ("produce", "t", "--acks", "2"),
        ("produce", "t", "--compression", "rar"),
        ("produce", "t", "--key-separator", ""),
        ("produce", "t", "--property", "parse.key=perhaps"),
        ("consume", "t", "--format", "%q"),
        ("consume", "t", "--format", "%t", "--json"),
        ("consume", "t", "--from-beginning", "--offset", "1"),
        ("consume", "t", "--group", "g", "--partition", "1"),
        ("consume", "t", "--offset", "somewhere"),
        ("consume", "t", "--property", "print.key=perhaps"),
        ("consume", "t", "--max-messages", "0"),
        ("groups", "list", "--state", "happy"),
        ("groups", "reset-offsets", "g", "--topic", "t"),
        ("groups", "reset-offsets", "g", "--topic", "t", "--to-earliest", "--to-latest"),
        ("groups", "reset-offsets", "g", "--to-earliest"),
        ("groups", "reset-offsets", "g", "--topic", "t", "--all-topics", "--to-earliest"),
        ("groups", "reset-offsets", "g", "--topic", "t:x", "--to-earliest"),
        ("groups", "reset-offsets", "g", "--topic", "t", "--by-duration", "P"),
        ("groups", "reset-offsets", "g", "--topic", "t", "--to-datetime", "tomorrow"),
        ("groups", "delete-offsets", "g"),
        ("log", "dump", "/no/such/file"),
        ("log", "verify", "/no/such/directory"),
        ("metadata", "ls", "relative", "--data-dir", "/tmp"),
        ("completion", "cmd"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(offline: Run, arguments: tuple[str, ...]) -> None:
    refused = offline(*arguments)
    assert refused.code == 2
    assert refused.out == ""
    assert "--help`)" in refused.error_line


@pytest.mark.parametrize("group", ["topics", "configs", "groups", "log", "metadata"])
def test_a_group_without_command_shows_its_help_and_fails(offline: Run, group: str) -> None:
    shown = offline(group)
    assert shown.code == 2
    assert f"Usage: odradek {group}" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("topics", "list"),
        ("topics", "create", "t"),
        ("topics", "delete", "t"),
        ("configs", "describe", "--topic", "t"),
        ("produce", "t"),
        ("consume", "t"),
        ("groups", "list"),
        ("groups", "describe", "g"),
        ("groups", "reset-offsets", "g", "--topic", "t", "--to-latest"),
    ],
    ids=" ".join,
)
def test_unreachable_broker_is_said_without_waiting(offline: Run, arguments: tuple[str, ...]) -> None:
    failed = offline(*arguments, "-b", "127.0.0.1:1,localhost:1", "--timeout", "30", stdin="x\n")
    assert failed.code == 1
    assert "can't reach 127.0.0.1:1,localhost:1" in failed.error_line
    assert "Connection refused" in failed.error_line
    assert "odradek serve" in failed.error_line


def test_a_server_that_is_no_broker_fails_within_the_time_out(offline: Run, silent_server: str) -> None:
    failed = offline("topics", "list", "-b", silent_server, "--timeout", "1")
    assert failed.code == 1
    assert "can't list the topics" in failed.error_line
    assert "did not answer" in failed.error_line
    assert f"odradek doctor {silent_server}" in failed.error_line


def test_ctrl_c_ends_a_command_that_waits_for_a_server_which_is_no_broker() -> None:
    """`consume` only noted the first one, and waited on for the topic."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [*COMMAND, "consume", "t", "-b", address, "--timeout", "600"]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as consumer,
            ExitStack() as stack,
        ):
            stack.callback(consumer.kill)
            server.accept()[0].close()  # only to see whether anybody is there
            connection = stack.enter_context(server.accept()[0])
            assert connection.recv(1)  # it asks what is served
            assert Running(consumer).interrupt() == Outcome(130, "", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", [("produce", "t"), ("consume", "t"), ("--version",)], ids=lambda given: given[0])
def test_closed_standard_streams_are_no_bug_of_ours(arguments: tuple[str, ...], closed: str) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *arguments]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, env=environment("127.0.0.1:1"))
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if arguments == ("--version",) else 1)


def test_bad_client_properties_file_is_told(offline: Run, silent_server: str, tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# comment\nno.such.option=1\n")
    failed = offline("topics", "list", "-b", silent_server, "--command-config", str(file))
    assert failed.code == 2
    assert "no.such.option" in failed.error_line


def test_the_command_is_a_process_with_the_same_answers() -> None:
    failed = run_process("topics", "list", "-b", "127.0.0.1:1")
    assert (failed.code, failed.out) == (1, "")
    assert "can't reach 127.0.0.1:1" in failed.error_line
    assert run_process("--version").out.startswith("odradek ")


def _modules_after(code: str) -> set[str]:
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment("x:1"))
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", ["['--help']", "['serve', '--help']"])
def test_help_and_serve_start_without_the_client_library(arguments: str) -> None:
    modules = _modules_after(f"from odradek.cli import main\ntry: main({arguments})\nexcept SystemExit: pass")
    assert "odradek.cli.command" in modules
    assert not modules & {"odradek._native", "odradek.client", "kio", "rich", "sqlite3"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_command(offline: Run, shell: str) -> None:
    script = offline("completion", shell)
    assert script.code == 0
    assert "_ODRADEK_COMPLETE" in script.out
    assert "odradek" in script.out


def test_completion_offers_commands_and_options() -> None:
    def complete(words: str) -> set[str]:
        request = {"_ODRADEK_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            COMMAND, capture_output=True, text=True, check=True, env={**environment("x:1"), **request}
        )
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert {"create", "list", "describe", "alter", "delete"} <= complete("odradek topics ")
    assert {"--partitions", "--config"} <= complete("odradek topics create --")
