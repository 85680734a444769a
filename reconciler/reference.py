"""docs/commands.md and the man page, made from the command line itself.

`python -m reconciler.reference .` writes them into a checkout; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from reconciler.cli import app
from reconciler.session import Code

CODES = {
    Code.OK: "success; in sync; `plan` printed, even with changes",
    Code.ERROR: "an error of our own, or of the machine that runs it",
    Code.CHANGES: "changes pending (`plan --detailed-exitcode`, `apply --auto`); drift; `verify` found any",
    Code.INCOMPLETE: "some of it could not be looked at, so nobody knows",
    Code.FAILED: "apply failed; every host is as before or as wanted",
    Code.NEITHER: "apply failed, and some host is neither; it is named",
    Code.STALE: "the plan is stale, or has expired",
    Code.LOCKED: "locked by somebody else",
    Code.NOT_APPROVED: "not approved",
    Code.USAGE: "usage, or a bad environment file",
    Code.INTERRUPTED: "interrupted",
}


def commands() -> dict[str, Any]:
    """Every command by its name, as click has it."""
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


def arguments(command: Any) -> list[str]:
    """What stands behind its name on the command line."""
    return [each.metavar or each.name.upper() for each in command.params if _is_argument(each)]


def flags(command: Any) -> Iterator[tuple[str, str]]:
    """Each flag as its help writes it (`--host TEXT`), and what it is for."""
    context = command.context_class(command)
    for each in command.params:
        if not _is_argument(each):
            written, text = each.get_help_record(context)
            yield written.replace("<str>", "TEXT").replace("<int range>", "N"), text


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def markdown() -> str:
    """docs/commands.md."""
    lines = ["# Commands", "", "Made by `make schemas` from the command line itself."]
    for name, command in commands().items():
        usage = " ".join(["reconcile", name, *arguments(command)])
        lines += ["", f"## {name}", "", f"`{usage}`", "", command.help or "", ""]
        lines += ["| flag | does |", "|---|---|"]
        lines += [
            f"| `{flag}` | {text} |".replace("mermaid|dot", "mermaid or dot") for flag, text in flags(command)
        ]
    lines += ["", "## Exit codes", "", "| code | means |", "|---|---|"]
    lines += [f"| {int(code)} | {text} |" for code, text in CODES.items()]
    return "\n".join(lines) + "\n"


def man_page() -> str:
    """reconcile.1, for man(7)."""
    lines = [
        '.TH RECONCILE 1 "" "reconcile" "User Commands"',
        ".SH NAME",
        r"reconcile \- keep a certificate, and everything that depends on it, right on a fleet of hosts",
        ".SH SYNOPSIS",
        r".B reconcile",
        r"COMMAND [ARGUMENTS] [FLAGS]",
        ".SH COMMANDS",
    ]
    for name, command in commands().items():
        lines += [".SS " + _roff(" ".join([name, *arguments(command)])), _roff(command.help or "")]
        for flag, text in flags(command):
            lines += [".TP", rf"\fB{_roff(flag)}\fR", _roff(text)]
    lines += [".SH EXIT STATUS"]
    for code, text in CODES.items():
        lines += [".TP", str(int(code)), _roff(text)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        "RECONCILE_STATE",
        _roff("The folder of the journal; ~/.local/state/reconcile otherwise."),
        ".TP",
        "NO_COLOR",
        "No colours.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{escaped}" if escaped[:1] in (".", "'") else escaped


def written() -> Iterable[tuple[str, str]]:
    """The files, by their path in the checkout."""
    yield "docs/commands.md", markdown()
    yield "docs/reconcile.1", man_page()


def main() -> None:
    """Writes them into the checkout named on the command line."""
    for name, text in written():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
