"""The question what a command of the YAML's says: it is run only where an apply has run it before.

Whoever may change the YAML could otherwise run anything as root wherever a plan is looked at, before
anybody has approved it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model import Step, quote
from reconciler.questions.system import CommandQuestion

RECORD = "/var/lib/reconciler/approved-commands"
"""The file on a host, root's, with the SHA-256 of every command of the YAML's that an apply has run there."""

NOT_APPROVED = 256
"""The status of a command that was not run, as its sum is not in the record: no process ends so."""


def _sum(command: str) -> str:
    return hashlib.sha256(command.encode()).hexdigest()


@dataclass(frozen=True)
class ApprovedCommandQuestion(CommandQuestion):
    """Runs a command that the YAML names, as `CommandQuestion` does, if the host's record has its sum;
    else nothing is run, and the status is `NOT_APPROVED`."""

    def run(self) -> str:
        return (
            f"if grep -qsxF {_sum(self.command)} {RECORD}; then {super().run()}; else o= s={NOT_APPROVED}; fi"
        )


def approve(command: str) -> Iterable[Step]:
    """Writes a command into the record: whoever approves the plan approves it."""
    yield Step(
        f"umask 022; mkdir -p {RECORD.rpartition('/')[0]} && echo {_sum(command)} >>{RECORD}",
        f"records that looks may run {quote(command)} here from now on",
    )
