"""Apply is plan in a loop: act on what is ready, look again, plan again, until nothing
that was approved is left to do.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from reconciler.approval.binding import Stale, disallowed_refs
from reconciler.fleet import script
from reconciler.fleet.concern import Concern
from reconciler.fleet.events import ActionWaits, ApplyBegan, ApplyEnded, HostSwitched, RoundBegan
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.following import Following
from reconciler.fleet.reply import HostError
from reconciler.fleet.report import Report
from reconciler.fleet.rollout import Rollout
from reconciler.messages import Message
from reconciler.model import Action, CannotSee, Outcome, Plan, Ref
from reconciler.plan.judgement import bound
from reconciler.plan.order import edges
from reconciler.plan.prospects import waits_for
from reconciler.unknowns import matches

UNCLEAR = "what it needs is not known"
"""Why an action is skipped that waits for nothing in particular."""

Batches = Mapping[str, list[Action]]
"""Per host, the actions of a round, in order."""
Waits = Mapping[Ref, tuple[Ref, ...]]
"""Per action, all that it waits for."""


class Record(Protocol):
    """Where it is written down what is about to be done, and what became of it."""

    def record_intent(
        self, actions: Iterable[Action], passed: Mapping[Ref, str], unseen: Collection[Ref]
    ) -> None:
        """Before a round; nothing is done where this fails. `passed` are those whose turn in a rollout is
        before, and why they are not waited for; of these, `unseen` cannot be looked at."""

    def opening(self, host: str) -> str:
        """Shell that a host runs before it acts, and that never fails; "" where there is none."""

    def record_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """After a round."""


def apply(
    fleet: Fleet,
    approved: Plan,
    record: Record | None = None,
    waiting: Collection[Ref] = (),
    *,
    minute: float = 60,
) -> Report:
    """Carries out the approved plan in rounds, and nothing else.

    `waiting` are actions that are known and not approved: they are left alone. `minute` is how
    many seconds a minute of a step lasts. The fleet must have been looked at, and locked.

    Raises `Stale` where the hosts ask for something that was not approved, `Cycle` where
    resources wait for each other, and whatever `record` raises.
    """
    return _Rounds(fleet, approved, record, frozenset(waiting), minute).run()


class _Rounds:
    """One apply: rounds of what is ready, until nothing is."""

    def __init__(
        self,
        fleet: Fleet,
        approved: Plan,
        record: Record | None,
        waiting: frozenset[Ref],
        minute: float,
    ) -> None:
        self.fleet = fleet
        self.approved = approved
        self.record = record
        self.waiting = waiting
        self.minute = minute
        self.seen_first = dict(fleet.sight.seen)
        self.open_first: set[Ref] = set()
        self.before = edges(fleet.resources.values(), fleet.sight.seen)
        self.news: set[Ref] = set()
        # Hosts that were looked at since the last round began: no other is acted on.
        self.up_to_date = set(fleet.hosts)
        # Hosts that were only asked for a part since all of them was looked at.
        self.in_part: set[str] = set()
        self.ours: dict[Ref, str] = {}
        self.outcomes: dict[Ref, Outcome] = {}
        self.attempted: set[Ref] = set()
        self.planned = {action.ref: action for action in approved.actions}
        self.concern = Concern(self.planned, self.before, fleet.resources)
        self.seers = self.concern.seers(self.planned)
        self.rollout = Rollout(
            fleet.resources, self.seen_first, self.outcomes, self.planned.keys() - self.waiting
        )
        self.rounds = 0
        self.waits: dict[Ref, str] = {}

    def run(self) -> Report:
        """Until nothing is ready; what happens is told to whoever listens to the fleet."""
        began = time.monotonic()
        self.fleet.listen(ApplyBegan(len(self.planned)))
        try:
            return self._run()
        finally:
            self.fleet.listen(ApplyEnded(time.monotonic() - began))

    def _run(self) -> Report:
        plan = self.fleet.plan()
        self.open_first = {action.ref for action in plan.actions}
        while True:
            self._check_done(plan)
            refused = disallowed_refs(self.approved, plan, self.waiting | self.outcomes.keys())
            self.ours = {ref: reason for ref, reason in refused.items() if self._follows_from_ours(ref)}
            if theirs := [f"{ref}: {reason}" for ref, reason in refused.items() if ref not in self.ours]:
                raise Stale(theirs, self._report(plan) if self.attempted else None)
            waits = waits_for(plan, self._given_up(plan))
            if batches := self._ready(plan, waits):
                if out_of_date := set(batches) - self.up_to_date:
                    self._look(out_of_date)
                else:
                    self._tell_waits(plan, batches, waits)
                    self._round(batches, self._passed_over(plan, batches, waits), plan)
            elif not self.fleet.look_again() and not self._look_elsewhere():
                return self._report(plan)
            plan = self.fleet.plan()

    def _follows_from_ours(self, ref: Ref) -> bool:
        """Whether something comes after what this run has done, directly or by way of others, so that
        its being otherwise is no sign of somebody else."""
        open_refs, known = {ref}, {ref}
        while open_refs:
            if open_refs & self.attempted:
                return True
            open_refs = {each for other in open_refs for each in self.before.get(other, ())} - known
            known |= open_refs
        return False

    def _look_elsewhere(self) -> bool:
        """Looks at all of each host that was looked at in part, or that sees what was done on others, so that
        the last word is theirs too; False where that has been done."""
        due = (self.concern.seers(self.news) | self.in_part) - set(self.fleet.sight.unreachable)
        self.news.clear()
        self.in_part.clear()
        self.fleet.look(dict.fromkeys(due, ()))
        self.up_to_date |= due
        return bool(due)

    def _check_done(self, plan: Plan) -> None:
        """The last look has the last word on what was done."""
        open_now = {action.ref: action for action in plan.actions}
        for ref, outcome in self.outcomes.items():
            if outcome.result != "done" or ref in plan.in_transit:
                continue
            hidden = isinstance(self.fleet.sight.seen.get(ref), CannotSee)
            if ref in open_now or hidden or ref.host in plan.unreachable:
                fields = self._unsettled_fields(open_now[ref]) if ref in open_now else ()
                if ref in open_now and not fields:
                    continue
                detail = ", ".join(fields) or "it cannot be observed now"
                self.outcomes[ref] = Outcome(
                    ref,
                    "unsettled",
                    f"its commands succeeded, but it is not as desired {Message.NOT_SETTLED}: {detail}",
                )

    def _unsettled_fields(self, action: Action) -> tuple[str, ...]:
        """Which fields are not as they were approved. Where something else is wanted meanwhile
        (a renewal came in between), that is for the next plan and no fault of what was done."""
        approved = self.planned.get(action.ref)
        wanted = {delta.field: delta.want for delta in approved.deltas} if approved else {}
        return tuple(
            delta.field
            for delta in action.deltas
            if delta.field not in wanted or matches(wanted[delta.field], delta.want)
        )

    def _ready(self, plan: Plan, waits: Waits) -> Batches:
        """Per host, what can be done now in one script, in order."""
        batches: dict[str, list[Action]] = defaultdict(list)
        closed: set[str] = set()
        chosen: set[Ref] = set()
        for action in plan.actions:
            host = action.ref.host
            if action.ref not in self.planned or action.ref in self.outcomes or host in closed:
                continue
            if action.blocked or action.has_unknowns or action.ref in self.ours:
                continue
            if any(ref not in chosen or ref.host != host for ref in waits[action.ref]):
                continue
            if self.rollout.stopped_by(action, waits[action.ref], plan):
                continue
            if action.minutes > 1:
                closed.add(host)
                if batches[host]:
                    continue
            batches[host].append(action)
            chosen.add(action.ref)
        return {host: actions for host, actions in batches.items() if actions}

    def _given_up(self, plan: Plan) -> set[Ref]:
        """Actions that will not be carried out any more, or never were to be, in this run."""
        refs = {action.ref for action in plan.actions}
        return {ref for ref in refs if ref in self.outcomes or ref in self.waiting or ref not in self.planned}

    def _passed_over(self, plan: Plan, batches: Batches, waits: Waits) -> dict[Ref, str]:
        """What would go before the actions of this round and will not come any more, and why."""
        open_now = {action.ref: action for action in plan.actions}
        passed: dict[Ref, str] = {}
        for action in (each for actions in batches.values() for each in actions):
            for ref in (each for each in action.follows if each.kind == action.ref.kind):
                if ref.host in plan.unreachable:
                    passed[ref] = plan.unreachable[ref.host]
                elif ref in plan.unknown:
                    passed[ref] = plan.unknown[ref]
                elif ref in self.outcomes and ref in open_now:
                    passed[ref] = f"{self.outcomes[ref].result}: {self.outcomes[ref].detail}"
                elif ref in open_now:
                    passed[ref] = self._why_skipped(open_now[ref], waits[ref], plan)
        return passed

    def _round(self, batches: Batches, passed: Mapping[Ref, str], plan: Plan) -> None:
        fleet, known = self.fleet, set(self.outcomes)
        if self.record:
            unseen = [ref for ref in passed if ref.host in plan.unreachable or ref in plan.unknown]
            intended = (each for actions in batches.values() for each in actions)
            self.record.record_intent(intended, passed, unseen)
        self.rounds += 1
        fleet.listen(RoundBegan(self.rounds, {host: len(actions) for host, actions in batches.items()}))
        self.concern.touch(action.ref for actions in batches.values() for action in actions)
        fleet.at_once({host: partial(self._act, host, actions) for host, actions in batches.items()})
        if self.record:
            self.record.record_outcomes(outcome for ref, outcome in self.outcomes.items() if ref not in known)
        for ref in sorted(self.outcomes.keys() - known):
            self._tell_switch(ref)
        self.up_to_date = set(batches)
        self._look(
            ref.host
            for actions in batches.values()
            for action in actions
            for ref in self.concern.seen_at(action.ref)
        )

    def _tell_waits(self, plan: Plan, batches: Batches, waits: Waits) -> None:
        """Why each action that is to come is not ready, where that is another reason than before."""
        now = {action.ref for actions in batches.values() for action in actions}
        for action in plan.actions:
            if action.ref in now or action.ref in self.outcomes or action.ref not in self.planned:
                continue
            why = self._why_skipped(action, waits[action.ref], plan)
            if why != UNCLEAR and self.waits.get(action.ref) != why:
                self.waits[action.ref] = why
                self.fleet.listen(ActionWaits(action.ref, why))

    def _tell_switch(self, ref: Ref) -> None:
        """How far a rollout has come, where this is an action that its hosts wait for each other with."""
        alike = {each for each in self.planned if (each.kind, each.name) == (ref.kind, ref.name)}
        in_turn = any(alike & set(self.planned[each].follows) for each in alike)
        if in_turn and self.outcomes[ref].result == "done":
            done = [each for each in alike if each in self.outcomes and self.outcomes[each].result == "done"]
            self.fleet.listen(HostSwitched(ref, len(done), len(alike)))

    def _look(self, names: Iterable[str]) -> None:
        hosts = set(names)
        there = hosts - set(self.fleet.sight.unreachable)
        concerned = {host: self.concern.of(host, self.outcomes) for host in there}
        self.in_part |= concerned.keys()
        self.fleet.look({host: refs for host, refs in concerned.items() if refs})
        self.up_to_date |= hosts

    def _act(self, name: str, actions: list[Action]) -> None:
        fleet, host = self.fleet, self.fleet.hosts[name]
        boundary = secrets.token_hex(16)
        # After the last of its actions all of a host is looked at, unless that comes at the end in any case.
        more = self.concern.left(name, self.outcomes) - {action.ref for action in actions}
        refs = self.concern.of(name, self.outcomes) if more or name in self.seers else ()
        asked = fleet.asked(name, refs)
        minutes = max(action.minutes for action in actions)
        seconds = fleet.seconds + self.minute * minutes
        for action in actions:
            self.attempted.add(action.ref)
            self.news.add(action.ref)
        following = Following(actions, boundary, fleet.listen)
        opening = self.record.opening(name) if self.record else ""
        text = script.script(actions, asked.questions, boundary, fleet.seconds, opening)
        began = time.monotonic()
        try:
            reply = host.run(text, seconds, following.hear)
        except HostError as error:
            results = script.outcomes(actions, error.output, boundary, False, error.reason)
            following.finish(results)
            fleet.lose(name, error.reason)
        else:
            late = f"it took longer than {seconds:.0f} s and was ended {Message.TOO_LONG}"
            results = script.outcomes(actions, reply.output, boundary, True, late if reply.timed_out else "")
            following.finish(results)
            fleet.take(name, reply, asked, boundary, time.monotonic() - began)
            (self.in_part.add if refs else self.in_part.discard)(name)
            if reply.timed_out:
                with suppress(HostError):
                    fleet.look_at(host)
        seen = {} if name in fleet.sight.unreachable else fleet.sight.seen
        for outcome in self.rollout.judged(results, seen):
            if outcome.result == "skipped":
                self.attempted.discard(outcome.ref)
                continue
            self.outcomes[outcome.ref] = outcome

    def _report(self, plan: Plan) -> Report:
        waits = waits_for(plan)
        for action in plan.actions:
            if action.ref not in self.outcomes and action.ref not in self.waiting:
                why = self._why_skipped(action, waits[action.ref], plan)
                self.outcomes[action.ref] = Outcome(action.ref, "skipped", why)
        for action in self.approved.actions:
            lost = action.ref.host in plan.unreachable
            if lost and action.ref not in self.outcomes:
                reason = plan.unreachable[action.ref.host]
                self.outcomes[action.ref] = Outcome(action.ref, "lost", reason)
        needless = tuple(sorted(self.planned.keys() - self.outcomes.keys()))
        return Report(tuple(self.outcomes.values()), plan, self._partial(plan), needless)

    def _why_skipped(self, action: Action, waits: Iterable[Ref], plan: Plan) -> str:
        if action.blocked:
            return action.blocked
        if action.ref in self.ours:
            return f"it has come up during this run ({self.ours[action.ref]}); make a new plan"
        if action.ref not in self.planned:
            return "it could not be observed when the plan was made; make a new plan"
        if stopped := self.rollout.stopped_by(action, tuple(waits), plan):
            return self.rollout.stopped_at(action, stopped)
        for ref in waits:
            if ref.host in plan.unreachable:
                return f"it waits for {ref}, and that host cannot be reached"
            if ref in plan.unknown:
                return f"it waits for {ref}, which cannot be observed"
            return f"it waits for {ref}"
        return UNCLEAR

    def _partial(self, plan: Plan) -> tuple[Ref, ...]:
        """What is neither as before nor as desired; also what was as desired, and is not since a
        change on its host or on one it comes after."""
        off = {action.ref: action for action in plan.actions if self._unsettled_fields(action)}
        changed = {ref for ref in off if self._seen_otherwise(ref)}
        lost = {ref for ref in self.attempted if ref.host in plan.unreachable or ref in plan.unknown}
        spoilt = {
            ref
            for ref in changed - self.open_first
            if self._follows_from_ours(ref) and self._was_fine(off[ref])
        }
        return tuple(sorted(lost | (changed & self.attempted) | spoilt))

    def _seen_otherwise(self, ref: Ref) -> bool:
        """Whether it is seen otherwise than at first."""
        resource = self.fleet.resources[ref]
        now, first = (bound(resource, seen.get(ref)) for seen in (self.fleet.sight.seen, self.seen_first))
        return now != first

    def _was_fine(self, action: Action) -> bool:
        """Whether what is only judged was as desired at first, in a field that is not now. No plan says so
        where what it watches was about to change."""
        first = self.seen_first.get(action.ref)
        return bool(action.steps) or any(
            isinstance(first, Mapping) and first.get(delta.field) == delta.want for delta in action.deltas
        )
