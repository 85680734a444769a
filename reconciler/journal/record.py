"""What a run writes into the journal while it acts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from reconciler.journal.journal import Journal
from reconciler.journal.leaving import LinesOfRun
from reconciler.kinds.certificate.serving import OVERDUE, Serving
from reconciler.model import Action, Observation, Outcome, Ref, Resource
from reconciler.refs import flat


class RunRecord:
    """A run that is being recorded: the `Record` that `fleet.apply` writes to."""

    def __init__(
        self, journal: Journal, number: int, environment: str, lines: LinesOfRun | None = None
    ) -> None:
        self._journal, self.number, self._environment, self._lines = journal, number, environment, lines

    def record_lock(
        self,
        hosts: Collection[str],
        seen: Observation,
        resources: Collection[Resource],
        max_unavailable: int,
    ) -> None:
        """After the hosts are locked and were looked at again: which they are, which were lost, and what a
        rollout begins with. Raises `NoJournal`."""
        body = {
            "hosts": sorted(hosts),
            "lost": dict(seen.unreachable),
            "rollout": _rollout(resources, seen, max_unavailable),
            "beside": sorted({each.name for each in _switches(resources) if each.store.name}),
        }
        self._journal.append(self.number, self._environment, "locked", body)

    def record_intent(
        self,
        actions: Iterable[Action],
        passed: Mapping[Ref, str] = MappingProxyType({}),
        unseen: Collection[Ref] = (),
    ) -> None:
        """Before a round: nothing is begun that is not in the journal. `passed` are those whose turn is
        before, and why they are not waited for; of these, `unseen` cannot be looked at. Raises
        `NoJournal`."""
        body = {
            "actions": [_intended(each) for each in actions],
            "passed": [{**_named(ref), "why": why, "unseen": ref in unseen} for ref, why in passed.items()],
        }
        self._journal.append(self.number, self._environment, "intent", body)

    def opening(self, host: str) -> str:
        """Shell that leaves a line of this run on a host before it first acts there."""
        return self._lines.opening(host) if self._lines else ""

    def record_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """After a round. Raises `NoJournal`."""
        body = [
            {
                **_named(each.ref),
                "result": each.result,
                "detail": each.detail,
                "put_back": each.put_back,
                "as_found": each.as_found,
            }
            for each in outcomes
        ]
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
        "rescue": [step.command for step in action.rescue],
    }


def _switches(resources: Iterable[Resource]) -> list[Serving]:
    return [each for each in resources if isinstance(each, Serving)]


def _rollout(
    resources: Iterable[Resource], observation: Observation, max_unavailable: int
) -> dict[str, Any] | None:
    """Of the environment's own certificate: whose turn is before whose, which are canaries, how many may be
    away and may fail, and what was in use and proven."""
    found = [each for each in _switches(resources) if not each.store.name]
    if not found:
        return None
    seen: dict[str, Any] = {}
    overdue: list[str] = []
    for each in found:
        state = None if each.host in observation.unreachable else observation.seen.get(each.ref)
        if isinstance(state, Mapping) and {"current", "proven"} <= state.keys():
            seen[each.host] = {name: state[name] for name in ("current", "proven")}
            overdue += [each.host] if state.get(OVERDUE) is True else []
        else:
            seen[each.host] = None
    hosts = {each.host for each in found}
    before = {
        each.host: sorted({ref.host for ref in flat(each.follows) if ref.kind == Serving.kind} & hosts)
        for each in found
    }
    return {
        "before": before,
        "max_unavailable": max_unavailable,
        "max_failed": max(each.max_failed for each in found),
        "canaries": sorted({ref.host for each in found for ref in each.tried_first} & hosts),
        "overdue": sorted(overdue),
        "seen": seen,
    }
