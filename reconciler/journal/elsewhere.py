"""Runs that were made elsewhere, as the hosts tell of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.journal.lines import RunLine

ALIKE = ("who", "number", "command", "commit", "dirty", "file", "plan", "approvers")
"""What the beginning of a run says alike on every host."""


@dataclass(frozen=True)
class ToldLine:
    """A line of a run, and what is known of it here. `host` has told it; `signer` is who signed it, by the
    allowed signers of the look that brought it; "" where nobody known has."""

    host: str
    line: RunLine
    signer: str = ""


@dataclass(frozen=True, kw_only=True)
class RunElsewhere:
    """A run of another machine. All of it is what hosts say, each of the part that it saw.

    `number` is the one that it has where it was made. `actions` are by host, `VERB KIND NAME`, with how many
    `more` there were. `ended` and `code` are None while no host has told of its end. `signed_by` is empty
    unless all that is told of it was signed by one known signer. `disputed`: hosts tell it differently.
    """

    run: str
    environment: str
    began: datetime
    who: str
    number: int
    command: str
    commit: str
    dirty: bool
    file: str
    plan: str
    approvers: tuple[str, ...]
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: int = 0
    ended: datetime | None = None
    code: int | None = None
    signed_by: str = ""
    disputed: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that have told of it."""
        return tuple(self.actions)

    @property
    def count(self) -> int:
        """How many actions it had, on the hosts that have told of it."""
        return sum(map(len, self.actions.values())) + self.more

    @property
    def machine(self) -> str:
        """Who made it and where, without the process."""
        return self.who.partition(" (")[0]


def runs_from(told: Iterable[ToldLine]) -> list[RunElsewhere]:
    """The runs that these lines tell of, oldest first. Without its beginning too little is known."""
    by_run: dict[tuple[str, str], list[ToldLine]] = {}
    for each in told:
        by_run.setdefault((str(each.line.body["environment"]), each.line.run), []).append(each)
    found = [_run(lines) for lines in by_run.values() if any(_is(each, "begin") for each in lines)]
    return sorted(found, key=lambda each: each.began)  # of one moment, as they were told


def _is(told: ToldLine, what: str) -> bool:
    return bool(told.line.body["what"] == what)


def _run(told: list[ToldLine]) -> RunElsewhere:
    begins = {each.host: each.line.body for each in told if _is(each, "begin")}
    ends = [each.line.body for each in told if _is(each, "end")]
    body = min(begins.values(), key=_at)
    signers = {each.signer for each in told}
    return RunElsewhere(
        run=str(body["run"]),
        environment=str(body["environment"]),
        began=_at(body),
        who=body["who"],
        number=body["number"],
        command=body["command"],
        commit=body["commit"],
        dirty=body["dirty"],
        file=body["file"],
        plan=body["plan"],
        approvers=tuple(body["approvers"]),
        actions={host: tuple(each["actions"]) for host, each in sorted(begins.items())},
        more=sum(each["more"] for each in begins.values()),
        ended=max(map(_at, ends), default=None),
        code=ends[0]["code"] if ends else None,
        signed_by=signers.pop() if len(signers) == 1 else "",
        disputed=any(each[name] != body[name] for each in begins.values() for name in ALIKE)
        or len({each["code"] for each in ends}) > 1,
    )


def _at(body: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(body["at"])
