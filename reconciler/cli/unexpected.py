"""What no command expects: a fault of this machine that nobody caught, or a bug of ours."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from reconciler import __version__
from reconciler.cli.exit import Code
from reconciler.cli.stderr import say

ISSUES = "https://github.com/DataONEorg/reconcile/issues"


def report(error: Exception, arguments: Sequence[str]) -> Code:
    """Reports an error that no command has handled on stderr, and returns the exit code: `LOCAL` for what
    the system refuses (a full disk, a program that is missing), `BUG` for all else."""
    from reconciler.printable import printable

    if isinstance(error, OSError) and error.errno is not None:
        about = f"{error.filename}: " if error.filename else ""
        _say(printable(f"this machine: {about}{error.strerror}"))
        if _wants_traceback(arguments):
            _say(_traceback(error).rstrip())
        return Code.LOCAL
    _say(printable(f"internal error: {type(error).__name__}: {error}"))
    _say("This is a bug in reconcile, not a mistake of yours; see what was done with `reconcile plan`.")
    text = f"reconcile {__version__}, Python {sys.version.split()[0]}\n\n{_traceback(error)}"
    if _wants_traceback(arguments):
        _say(text.rstrip())
        _say(f"Please send the lines above, and the command, to {ISSUES}")
    elif file := _saved(text):
        _say(f"Please send {file}, and the command, to {ISSUES}")
    else:
        _say(f"Please run it again with -vv, and send what it prints, and the command, to {ISSUES}")
    _say("Read it first: a message may quote the environment file.")
    return Code.BUG


def _wants_traceback(arguments: Sequence[str]) -> bool:
    """Whether -v is given twice. By the words, for the error may be of reading them."""
    short = (len(each) - 1 for each in arguments if re.fullmatch(r"-v+", each))
    return sum(short) + list(arguments).count("--verbose") >= 2


def _traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _saved(text: str) -> str | None:
    """A file with it that nobody else may read, beside the journal: a unit's own /tmp ends with it
    (systemd.exec(5), PrivateTmp=). None where there can be none."""
    import tempfile
    from contextlib import suppress

    from reconciler.journal.place import folder

    for place in (folder(), None):
        with suppress(OSError):
            number, path = tempfile.mkstemp(".txt", "reconcile-bug-", place)
            with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return path
    return None


def _say(text: str) -> None:
    for line in text.split("\n"):
        say(line, error=True)
