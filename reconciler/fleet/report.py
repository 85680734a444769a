"""How an apply ended."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import Outcome, Plan, Ref


@dataclass(frozen=True)
class Report:
    """How an apply ended: what became of each action, and what is left."""

    outcomes: tuple[Outcome, ...]
    left: Plan
    partial: tuple[Ref, ...] = ()
    """Resources that are neither as before nor as desired, or whose state is not known."""
    needless: tuple[Ref, ...] = ()
    """How many approved actions were settled by the time their turn came."""
