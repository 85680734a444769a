"""What the page tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.model import Plan
from reconciler.tls.status import ServiceStatus, urgency
from reconciler.tls.verify import Check


@dataclass(frozen=True)
class Event:
    """Something that happened: a run, drift that began or ended, a renewal."""

    at: datetime
    what: str
    detail: str
    result: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that goes into the page; `when` is the moment it tells of, and counts days from.

    `source` names the saved observation it was made from, if it was; `checks` is None where
    nothing was asked from outside; `overdue` is the fraction of a lifetime below which a
    renewal is overdue.
    """

    environment: str
    router: str
    when: datetime
    plan: Plan
    served: Sequence[ServiceStatus] = ()
    checks: Sequence[Check] | None = None
    events: Sequence[Event] = ()
    warnings: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    overdue: float = 0.25

    @property
    def first_end(self) -> ServiceStatus | None:
        """The service whose certificate ends first."""
        dated = [each for each in self.served if each.end]
        return min(dated, key=lambda each: each.end or self.when, default=None)

    def left(self, each: ServiceStatus) -> timedelta:
        """How long a certificate is still valid; below zero where it is over."""
        return (each.end or self.when) - self.when

    def fraction(self, each: ServiceStatus) -> float:
        """The part of its lifetime that is left, between 0 and 1."""
        if each.begin is None or each.end is None or each.end <= each.begin:
            return 0.0
        return max(0.0, min(1.0, self.left(each) / (each.end - each.begin)))

    def tone(self, each: ServiceStatus) -> str:
        """How bad that is: see `urgency`."""
        return urgency(self.fraction(each), self.overdue)
