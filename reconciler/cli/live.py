"""Lines on a terminal that change in place, below those that stay. The door to rich."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import IO, cast

from rich.console import Console, Group, OverflowMethod
from rich.live import Live
from rich.text import Text

from reconciler.cli.stderr import write


class _Terminal(Console):
    """The terminal that is stderr. Its cursor is never hidden, for nobody would show it again where we are
    killed."""

    def show_cursor(self, show: bool = True) -> bool:
        """Leaves the cursor as it is."""
        return False


class LiveLines:
    """`lines(height)` are drawn again four times a second, from `start` to `stop`.

    They are asked for while rich holds its lock: whoever holds a lock that `lines` takes must not print.
    """

    def __init__(self, lines: Callable[[int], Iterable[str]], *, colour: bool) -> None:
        self._lines = lines
        self._console = _Terminal(
            file=cast(IO[str], _Stderr()), force_terminal=True, color_system="standard" if colour else None,
            highlight=False, markup=False, emoji=False, soft_wrap=False, legacy_windows=False,
        )  # fmt: skip
        self._live: Live | None = None

    def start(self) -> None:
        """Begins to draw, if it has not."""
        if self._live is None:
            self._live = Live(
                get_renderable=self._drawn, console=self._console, transient=True,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start(refresh=True)

    def stop(self) -> None:
        """Takes the lines away, if they are there."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def print(self, line: str) -> None:
        """Prints a line that stays, above those that change; a long one is wrapped by the terminal."""
        self._console.print(Text.from_ansi(_encodable(line)), soft_wrap=True)

    def refresh(self) -> None:
        """Draws at once."""
        if self._live is not None:
            self._live.refresh()

    def _drawn(self) -> Group:
        lines = map(_encodable, self._lines(self._console.size.height))
        return Group(*(Text.from_ansi(line, no_wrap=True, overflow=_overflow()) for line in lines))


class _Stderr:
    """Stderr for rich: what cannot be written is dropped."""

    encoding = property(lambda self: sys.stderr.encoding)

    def write(self, text: str) -> int:
        """Writes it, or drops it."""
        write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def _encodable(line: str) -> str:
    """The line as it will come out: its width is known only then."""
    encoding = sys.stderr.encoding or "ascii"
    return line.encode(encoding, sys.stderr.errors or "backslashreplace").decode(encoding)


def _overflow() -> OverflowMethod:
    return "ellipsis" if _encodable("\N{HORIZONTAL ELLIPSIS}") == "\N{HORIZONTAL ELLIPSIS}" else "crop"
