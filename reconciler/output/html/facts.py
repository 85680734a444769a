"""What the page tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from reconciler.model import Action, Plan, Ref
from reconciler.monitor import severity
from reconciler.monitor.findings import Finding
from reconciler.monitor.status import EnvironmentStatus
from reconciler.refs import short_names
from reconciler.tls.status import ServiceStatus, urgency
from reconciler.tls.verify import Check


@dataclass(frozen=True)
class Event:
    """Something that happened: a run, drift that began or ended, a renewal. `idle`: it changed nothing."""

    at: datetime
    what: str
    detail: str
    result: str
    idle: bool = False


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What holds of a page whatever it is about.

    made     the moment it tells of, and counts from
    max_age  from this age on, it says nothing of today
    refresh  after how long a browser loads it again; None: never
    again    the command that makes it anew
    """

    made: datetime
    max_age: timedelta = timedelta(hours=24)
    refresh: timedelta | None = None
    again: str = "reconcile report"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that goes into the page of one environment.

    `status` is what `status` would say right after this look; `issued` whether there is a certificate
    (see `tls.verify.is_issued`); `source` names the saved observation it was made from, if it was;
    `checks` is None where nothing was asked from outside; `since` says by a finding's id since when it is
    so; `overview` is the page of all environments, if there is one.
    """

    frame: Frame
    status: EnvironmentStatus
    plan: Plan
    issued: bool | None = None
    served: Sequence[ServiceStatus] = ()
    checks: Sequence[Check] | None = None
    findings: Sequence[Finding] = ()
    since: Mapping[str, datetime] = field(default_factory=dict)
    events: Sequence[Event] = ()
    warnings: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    overview: str | None = None

    @property
    def when(self) -> datetime:
        """The moment it tells of."""
        return self.frame.made

    @cached_property
    def acknowledged(self) -> dict[Ref, str]:
        """What is accepted as it is: by whom, why and until when."""
        return {
            Ref(each.host, each.kind, each.name): each.acknowledged
            for each in self.findings
            if each.acknowledged
        }

    @cached_property
    def waiting(self) -> list[Action]:
        """The actions of the plan that nobody has acknowledged."""
        known = self.acknowledged
        return [each for each in self.plan.actions if each.ref not in known]

    @cached_property
    def short(self) -> Mapping[str, str]:
        """The hosts' short names, where no two have the same."""
        return short_names(self.plan.hosts)

    def judged(self, each: Check) -> tuple[str, str]:
        """How bad the result of a check is, and in words."""
        return severity.of_check(each, self.issued, self.plan.unreachable)

    def left(self, each: ServiceStatus) -> timedelta:
        """How long a certificate is still valid; below zero where it is over."""
        return (each.end or self.when) - self.when

    def fraction(self, each: ServiceStatus) -> float:
        """The part of its lifetime that is left, between 0 and 1."""
        if each.begin is None or each.end is None or each.end <= each.begin:
            return 0.0
        return max(0.0, min(1.0, self.left(each) / (each.end - each.begin)))

    def tone(self, each: ServiceStatus) -> str:
        """How bad that is: see `urgency`; neutral for a certificate that is not the environment's."""
        return urgency(self.fraction(each), self.status.overdue) if each.own else "note"
