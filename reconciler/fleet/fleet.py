"""A look: every host is asked once, all at the same time, and what was seen is kept."""

from __future__ import annotations

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from reconciler.clock import Clock, utc_now
from reconciler.fleet import probe
from reconciler.fleet.events import (
    HostAnswered,
    HostLost,
    Listen,
    LookBegan,
    LookEnded,
    OnItsWay,
    StillWaiting,
    ignore,
)
from reconciler.fleet.reply import Hear, HostError, Locked, Refused, Reply
from reconciler.fleet.site import Gateway
from reconciler.journal.records import HostRecords
from reconciler.messages import Message
from reconciler.model import CannotSee, InTransit, Observation, Plan, Question, Ref, Resource, Seen, State
from reconciler.plan.planner import Planner, blocked_on
from reconciler.questions.runs import RunsQuestion


class HostConnection(Protocol):
    """What `apply` needs of a host: `host.RemoteHost`, or a stand-in of the tests."""

    name: str

    def run(self, script: str, seconds: float, hear: Hear = ...) -> Reply:
        """Runs a shell script to its end, for at most `seconds`; `hear` is given what it prints, part by
        part, as it comes. Raises `HostError`."""

    def lock(self, who: str) -> None:
        """Takes the lock of the host; `who` is shown to others. Raises `Locked`, `HostError`."""

    def release(self, last: str) -> None:
        """Releases the lock, and ends the connection; the host runs `last` before it does. Raises `HostError`
        where that failed."""

    def close(self) -> None:
        """Ends the connection, and with it the lock."""


@dataclass(frozen=True)
class Asked:
    """What a host is asked: the questions of each resource, and all of them."""

    by_resource: Sequence[tuple[Resource, Mapping[str, Question]]]
    questions: Sequence[Question]

    def by_class(self) -> Mapping[str, int]:
        """How many there are of each class."""
        return {kind.__name__: count for kind, count in Counter(map(type, self.questions)).items()}


PAUSE = 1.0
"""Seconds between two looks at what is on its way."""

PATIENCE = 10.0
"""Seconds after which it is told which hosts are still waited for, and then at twice that time again."""


class Fleet:
    """The hosts of one run and the resources on them. Use it as a context manager.

    At most `parallel` hosts are asked at a time; a look may take `seconds` on each. `clock`
    tells the time that resources are judged by, `listen` is given what happens as it happens; after
    `patience` seconds, which hosts are still waited for. With `records`, each look also asks what the
    hosts have on runs. Where `stays` is false, each connection ends as soon as its host has been looked at,
    and one that is used again is made again: so there are at most `parallel` of them, and nothing to hold a
    lock with. The hosts of a site are looked at from its gateway, and are not among `hosts`: nothing can be
    done there.
    """

    def __init__(
        self,
        environment: str,
        resources: Iterable[Resource],
        hosts: Sequence[HostConnection],
        *,
        parallel: int = 32,
        seconds: float = 30,
        clock: Clock = utc_now,
        listen: Listen = ignore,
        patience: float = PATIENCE,
        records: HostRecords | None = None,
        wait: Callable[[float], None] = time.sleep,
        stays: bool = True,
        gateways: Sequence[Gateway] = (),
    ) -> None:
        self.environment = environment
        self.resources = {resource.ref: resource for resource in resources}
        self.hosts = {host.name: host for host in hosts}
        self._gateways = tuple(gateways)
        self._looked_at = {*self.hosts, *(host for gateway in gateways for host in gateway.hosts)}
        self.sight = Observation()
        self._planner: Planner | None = None
        self.seconds = seconds
        self.records = records
        self._clock = clock
        self._wait = wait
        self._stays = stays
        self._states: dict[tuple[object, ...], State] = {}
        self._waited: dict[Ref, float] = {}
        self._unlocked: frozenset[str] = frozenset()
        self._refusing: dict[str, str] = {}
        self._patience = patience
        self.listen = listen
        self.pool = ThreadPoolExecutor(max_workers=max(1, min(parallel, len(hosts) + len(gateways))))
        self._by_host: dict[str, list[Ref]] = defaultdict(list)
        for resource in self.resources.values():
            self._by_host[resource.host].append(resource.ref)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Whoever interrupts does not want to wait for a host that may never answer.
        self.pool.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)
        for host in self.hosts.values():
            host.close()
        for gateway in self._gateways:
            gateway.close()

    def look(self, parts: Mapping[str, Collection[Ref]] | None = None) -> Observation:
        """Looks at all hosts and remembers what was seen; or at these alone, and of each at these resources,
        where any are named."""
        asked = (
            dict.fromkeys(self.hosts, ()) if parts is None else {name: parts[name] for name in sorted(parts)}
        )
        wanted = {name: refs for name, refs in asked.items() if name not in self._unlocked}
        gateways = self._gateways if parts is None else ()
        if not (wanted or gateways):
            return self.sight
        began = time.monotonic()
        self.listen(LookBegan((*wanted, *(host for gateway in gateways for host in gateway.hosts))))
        self.at_once(
            {name: partial(self.look_at, self.hosts[name], refs) for name, refs in wanted.items()}
            | {each.name: partial(self._look_from, each) for each in gateways}
        )
        self.listen(LookEnded(time.monotonic() - began))
        return self.sight

    def at_once(self, work: Mapping[str, Callable[[], None]]) -> None:
        """Does this with each of these hosts, at the same time, and tells of those that take long."""
        began, patience = time.monotonic(), self._patience
        running = {self.pool.submit(each): host for host, each in work.items()}
        left = set(running)
        while left := wait(left, timeout=patience).not_done:
            hosts = tuple(host for each, host in running.items() if each in left)
            self.listen(StillWaiting(hosts, time.monotonic() - began))
            patience *= 2
        for each in running:
            each.result()

    def settle(self) -> Observation:
        """Looks at all hosts, and again at what is on its way, until it has arrived or its time is over."""
        self.look()
        while self.look_again():
            pass
        return self.sight

    def look_again(self) -> bool:
        """Looks once more, after a moment, at the hosts where something is on its way; False where
        nothing is, or all has been waited for as long as it may take."""
        due = {ref: seen for ref, seen in self.sight.seen.items() if isinstance(seen, InTransit)}
        due = {ref: seen for ref, seen in due.items() if ref.host not in self.sight.unreachable}
        for ref, seen in due.items():
            if ref not in self._waited:
                self.listen(OnItsWay(ref, seen.reason, seen.seconds))
        # What has arrived meanwhile and is on its way again is waited for anew.
        self._waited = {ref: self._waited.get(ref, seen.seconds) for ref, seen in due.items()}
        left = {ref for ref, seconds in self._waited.items() if seconds > 0}
        if not left:
            told = {ref: seen.instead for ref, seen in due.items() if seen.instead is not None}
            self.sight.seen |= told
            return bool(told)
        self._wait(PAUSE)
        for ref in left:
            self._waited[ref] -= PAUSE
        by_host: dict[str, list[Ref]] = defaultdict(list)
        for ref in left:
            by_host[ref.host].append(ref)
        self.at_once({host: partial(self._look_for_arrivals, host, refs) for host, refs in by_host.items()})
        return True

    def _look_for_arrivals(self, host: str, refs: list[Ref]) -> None:
        """Asks for these resources alone, and for everything once one of them is on its way no more."""
        self.look_at(self.hosts[host], refs)
        if host not in self.sight.unreachable and any(
            not isinstance(self.sight.seen[ref], InTransit) for ref in refs
        ):
            self.look_at(self.hosts[host])

    def plan(self) -> Plan:
        """The plan from what was last seen; where no lock could be taken, nothing can be done. Raises
        `Cycle`."""
        if self._planner is None:
            resources = [r for r in self.resources.values() if r.host in self._looked_at]
            self._planner = Planner(self.environment, resources)
        made = self._planner.plan(self.sight.seen, self.sight.unreachable)
        return blocked_on(made, self._refusing) if self._refusing else made

    def replace(self, refs: Collection[Ref]) -> None:
        """From now on wants each of these resources replaced, whatever was seen of it."""
        for ref in refs:
            resource, seen = self.resources[ref], self.sight.seen.get(ref)
            if not resource.absent and isinstance(seen, Mapping):
                self.resources[ref] = resource.replacement(seen)
                self._planner = None

    def lock(self, who: str) -> list[str]:
        """Takes the lock of every host that answers and lets us, and returns which these are. Raises `Locked`
        where another run has it, and `HostError` where no host lets us.

        In the order of names, so that of two runs one gets all. A host that answers only afterwards is not
        locked: it is not looked at any more, and so nothing is done there. Nor is it on one that refuses, for
        it has no sudo or no flock; it is looked at, for it is asked what others serve. One that is lost
        meanwhile is left alone.
        """
        locked: list[str] = []
        failed: HostError | None = None
        for name in sorted(set(self.hosts) - set(self.sight.unreachable)):
            try:
                self.hosts[name].lock(who)
                locked.append(name)
            except Locked:
                raise
            except Refused as error:
                self._refusing[name], failed = error.reason, error
            except HostError as error:
                self.lose(name, error.reason)
                failed = error
        if failed and not locked:
            raise failed
        self._unlocked = frozenset(self.sight.unreachable)
        return locked

    def each(self, names: Iterable[str], script: str, check: Callable[[str, Reply], None]) -> None:
        """Has each of these hosts run a script, and gives its reply to `check`; one that is lost is
        remembered as unreachable. Raises what `check` does."""

        def one(name: str) -> None:
            try:
                reply = self.hosts[name].run(script, self.seconds)
            except HostError as error:
                self.lose(name, error.reason)
            else:
                check(name, reply)

        self.at_once({name: partial(one, name) for name in names})

    def release(self, last: Mapping[str, str]) -> dict[str, str]:
        """Releases the lock of these hosts, each of which runs a last script before; nothing more can be
        done there. Returns where that failed, and why."""
        failed: dict[str, str] = {}

        def release(name: str) -> None:
            try:
                self.hosts[name].release(last[name])
            except HostError as error:
                failed[name] = error.reason

        self.at_once({name: partial(release, name) for name in last})
        return failed

    def asked(self, host: str, refs: Collection[Ref] = ()) -> Asked:
        """What to ask a host about these resources (all of its own where none are named), in their order; and
        in a look at all of them, what it has on runs."""
        resources = map(self.resources.__getitem__, refs or self._by_host[host])
        by_resource = [(resource, resource.ask()) for resource in resources]
        questions = [question for _, mine in by_resource for question in mine.values()]
        if self.records is not None and not refs:
            questions.append(self.records.question(host))
        return Asked(by_resource, questions)

    def look_at(self, host: HostConnection, refs: Collection[Ref] = ()) -> None:
        """Looks at one host, or at these resources of it; a host that does not answer is remembered as
        unreachable."""
        boundary = secrets.token_hex(16)
        asked = self.asked(host.name, refs)
        script = probe.compose(asked.questions, boundary, self.seconds)
        began = time.monotonic()
        try:
            reply = host.run(script, self.seconds + probe.MARGIN)
        except HostError as error:
            self.lose(host.name, error.reason)
        else:
            self.take(host.name, reply, asked, boundary, time.monotonic() - began)
        finally:
            # Where some resources alone are looked at, a look at all of them follows once they have arrived.
            if not (self._stays or refs or self._is_awaited(host.name)):
                host.close()

    def _look_from(self, gateway: Gateway) -> None:
        """Has a gateway look at the hosts of its site."""
        began = time.monotonic()
        found = gateway.look()
        self.sight.seen |= {ref: seen for ref, seen in found.seen.items() if ref in self.resources}
        for host in gateway.hosts:
            if host in found.unreachable:
                self.lose(host, found.unreachable[host])
            else:
                self.sight.unreachable.pop(host, None)
                self.listen(HostAnswered(host, time.monotonic() - began, {}))

    def _is_awaited(self, host: str) -> bool:
        """Whether a host will be looked at again, for something is on its way there."""
        return any(isinstance(self.sight.seen.get(ref), InTransit) for ref in self._by_host[host])

    def lose(self, host: str, reason: str) -> None:
        """Remembers that a host could not be looked at, and why."""
        self.sight.unreachable[host] = reason
        self.listen(HostLost(host, reason))

    def take(
        self,
        host: str,
        reply: Reply,
        asked: Asked,
        boundary: str,
        seconds: float = 0,
    ) -> None:
        """Remembers what a reply says of what a host was asked; it took `seconds`."""
        if reply.timed_out:
            self.lose(host, f"a command hung there for {self.seconds:.0f} s and was ended {Message.TOO_LONG}")
            return
        if f"\n{boundary} end\n".encode() not in reply.output:
            said = reply.output[-200:].decode("utf-8", "replace").strip()
            self.lose(host, f"its answer does not have the expected form {Message.NO_REPORT}: {said!r}")
            return
        try:
            answers = self._answers(host, reply, asked.questions, boundary)
            seen = self._read(reply, answers, asked)
        except probe.NONSENSE as error:
            # One host that talks nonsense must not keep us from the others.
            self.lose(host, f"its answer cannot be interpreted {Message.NO_REPORT}: {error}")
            return
        self.sight.unreachable.pop(host, None)
        self.sight.seen |= seen
        for each in asked.questions:
            if isinstance(each, RunsQuestion) and self.records is not None:
                self.records.take(host, answers[each])
        if not reply.root:
            self.sight.warnings[host] = reply.sudo or "the account is not root there"
        self.listen(HostAnswered(host, seconds, asked.by_class()))

    def _answers(
        self, host: str, reply: Reply, questions: Sequence[Question], boundary: str
    ) -> Mapping[Question, Any]:
        answers = dict(probe.parse(reply.output, questions, boundary))
        if probe.was_cut(reply.output, boundary):
            answers |= self._ask_each(host, [each for each in answers if answers[each] is probe.CUT])
        return answers

    def _read(self, reply: Reply, answers: Mapping[Question, Any], asked: Asked) -> dict[Ref, Seen]:
        now = self._clock()
        states: dict[Ref, Seen] = {}
        for resource, questions in asked.by_resource:
            mine = {label: answers[question] for label, question in questions.items()}
            try:
                seen = resource.read(mine, now)
            except probe.NONSENSE as error:
                seen = CannotSee(f"the host's answer cannot be interpreted: {error}")
            if type(seen) is CannotSee and not reply.root and reply.sudo:
                seen = CannotSee(f"{seen.reason} ({reply.sudo})")
            states[resource.ref] = self._once(seen) if type(seen) is dict else seen
        return states

    def _once(self, state: State) -> State:
        """The same state, as one object for all that it is seen of: most hosts are alike."""
        # The types too, for 1 and True are equal.
        key = (*state.items(), *map(type, state.values()))
        return self._states.setdefault(key, state)

    def _ask_each(self, host: str, questions: list[Question]) -> Mapping[Question, Any]:
        """Asks again what one question that hangs has hidden."""
        boundary, seconds = secrets.token_hex(16), max(1.0, self.seconds / 2 - 1)
        try:
            reply = self.hosts[host].run(
                probe.compose_each(questions, boundary, seconds), self.seconds + probe.MARGIN
            )
        except HostError as error:
            return dict.fromkeys(questions, CannotSee(error.reason))
        return probe.parse_each(reply.output, questions, boundary, seconds)
