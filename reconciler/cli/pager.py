"""What is longer than a screen, in a pager; only on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

LESS: Mapping[str, str] = MappingProxyType({"LESS": "FRX"})
"""Ends at once where all fits on the screen, passes colours on, and leaves the text there (less(1))."""


def page(lines: Sequence[str]) -> bool:
    """Shows lines in the pager that `PAGER` names, or in `less`; False where there is none to use."""
    command = os.environ.get("PAGER", "less")
    if command.strip() in ("", "cat") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    with suppress(OSError):
        text = "".join(f"{line}\n" for line in lines)
        environ = {**LESS, **os.environ}
        with subprocess.Popen(
            ["sh", "-c", command], stdin=subprocess.PIPE, text=True, env=environ, errors=sys.stdout.errors
        ) as process:
            # Ctrl-C is for the pager, and not passed on as ignored (execve(2)).
            before = signal.signal(signal.SIGINT, lambda *_: None)
            try:
                process.communicate(text)
            finally:
                signal.signal(signal.SIGINT, before)
            return process.returncode not in (126, 127)  # there is no such program: sh(1)
    return False
