"""What a run writes into the journal while it acts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
        at_once: Mapping[str, int],
    ) -> None:
        """After the hosts are locked and were looked at again: which they are, which were lost, and what the
        rollout of each certificate begins with; `at_once` has how many hosts may be away from what was proven
        by it, by the name of its `serving`. Raises `NoJournal`."""
        rollouts: dict[str, dict[str, Any]] = {}
        own = None
        for name, found in _switches(resources).items():
            rollout = _rollout(found, seen, at_once[name])
            if found[0].store.name:
                rollouts[name] = rollout
            else:
                own = rollout
        body = {
            "hosts": sorted(hosts),
            "lost": dict(seen.unreachable),
            "rollout": own,
            "beside": rollouts,
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


def _switches(resources: Iterable[Resource]) -> dict[str, list[Serving]]:
    """What switches the hosts of each certificate, by its name."""
    found: dict[str, list[Serving]] = {}
    for each in resources:
        if isinstance(each, Serving):
            found.setdefault(each.name, []).append(each)
    return found


def _rollout(found: Sequence[Serving], observation: Observation, max_unavailable: int) -> dict[str, Any]:
    """Of one certificate: whose turn is before whose, which are canaries, how many may be away and may fail,
    and what was in use and proven."""
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
