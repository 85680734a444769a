"""How a command ends: the exit codes and their meanings, and the error that carries one."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType


class Code(enum.IntEnum):
    """The exit codes of the contract."""

    OK = 0
    BUG = 1
    CHANGES = 2
    INCOMPLETE = 3
    FAILED = 4
    PARTIAL = 5
    STALE = 6
    LOCKED = 7
    NOT_APPROVED = 8
    USAGE = 64
    LOCAL = 71  # EX_OSERR of sysexits.h(3head), as 64 is its EX_USAGE
    INTERRUPTED = 130


MEANINGS: Mapping[Code, str] = MappingProxyType(
    {
        Code.OK: "success; in sync; `plan` printed, even if changes are pending",
        Code.BUG: "a bug in reconcile, and nothing else: it says where the traceback is",
        Code.CHANGES: (
            "changes pending (`plan --detailed-exitcode`, `apply --auto`); drift;"
            " `verify` or `doctor` found any; a rule of `forecast` bites"
        ),
        Code.INCOMPLETE: (
            "incomplete: a host or a resource could not be looked at, or `doctor` or `forecast` cannot tell"
        ),
        Code.FAILED: "apply failed; every host is as before or as desired",
        Code.PARTIAL: "apply failed; a host is neither as before nor as desired, and is named",
        Code.STALE: "the plan is stale, or has expired",
        Code.LOCKED: "locked by somebody else",
        Code.NOT_APPROVED: "not approved",
        Code.USAGE: "usage error, or an invalid environment file",
        Code.LOCAL: (
            "this machine stands in the way: no journal, or one that cannot be used; a path that cannot be"
            " written; a key or a program that is missing; a closed pipe"
        ),
        Code.INTERRUPTED: "interrupted",
    }
)
"""Each code and what it means; the help, the man page and the reference are made of it."""


UNCHANGED = "interrupted; no host was changed"
"""What is said of Ctrl-C where a command does not act on hosts, or has not begun to."""


def worst(codes: Iterable[Code]) -> Code:
    """The code for several environments: the largest, but a fault of this machine hides no verdict."""
    return max(codes, key=lambda code: 1 if code == Code.LOCAL else int(code) * 2)


class CommandError(Exception):
    """Ends a command with an exit code and these lines on stderr."""

    def __init__(self, code: Code, *lines: str) -> None:
        self.code, self.lines = code, lines
        super().__init__(*lines)
