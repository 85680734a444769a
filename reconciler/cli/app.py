"""The table of contents: every command, each loaded only when it is called.

`--help` and completion are answered from the table alone; see `tests/cli/test_start.py` for
what each command must not load.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import takewhile
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from reconciler import __version__
from reconciler.cli import neighbours, parameters, usage
from reconciler.cli.contents import ENTRIES
from reconciler.cli.exit import UNCHANGED, Code, CommandError
from reconciler.cli.stderr import as_messages, say, taken, wants_json
from reconciler.cli.workplace import Workplace

MODULES = {"import": "import_hosts"}
"""Where the module of a command is not named like it."""


def _command(name: str) -> TyperCommand:
    module = MODULES.get(name, name)
    function = getattr(importlib.import_module(f"reconciler.cli.{module}"), module)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, cls=parameters.Command, help=ENTRIES[name].help)(function)
    command: Any = typer.main.get_command(single)
    return command  # type: ignore[no-any-return]


class _Commands(Mapping[str, TyperCommand]):
    """The commands by name; asking for one loads its module."""

    def __init__(self) -> None:
        self._loaded: dict[str, TyperCommand] = {}

    def __getitem__(self, name: str) -> TyperCommand:
        if name not in ENTRIES:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = _command(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ENTRIES)

    def __len__(self) -> int:
        return len(ENTRIES)


class _Contents(TyperGroup):
    """The group of all commands; its help and its completion load none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})

    def get_params(self, ctx: Any) -> Any:
        return parameters.spared(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before = takewhile(lambda each: each.startswith("-"), args)
        neighbours.refuse_flags(ctx, before, [name for each in self.get_params(ctx) for name in each.opts])
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        neighbours.refuse_command(ctx, args[0])
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ENTRIES)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        usage.write_contents(self, ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        self.commands = _outline()
        return super().shell_complete(ctx, incomplete)


def _outline() -> dict[str, Any]:
    """Commands that can do no more than tell their help."""
    return {name: TyperCommand(name, help=each.help) for name, each in ENTRIES.items()}


app = typer.Typer(
    cls=_Contents,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keep a certificate, and everything that depends on it, correct on a fleet of hosts.",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"reconcile {__version__}")
        raise typer.Exit


def run(arguments: list[str], workplace: Workplace | None = None) -> int:
    """Runs one command line and returns its exit code; never a traceback for a mistake.

    The commands use the given `workplace`: the real one, unless a test hands in its own.
    """
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))  # a core would hold the secrets of the YAML
    workplace = workplace or Workplace()
    with taken(as_messages(workplace.clock)) if wants_json(arguments) else nullcontext():
        return _ended(arguments, workplace)


def _ended(arguments: list[str], workplace: Workplace) -> int:
    try:
        code = int(app(arguments, prog_name="reconcile", standalone_mode=False, obj=workplace) or 0)
        sys.stdout.flush()  # here, where a full disk can still be reported
        if code == Code.INTERRUPTED:  # typer has made 130 of it
            say(UNCHANGED, error=True)
        return code
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):
        say(UNCHANGED, error=True)
        return Code.INTERRUPTED
    except BrokenPipeError:  # whoever read has enough, as of `| head`
        _drop_stdout()
        return Code.LOCAL
    except SystemExit as ended:  # typer has made 1 of the same (`typer.core._main`)
        if isinstance(ended.__context__, BrokenPipeError):
            return Code.LOCAL
        raise
    except CommandError as error:
        for line in error.lines:
            say(line, error=True)
        return error.code
    except Exception as error:  # noqa: BLE001 - the last to see it
        return _other(error, arguments)


def _other(error: Exception, arguments: list[str]) -> int:
    """Usage errors are click's, and end with 64: its 2 means "changes pending" here."""
    show = getattr(error, "show", None)
    if show is None or not hasattr(error, "exit_code"):
        from reconciler.cli import unexpected

        _drop_stdout()
        return unexpected.report(error, arguments)
    if wants_json(arguments):
        say(str(getattr(error, "message", error)), error=True)
    else:
        show()
    return Code.USAGE


def _drop_stdout() -> None:
    """Drops what is left to print where it cannot be: Python would try again at its end, and fail with a
    traceback and 120 (docs.python.org/3/library/signal.html#note-on-sigpipe)."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
