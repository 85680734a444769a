"""The lab's one error, and the one way in which it runs a program on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


class LabError(Exception):
    """Something the lab needs is missing or did not happen; the text is one line for a person."""


def say(line: str) -> None:
    """Print one line of progress on standard error."""
    print(f"lab: {line}", file=sys.stderr, flush=True)


def command(*args: str, stdin: str | None = None, seconds: float = 60) -> str:
    """Run a program and return what it printed on standard output.

    Raises LabError with the last line of its standard error when it fails,
    is missing, or takes longer than `seconds`.
    """
    done = attempt(*args, stdin=stdin, seconds=seconds)
    if done.returncode != 0:
        raise LabError(f"{' '.join(args)}: {last_line(done.stderr) or f'exit {done.returncode}'}")
    return done.stdout


def attempt(*args: str, stdin: str | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program that is allowed to fail; LabError only when it is missing or too slow."""
    try:
        return subprocess.run(
            args,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise LabError(f"{args[0]}: no such program on this machine") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(args)}: no end after {seconds:g} s") from None


def last_line(text: str) -> str:
    """The last line of a text that is not blank, or nothing."""
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
