"""The kind `clock`: a host's time is the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import Judged
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.clock import ClockQuestion
from reconciler.subjects import Subject

LIMIT = 120
"""Seconds that a host's clock may be off, beyond what a look takes."""

UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


@dataclass(frozen=True, kw_only=True)
class SystemClock(Judged):
    """A host's clock agrees with that of the machine that looks, within two minutes and the `seconds`
    that a look may take. With a wrong one, certbot and every client on the host judge certificates
    wrongly, so nothing is ordered there."""

    kind: ClassVar[str] = "clock"
    title: ClassVar[str] = "clock"
    subject: ClassVar[str] = Subject.PROGRAMS

    clock: str = "system"
    seconds: int = 30

    def ask(self) -> Mapping[str, Question]:
        return {"now": ClockQuestion()}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if isinstance(answers["now"], CannotSee):
            return answers["now"]
        # The host was asked before its reply came, so a right clock is behind by some of the look.
        off = answers["now"] - int(now.timestamp())
        right = -(LIMIT + self.seconds) <= off <= LIMIT
        return {"agrees": True if right else f"no: {_length(abs(off))} {'ahead' if off > 0 else 'behind'}"}

    def wanted(self) -> Mapping[str, Value]:
        return {"agrees": True}

    def advice(self, field: str, seen: str) -> str:
        return (
            f"set the clock of {self.host} (`timedatectl set-ntp true`, or `chronyc makestep`), unless it is"
            " this machine's that is wrong; until then certificates would be judged wrongly there"
        )


def _length(seconds: int) -> str:
    """To the nearest of a large unit: looks differ by seconds, and a clock that is off by a day, an hour or
    five minutes shall be the same fault in each."""
    name, size = next(each for each in UNITS if seconds >= 1.5 * each[1])
    return f"about {round(seconds / size)} {name}"
