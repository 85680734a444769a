"""Which of the hosts that switch one after another hold up the others, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model import Action, Outcome, Plan, Ref, Resource, Seen

HALF_WAY = "half way since an earlier run"


@dataclass
class Rollout:
    """What a run goes by: the `resources`, what was `seen_first` of them, the `outcomes` so far, and what was
    `planned` and may be carried out by it."""

    resources: Mapping[Ref, Resource]
    seen_first: Mapping[Ref, Seen]
    outcomes: Mapping[Ref, Outcome]
    planned: Collection[Ref]

    def stopped_by(self, action: Action, waits: Collection[Ref], plan: Plan) -> Ref | None:
        """What stops a rollout before this action, which `waits` for these others: one before it was lost or
        left worse than this run has found it, or is half way and only another run may bring it on; or more
        failed than may, and no other host has proven the same: so it may not be the fault of those.

        One that was half way already, and cannot be brought on, counts as failed. It is passed over like one
        that is lost: it was away before this run, and no switch of another host makes it worse.

        Of the canaries none may have failed, and each that is looked at must be as desired.
        """
        open_now = {each.ref for each in plan.actions}
        worse: list[Ref] = []
        failed: list[Ref] = []
        for ref in (each for each in action.follows if each.kind == action.ref.kind):
            outcome = self.outcomes.get(ref)
            if outcome and outcome.result != "skipped":
                if outcome.result != "done":
                    failed.append(ref)
                    if not (outcome.put_back or outcome.as_found):
                        worse.append(ref)
            elif ref in open_now and ref not in waits and self._was_away(ref):
                (failed if ref in self.planned else worse).append(ref)
        resource, found = self.resources[action.ref], self.seen_first.get(action.ref)
        if len(failed) > resource.tolerates(found) and not self._is_proven(action.ref, open_now, plan):
            worse += failed
        left = open_now.difference(waits)
        worse += [ref for ref in resource.canaries(found) if ref in failed or ref in left]
        return next(iter(worse), None)

    def _is_proven(self, ref: Ref, open_now: Collection[Ref], plan: Plan) -> bool:
        """Whether one of those alike is as desired."""
        return any(
            (each.kind, each.name) == (ref.kind, ref.name)
            and each not in open_now
            and each not in plan.unknown
            and each.host not in plan.unreachable
            for each in self.resources
        )

    def stopped_at(self, action: Action, ref: Ref) -> str:
        """Where a rollout has stopped before this action, in words."""
        ended = self.outcomes.get(ref)
        is_canary = ref in self.resources[action.ref].canaries(self.seen_first.get(action.ref))
        how = HALF_WAY if self._was_away(ref) else "not switched"
        if ended and ended.result != "skipped":
            how = ended.result
        return f"the rollout has stopped at {'its canary, ' if is_canary else ''}{ref}, which is {how}"

    def judged(self, outcomes: Iterable[Outcome], seen: Mapping[Ref, Seen]) -> list[Outcome]:
        """The outcomes, where those that failed or were lost say whether the host is as this run found it."""
        return [replace(each, as_found=True) if self._is_as_found(each, seen) else each for each in outcomes]

    def _is_as_found(self, outcome: Outcome, seen: Mapping[Ref, Seen]) -> bool:
        # One that was lost may go on with its script, whatever is seen of it now.
        ended = outcome.result == "failed" and not outcome.put_back
        lost = outcome.result == "lost" and self._was_away(outcome.ref)
        return (ended or lost) and not self._is_worse(outcome.ref, seen)

    def _was_away(self, ref: Ref) -> bool:
        return self.resources[ref].is_away(self.seen_first.get(ref))

    def _is_worse(self, ref: Ref, seen: Mapping[Ref, Seen]) -> bool:
        return self.resources[ref].is_worse(self.seen_first.get(ref), seen.get(ref))
