"""How a command ends: the exit codes, and the error that carries one."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """The exit codes of the contract."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    INCOMPLETE = 3
    FAILED = 4
    PARTIAL = 5
    STALE = 6
    LOCKED = 7
    NOT_APPROVED = 8
    USAGE = 64
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command with an exit code and these lines on stderr."""

    def __init__(self, code: Code, *lines: str) -> None:
        self.code, self.lines = code, lines
        super().__init__(*lines)
