"""Where deciding and acting meet: `look` at all hosts, `apply` a plan in rounds.

Apply is plan in a loop: act on what is ready, look again, plan again, until nothing that
was approved is left to do.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from reconciler import probe, runbook
from reconciler.approval import Stale, disallowed
from reconciler.hosts import HostError, Reply
from reconciler.model import Action, CannotSee, Outcome, Plan, Question, Ref, Resource, Seen
from reconciler.planner import plan as make_plan


class Shell(Protocol):
    """What the executor needs of a host: `hosts.Host`, or a test's stand-in."""

    name: str

    def run(self, script: str, seconds: float) -> Reply: ...
    def lock(self, who: str) -> None: ...
    def close(self) -> None: ...


@dataclass
class Sight:
    """What was seen: a state for each resource of each host that answered."""

    seen: dict[Ref, Seen] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """How an apply ended: what became of each action, and what is left."""

    outcomes: tuple[Outcome, ...]
    left: Plan
    neither: tuple[Ref, ...] = ()
    """Resources that are neither as before nor as wanted, or whose state is not known."""


Listen = Callable[[str], None]


class Fleet:
    """The hosts of one run and the resources on them. Use it as a context manager."""

    def __init__(
        self,
        environment: str,
        resources: Iterable[Resource],
        hosts: Sequence[Shell],
        *,
        parallel: int = 32,
        seconds: float = 30,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        listen: Listen = lambda line: None,
    ) -> None:
        self.environment = environment
        self.resources = {resource.ref: resource for resource in resources}
        self.hosts = {host.name: host for host in hosts}
        self.sight = Sight()
        self._seconds = seconds
        self._clock = clock
        self._listen = listen
        self._pool = ThreadPoolExecutor(max_workers=max(1, min(parallel, len(hosts) or 1)))
        self._by_host: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.resources.values():
            self._by_host[resource.host].append(resource)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for host in self.hosts.values():
            host.close()

    def look(self, names: Iterable[str] | None = None) -> Sight:
        """Looks at the hosts (all of them, or those named) and remembers what was seen."""
        wanted = [self.hosts[name] for name in (self.hosts if names is None else names)]
        list(self._pool.map(self._look_at, wanted))
        return self.sight

    def plan(self) -> Plan:
        """The plan from what was last seen. Raises `graph.Cycle`."""
        resources = [r for r in self.resources.values() if r.host in self.hosts]
        return make_plan(self.environment, resources, self.sight.seen, self.sight.unreachable)

    def lock(self, who: str) -> None:
        """Takes the lock of every host that answers; raises `hosts.Locked`, `hosts.Refused`.

        In the order of names, so that of two runs one gets all.
        """
        for name in sorted(set(self.hosts) - set(self.sight.unreachable)):
            self.hosts[name].lock(who)

    def apply(self, approved: Plan) -> Report:
        """Carries out the approved plan in rounds, and nothing else.

        Raises `approval.Stale` where the hosts ask for something that was not approved.
        """
        return _Run(self, approved).to_the_end()

    def _questions(self, host: str) -> list[Question]:
        return [q for resource in self._by_host[host] for q in resource.ask().values()]

    def _look_at(self, host: Shell) -> None:
        boundary = secrets.token_hex(16)
        questions = self._questions(host.name)
        try:
            reply = host.run(probe.compose(questions, boundary), self._seconds)
        except HostError as error:
            self._lose(host.name, error.reason)
        else:
            self.take(host.name, reply, questions, boundary)

    def _lose(self, host: str, reason: str) -> None:
        self.sight.unreachable[host] = reason

    def take(self, host: str, reply: Reply, questions: list[Question], boundary: str) -> None:
        """Remembers what a reply says of a host's resources."""
        if reply.timed_out:
            self._lose(host, f"a command there hung for {self._seconds:.0f} s and was ended")
            return
        if f"\n{boundary} end\n".encode() not in reply.output:
            said = reply.output[-200:].decode("utf-8", "replace").strip()
            self._lose(host, f"it did not answer in the form asked for; it last said: {said!r}")
            return
        self.sight.unreachable.pop(host, None)
        if not reply.root:
            self.sight.warnings[host] = reply.sudo or "the account is not root there"
        answers = probe.cut(reply.output, questions, boundary)
        now = self._clock()
        for resource in self._by_host[host]:
            mine = {label: answers[question] for label, question in resource.ask().items()}
            seen = resource.read(mine, now)
            if isinstance(seen, CannotSee) and not reply.root and reply.sudo:
                seen = CannotSee(f"{seen.reason} ({reply.sudo})")
            self.sight.seen[resource.ref] = seen


class _Run:
    """One apply: rounds of what is ready, until nothing is."""

    def __init__(self, fleet: Fleet, approved: Plan) -> None:
        self.fleet = fleet
        self.approved = approved
        self.before = dict(fleet.sight.seen)
        self.outcomes: dict[Ref, Outcome] = {}
        self.attempted: set[Ref] = set()

    def to_the_end(self) -> Report:
        while True:
            plan = self.fleet.plan()
            self._settle(plan)
            if refused := disallowed(self.approved, plan, set(self.outcomes)):
                raise Stale(refused, begun=bool(self.attempted))
            batches = self._ready(plan)
            if not batches:
                return self._report(plan)
            self._round(batches)

    def _settle(self, plan: Plan) -> None:
        """The last look has the last word on what was done."""
        open_now = {action.ref: action for action in plan.actions}
        for ref, outcome in self.outcomes.items():
            if outcome.result != "done":
                continue
            if ref in open_now or ref in plan.unknown or ref.host in plan.unreachable:
                left = open_now.get(ref)
                detail = ", ".join(d.field for d in left.deltas) if left else "it cannot be seen now"
                self.outcomes[ref] = Outcome(
                    ref, "unsettled", f"its commands succeeded, but it is not as wanted: {detail}"
                )

    def _ready(self, plan: Plan) -> dict[str, list[Action]]:
        """Per host, what can be done now in one script, in order."""
        batches: dict[str, list[Action]] = defaultdict(list)
        closed: set[str] = set()
        chosen: set[Ref] = set()
        for action in plan.actions:
            host = action.ref.host
            if action.ref in self.outcomes or action.blocked or action.has_holes or host in closed:
                continue
            if any(ref not in chosen or ref.host != host for ref in action.after):
                continue
            if action.minutes > 1:
                closed.add(host)
                if batches[host]:
                    continue
            batches[host].append(action)
            chosen.add(action.ref)
        return {host: actions for host, actions in batches.items() if actions}

    def _round(self, batches: Mapping[str, list[Action]]) -> None:
        fleet = self.fleet
        list(fleet._pool.map(self._act, batches, batches.values()))
        waiting = {action.ref.host for action in fleet.plan().actions if action.ref not in self.outcomes}
        fleet.look(sorted(waiting - set(batches) - set(fleet.sight.unreachable)))

    def _act(self, name: str, actions: list[Action]) -> None:
        fleet, host = self.fleet, self.fleet.hosts[name]
        boundary = secrets.token_hex(16)
        questions = fleet._questions(name)
        minutes = max(action.minutes for action in actions)
        seconds = fleet._seconds + 60 * minutes
        for action in actions:
            self.attempted.add(action.ref)
            fleet._listen(f"{action.ref}: {action.verb}")
        try:
            reply = host.run(runbook.script(actions, questions, boundary), seconds)
        except HostError as error:
            fleet._lose(name, error.reason)
            results = runbook.outcomes(actions, error.output, boundary, False, error.reason)
        else:
            fleet.take(name, reply, questions, boundary)
            ended = not reply.timed_out
            why = f"it took longer than {seconds:.0f} s" if reply.timed_out else ""
            results = runbook.outcomes(actions, reply.output, boundary, ended, why)
            if reply.timed_out:
                with suppress(HostError):
                    fleet._look_at(host)
        for outcome in results:
            if outcome.result == "skipped":
                self.attempted.discard(outcome.ref)
                continue
            self.outcomes[outcome.ref] = outcome
            if outcome.result != "done":
                fleet._listen(f"{outcome.ref}: {outcome.result}: {outcome.detail}")

    def _report(self, plan: Plan) -> Report:
        for action in plan.actions:
            if action.ref not in self.outcomes:
                self.outcomes[action.ref] = Outcome(action.ref, "skipped", self._why(action, plan))
        for action in self.approved.actions:
            lost = action.ref.host in plan.unreachable
            if lost and action.ref not in self.outcomes:
                reason = plan.unreachable[action.ref.host]
                self.outcomes[action.ref] = Outcome(action.ref, "lost", reason)
        return Report(tuple(self.outcomes.values()), plan, self._neither(plan))

    def _why(self, action: Action, plan: Plan) -> str:
        if action.blocked:
            return action.blocked
        for ref in action.after:
            if ref.host in plan.unreachable:
                return f"it waits for {ref}, and that host cannot be reached"
            if ref in plan.unknown:
                return f"it waits for {ref}, which cannot be seen"
            return f"it waits for {ref}"
        return "what it needs is not known"

    def _neither(self, plan: Plan) -> tuple[Ref, ...]:
        open_now = {action.ref for action in plan.actions}
        return tuple(
            sorted(
                ref
                for ref in self.attempted
                if ref.host in plan.unreachable
                or ref in plan.unknown
                or (ref in open_now and self.fleet.sight.seen.get(ref) != self.before.get(ref))
            )
        )
