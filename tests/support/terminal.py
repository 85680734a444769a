"""A terminal with a program on it: what stands on its screen is read as whoever sits there sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyte

from tests import ROOT

CLEAN = ("TERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PAGER", "LESS", "PYTHONIOENCODING")


class Terminal:
    """Starts a command with stdin, stdout and stderr on a new terminal of this size; `channels` are those of
    them that are something else. Use it as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        columns: int = 80,
        rows: int = 24,
        folder: Path = ROOT,
        **channels: Any,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.001)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        given = {name: value for name, value in os.environ.items() if name not in CLEAN}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**given, "TERM": "xterm-256color", "PAGER": "cat", **environ},
            **{"stdin": theirs, "stdout": theirs, "stderr": theirs, **channels},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - it does nothing else
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for each in (self.process.stdout, self.process.stderr):
            if each is not None:
                each.close()
        os.close(self._ours)

    def read(self, seconds: float) -> bool:
        """Takes what comes within that time; False where the program has closed the terminal."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self._ours, 1 << 16)
        except OSError:  # Linux's way to say that nobody has it open
            return False
        self.raw += part
        self._stream.feed(part)
        return bool(part)

    def until(self, *texts: str, seconds: float = 30) -> list[str]:
        """Waits until all of this stands on the screen at once; returns the screen's lines."""
        deadline = time.monotonic() + seconds
        while not all(any(text in line for line in self.lines()) for text in texts):
            assert time.monotonic() < deadline, f"{texts} within {seconds} s:\n" + "\n".join(self.all_lines())
            assert self.read(0.1), f"it ended without {texts}:\n" + "\n".join(self.all_lines())
        return self.lines()

    def type(self, text: str) -> None:
        """Types this; "\\x03" is Ctrl-C."""
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C, for the whole group of the terminal, as the terminal itself does it."""
        self.type("\x03")

    def end(self, seconds: float = 30) -> int:
        """Waits for the program's end, and returns its exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.1) and self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.send_signal(signal.SIGABRT)
                raise AssertionError(f"it did not end within {seconds} s:\n" + "\n".join(self.all_lines()))
        code = self.process.wait(max(deadline - time.monotonic(), 1))
        while select.select([self._ours], [], [], 0.1)[0] and self.read(0):
            pass
        return code

    def lines(self) -> list[str]:
        """What stands on the screen now, without the empty lines at its end."""
        return _tidy([line.rstrip() for line in self.screen.display])

    def all_lines(self) -> list[str]:
        """The same, with what has been scrolled away."""
        width = self.screen.columns
        above = ["".join(row[at].data for at in range(width)).rstrip() for row in self.screen.history.top]
        return _tidy([*above, *(line.rstrip() for line in self.screen.display)])

    def colours(self, text: str) -> set[str]:
        """The colours in which this text stands on the screen."""
        for number, line in enumerate(self.screen.display):
            if (at := line.find(text)) >= 0:
                return {self.screen.buffer[number][at + each].fg for each in range(len(text))}
        raise AssertionError(f"{text!r} is not on the screen:\n" + "\n".join(self.lines()))


def _tidy(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines
