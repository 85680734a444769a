"""Signals that cannot hit the wrong process.

A pid alone may be somebody else's by now. Pid and start time together name one process,
and a pidfd opened before the comparison keeps naming it until the signal is sent.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process for good: its pid, and its start in clock ticks since the machine's boot."""

    pid: int
    start: int

    def alive(self) -> bool:
        """Whether it runs. A zombie is over: nobody may ever collect it on a machine like CI's."""
        now = _stat(self.pid)
        return now is not None and now[1] == self.start and now[0] not in "ZX"

    def send(self, number: signal.Signals) -> bool:
        """Send a signal if it is still that very process; says whether it was sent."""
        with _held(self.pid) as handle:
            if handle is None or not self.alive():
                return False
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return False
            return True

    def wait(self, seconds: float) -> bool:
        """Wait until it is over; says whether it is, at the latest after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def children(self) -> list[Process]:
        """The processes whose parent it is."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                child = _stat(int(entry))
                if child is not None and child[2] == self.pid:
                    found.append(Process(int(entry), child[1]))
        return found


def recorded(path: Path) -> Process | None:
    """The process written into a file as "PID START", or None without a readable record."""
    try:
        pid, start = path.read_text(encoding="ascii").split()
        return Process(int(pid), int(start))
    except (OSError, ValueError):
        return None


def running(pid: int) -> Process | None:
    """The process that has this pid now, or None."""
    now = _stat(pid)
    return None if now is None or now[0] in "ZX" else Process(pid, now[1])


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State letter, start time and parent of a process, or None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold blanks itself.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19]), int(fields[1])


@contextmanager
def _held(pid: int) -> Iterator[int | None]:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)
