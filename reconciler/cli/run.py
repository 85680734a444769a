"""How a command line ends: its exit code, and what is said of a mistake. Never a traceback."""

from __future__ import annotations

import sys

import typer

from reconciler.cli.app import app
from reconciler.cli.session import Code, CommandError
from reconciler.output.text import printable


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; never a traceback for a mistake."""
    code = _ended(arguments)
    if code == Code.INTERRUPTED:
        print("interrupted; a host that is at a step finishes it, and begins no other", file=sys.stderr)
    return code


def _ended(arguments: list[str]) -> int:
    try:
        return int(app(arguments, prog_name="reconcile", standalone_mode=False) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):  # or typer has made 130 of it by itself
        return Code.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Code.ERROR
    except CommandError as stop:
        for line in stop.lines:  # some of it is what a host has said
            print(printable(line), file=sys.stderr)
        return stop.code
    except Exception as error:  # noqa: BLE001 - only click's own are taken, all others go on
        return _usage(error)


def _usage(error: Exception) -> int:
    """Usage errors are click's, and end with 64: 2 means "changes pending" here."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show is None or code is None:
        raise error
    show()
    return Code.USAGE if code == 2 else int(code)
