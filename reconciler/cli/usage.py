"""How help is written: headings, every text whole, and in the reader's words and not Typer's types."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.cli.contents import COLOURS, COMMON, ENTRIES, GROUPS, VARIABLES, Description, brief
from reconciler.cli.workplace import wants_colour

OTHERS = "Options"
FLAGS: Mapping[str, tuple[str, ...]] = {
    "Which hosts and resources": ("--host", "--only", "--replace", "--all", "--router", "--primary"),
    "What is printed": (
        "--json", "--markdown", "--github", "--junit", "--prometheus", "--checkmk", "--ics", "--format",
        "--summary", "--commands", "--runbook", "--verbose", "--quiet", "--no-color", "--log-format",
    ),
    "How hosts are reached": (
        "--parallel", "--timeout", "--seen", "--port", "--identity", "--known-hosts", "--jump",
    ),
}  # fmt: skip
"""The headings of flags; what is below none of them is an option of the command itself."""
COLUMN = 24
"""How wide the column of names may get, so that a text beside it can be read in 60 columns."""


def arguments(command: Any) -> list[str]:
    """What stands behind a command's name on its command line."""
    found = [each for each in command.params if each.param_type_name == "argument"]
    return [_spelled(each) for each in found]


def _spelled(argument: Any) -> str:
    name = _bare(argument)
    several = "..." if argument.nargs != 1 else ""
    return f"{name}{several}" if argument.required else f"[{name}]{several}"


def _bare(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[]")


def record(param: Any, context: Any) -> tuple[str, str]:
    """A flag as it is written (`--host NAME`), and what it is for, with its default and its limits."""
    if param.param_type_name == "argument":
        return _bare(param), param.help or ""
    written, text = param.get_help_record(context)
    return written, re.sub(r"\s+\[([^]]*)\]$", lambda extra: f" {_extra(extra[1])}", text)


def _extra(text: str) -> str:
    """`default: 32; 1<=x<=1000` in words."""
    parts = [part for part in text.split("; ") if part != "required"]
    said = [re.sub(r"^(\d+)<=x<=(\d+)$", r"\1 to \2", part) for part in parts]
    needed = ["needed"] if len(parts) < len(text.split("; ")) else []
    return f"({'; '.join([*said, *needed])})"


def headed(params: Iterable[Any]) -> dict[str, list[Any]]:
    """The flags below their headings; the command's own first."""
    of = {flag: heading for heading, flags in FLAGS.items() for flag in flags}
    found: dict[str, list[Any]] = {heading: [] for heading in (OTHERS, *FLAGS)}
    for each in params:
        if each.param_type_name != "argument":
            heading = next((of[name] for name in each.opts if name in of), OTHERS)
            found[heading].append(each)
    return {heading: flags for heading, flags in found.items() if flags}


def write(command: Any, context: Any, formatter: Any) -> None:
    """The help of one command."""
    entry = ENTRIES[command.name]
    _colour(context, formatter)
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    _list(formatter, "Arguments", _records(_arguments(command), context))
    for heading, flags in headed(command.get_params(context)).items():
        _list(formatter, heading, _records(flags, context))
    with formatter.section("Examples"):
        for line, why in entry.examples.items():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
            with formatter.indentation():
                formatter.write_text(why)
    _list(formatter, "Exit codes", [(str(int(code)), text) for code, text in entry.codes().items()])
    _list(formatter, "Environment variables", list(variables(command, entry).items()))


def write_contents(group: Any, context: Any, formatter: Any) -> None:
    """The help of the program: every command below its heading."""
    _colour(context, formatter)
    group.format_usage(context, formatter)
    group.format_help_text(context, formatter)
    for heading, entries in GROUPS.items():
        _list(formatter, heading, [(name, each.help) for name, each in entries.items()], wide=True)
    _list(formatter, OTHERS, _records(group.get_params(context), context))
    _list(formatter, "Exit codes of all commands", [(str(int(code)), brief(code)) for code in COMMON])
    _list(formatter, "Environment variables", list(VARIABLES.items()))
    formatter.write_paragraph()
    formatter.write_text("`reconcile COMMAND --help` has examples, and the exit codes of that command.")


def variables(command: Any, entry: Description) -> dict[str, str]:
    """The environment variables that count for a command."""
    colours = any("--no-color" in each.opts for each in command.params)
    named = {*entry.variables, *(COLOURS if colours else ())}
    return {name: text for name, text in VARIABLES.items() if name in named}


def _arguments(command: Any) -> Iterator[Any]:
    return (each for each in command.params if each.param_type_name == "argument")


def _records(params: Iterable[Any], context: Any) -> list[tuple[str, str]]:
    return [record(each, context) for each in params]


def _list(formatter: Any, heading: str, rows: list[tuple[str, str]], *, wide: bool = False) -> None:
    if not rows:
        return
    with formatter.section(heading):
        # One column for all groups of commands; a name that is too long has a line of its own.
        if wide:
            rows = [(f"{name:<{max(map(len, ENTRIES))}}", text) for name, text in rows]
        formatter.write_dl(rows, col_max=COLUMN)


def _colour(context: Any, formatter: Any) -> None:
    """Bold headings, where there are to be colours."""
    if not wants_colour(os.environ, is_terminal=sys.stdout.isatty()):
        return
    context.color = True  # or Typer takes them out again where stdout is no terminal
    plain = formatter.write_heading

    def bold(heading: str) -> None:
        before = len(formatter.buffer)
        plain(heading)
        formatter.buffer[before:] = [f"\x1b[1m{''.join(formatter.buffer[before:]).rstrip()}\x1b[0m\n"]

    formatter.write_heading = bold
