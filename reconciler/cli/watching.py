"""Who watches a look or an apply: lines that change on a terminal, text elsewhere, JSON, or nobody."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.cli.options import Options
from reconciler.cli.stderr import taken, write, write_json
from reconciler.cli.workplace import Workplace, wants_colour

if TYPE_CHECKING:
    from reconciler.fleet.events import Event, Listen


@contextmanager
def watching(options: Options, workplace: Workplace) -> Iterator[Listen]:
    """Listens for as long as the hosts of a command are asked."""
    if options.quiet:
        from reconciler.fleet.events import ignore

        yield ignore
    elif options.log_format == "json":
        from reconciler.output.documents.log import event_document

        yield lambda event: write_json(event_document(event, workplace.clock()))
    elif draws(os.environ):
        live = _Live(options)
        with taken(live.take):
            try:
                yield live.hear
            finally:
                live.stop()
    else:
        yield _Plain(options).hear


def patience() -> float:
    """After how many seconds it is told who is still waited for: soon where somebody sits there, and late
    where cron would mail it of a host that is merely slow."""
    return 2.0 if sys.stderr.isatty() else 30.0


def draws(environ: Mapping[str, str]) -> bool:
    """Whether stderr is a terminal on which lines can change in place. Where stdout is a pipe, whoever reads
    it may be drawing on the same terminal, as a pager does."""
    if not sys.stderr.isatty() or environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


class _Plain:
    """Lines of text, one after another."""

    def __init__(self, options: Options) -> None:
        from reconciler.output.progress import ProgressLines
        from reconciler.output.text import Style

        self._guard = threading.Lock()
        self._text = ProgressLines(Style(colour=False), options.verbose)

    def hear(self, event: Event) -> None:
        with self._guard:
            for line in self._text.lines(event):
                write(f"{line}\n")


class _Live:
    """A line for each host that changes in place, and above them lines that stay."""

    def __init__(self, options: Options) -> None:
        from reconciler.cli.live import LiveLines
        from reconciler.output.progress import ProgressLines
        from reconciler.output.screen import HostsScreen
        from reconciler.output.text import Style

        style = Style(not options.no_color and wants_colour(os.environ, is_terminal=True))
        self._guard = threading.Lock()
        self._text = ProgressLines(style, options.verbose, live=True)
        self._screen = HostsScreen(style)
        self._lines = LiveLines(self._drawn, colour=style.has_colour)

    def hear(self, event: Event) -> None:
        from reconciler.fleet.events import ApplyBegan, ApplyEnded, LookBegan, LookEnded

        # What is drawn asks for the guard while rich holds its lock, so that nothing is printed under it.
        with self._guard:
            self._screen.hear(event, time.monotonic())
            lines, is_shown = list(self._text.lines(event)), self._screen.is_shown
        for line in lines:
            self._lines.print(line)
        # Only the thread that began may draw or stop: these come from it.
        if isinstance(event, LookBegan | ApplyBegan):
            self._lines.start()
        elif isinstance(event, LookEnded | ApplyEnded) and not is_shown:
            self._lines.stop()

    def take(self, line: str, error: bool) -> None:
        self._lines.print(line)

    def stop(self) -> None:
        self._lines.stop()

    def _drawn(self, height: int) -> list[str]:
        with self._guard:
            return list(self._screen.lines(time.monotonic(), height))
