"""Standard error: where problems and progress go, a line at a time, as text or as JSON.

Nobody who stops reading them ends a run: what cannot be written is dropped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from reconciler.clock import Clock

if TYPE_CHECKING:
    from reconciler.document import Document

Take = Callable[[str, bool], None]
"""Takes a line without control characters, and whether it says why a command ends."""


def write(text: str) -> None:
    """Writes text as it is; a closed or full stderr is no reason to end."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # What is left in its buffer would fail again when Python ends, with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


_takers: list[Take] = [lambda line, error: write(f"{line}\n")]
"""Whoever takes lines now is the last."""


def say(line: str, *, error: bool = False) -> None:
    """Reports on stderr; control characters are escaped, for a host may have sent them."""
    from reconciler.printable import printable

    _takers[-1](printable(line), error)


@contextmanager
def taken(by: Take) -> Iterator[None]:
    """Until its end, what is said goes there."""
    _takers.append(by)
    try:
        yield
    finally:
        _takers.remove(by)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether stderr is to be JSON. By the words, for what is said may be that they are wrong."""
    return "--log-format=json" in arguments or any(
        pair == ("--log-format", "json") for pair in pairwise(arguments)
    )


def write_json(document: Document) -> None:
    """Writes a document as one line of ASCII."""
    from reconciler.document import as_json
    from reconciler.printable import json_text

    write(f"{json_text(json.dumps(as_json(document)))}\n")


def as_messages(clock: Clock) -> Take:
    """Takes lines as messages of the log."""
    from reconciler.output.documents.log import message_document

    return lambda line, error: write_json(message_document(line, clock(), error=error))
