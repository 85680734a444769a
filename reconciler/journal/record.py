"""What a run writes into the journal while it acts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.journal.journal import Journal
from reconciler.model import Action, Outcome, Ref


class RunRecord:
    """A run that is being recorded: the `Record` that `fleet.apply` writes to."""

    def __init__(self, journal: Journal, number: int, environment: str) -> None:
        self._journal, self.number, self._environment = journal, number, environment

    def record_intent(self, actions: Iterable[Action]) -> None:
        """Before a round: nothing is begun that is not in the journal. Raises `NoJournal`."""
        self._journal.append(
            self.number, self._environment, "intent", {"actions": [_intended(each) for each in actions]}
        )

    def record_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """After a round. Raises `NoJournal`."""
        body = [{**_named(each.ref), "result": each.result, "detail": each.detail} for each in outcomes]
        self._journal.append(self.number, self._environment, "outcome", {"outcomes": body})


def _named(ref: Ref) -> dict[str, str]:
    return {"host": ref.host, "kind": ref.kind, "name": ref.name}


def _intended(action: Action) -> dict[str, Any]:
    deltas = [{"field": d.field, "seen": d.seen, "want": d.want} for d in action.deltas]
    return {
        **_named(action.ref),
        "verb": action.verb,
        "deltas": deltas,
        "steps": [step.command for step in action.steps],
    }
