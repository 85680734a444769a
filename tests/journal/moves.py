"""The model of a rollout in a hostile world: the moves of two controllers, of hosts and of the network."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from reconciler.journal import model
from reconciler.journal.model import Knowledge, Links, Rules

NOBODY, GONE = -1, -2
"""Who holds a host; `GONE`: a run that was killed, whose lock has not been freed yet."""
RUNNING = ("sent", "away")


class Broken(Exception):
    """An invariant does not hold."""


class Host(NamedTuple):
    """A host. `newest` took its lock last, `served` was last proven by a handshake: what must hold goes by
    these two, and nobody acts by them. What is `stuck` cannot be switched: its disk is full, say."""

    current: int = 0
    proven: int = 0
    up: bool = True
    holder: int = NOBODY
    newest: int = NOBODY
    served: int = 0
    stuck: bool = False


class Run(NamedTuple):
    """A run: `at` is the next host to lock, and -1 once it has looked; `seen` is what it saw then or by a
    result, `stuck` whom it saw stuck and `found` half way then, `sent` how far each script has come."""

    at: int | None = None
    want: int = 0
    lost: frozenset[int] = frozenset()
    seen: tuple[Links | None, ...] = ()
    results: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    passed: frozenset[int] = frozenset()
    stuck: frozenset[int] = frozenset()
    found: frozenset[int] = frozenset()


class World(NamedTuple):
    """All of it; `faults` are those that may still happen, `wanted` is what was issued last."""

    hosts: tuple[Host, ...]
    runs: tuple[Run, ...]
    wanted: int
    faults: int


def put(items: tuple[Any, ...], at: int, item: Any) -> tuple[Any, ...]:
    return (*items[:at], item, *items[at + 1 :])


class Model:
    """The moves. A planted bug overrides a part."""

    def __init__(
        self, before: Mapping[int, set[int]], unavailable: int = 1, failed: int = 1, canaries: int = 0
    ) -> None:
        self.rules = Rules(before, unavailable, failed, canaries=set(range(canaries)))
        self.names = sorted(before)
        self.known: dict[Run, list[tuple[int, ...]]] = {}

    # What a bug overrides

    def refusal(self, known: Knowledge, batch: Mapping[int, int], passed: frozenset[int]) -> str | None:
        return model.refusal(self.rules, known, batch, passed)

    def lockable(self, host: Host) -> bool:
        return host.holder == NOBODY

    def holds(self, host: Host, number: int) -> bool:
        return host.holder == number

    def looks(self, world: World, number: int) -> tuple[Links | None, ...]:
        """What a run sees after it has locked; None of what does not answer to it any more."""
        return tuple(
            Links(host.current, host.proven) if host.up and self.holds(host, number) else None
            for host in world.hosts
        )

    def passes(self, run: Run) -> frozenset[int]:
        """Those that a run names as passed over."""
        bad = {each for each, result in enumerate(run.results) if result not in ("", "done")}
        return run.lost | run.stuck | bad

    def told_as(self, run: Run, name: int, result: str) -> str:
        """What a run makes of a result: one that was half way before is no worse for another failure."""
        return "as found" if result in ("failed", "lost") and name in run.found else result

    def switched(self, host: Host, want: int) -> Host:
        return host._replace(current=want)

    def rescued(self, host: Host, want: int) -> Host:
        return host._replace(current=host.proven)

    def proof(self, host: Host, want: int) -> Host:
        return host._replace(proven=want, served=want)

    # The moves

    def moves(self, world: World) -> Iterator[tuple[str, World]]:
        for number, run in enumerate(world.runs):
            if run.at is None:
                yield f"{number} begins", self._run(world, number, run._replace(at=0))
            elif run.at >= 0:
                yield self._lock(world, number, run)
            elif run.sent:
                yield from self._round(world, number, run)
            else:
                yield from self._begin(world, number, run)
            if run.at is not None and world.faults:
                yield f"{number} is killed", self._gone(world, number, GONE)
        yield from self._faults(world)

    def _run(self, world: World, number: int, run: Run) -> World:
        return world._replace(runs=put(world.runs, number, run))

    def _host(self, world: World, name: int, host: Host) -> World:
        return world._replace(hosts=put(world.hosts, name, host))

    def _lock(self, world: World, number: int, run: Run) -> tuple[str, World]:
        assert run.at is not None
        if run.at == len(world.hosts):
            none = ("",) * len(world.hosts)
            seen = self.looks(world, number)
            lost = frozenset(each for each, links in enumerate(seen) if links is None)
            stuck = frozenset(each for each, host in enumerate(world.hosts) if host.stuck) - lost
            found = frozenset(each for each, links in enumerate(seen) if links and links.away)
            new = run._replace(
                at=-1, want=world.wanted, seen=seen, lost=lost, results=none, stuck=stuck, found=found
            )
            return f"{number} looks", self._run(world, number, new)
        host, next_at = world.hosts[run.at], run._replace(at=run.at + 1)
        if not host.up:
            gone = next_at._replace(lost=run.lost | {run.at})
            return f"{number} cannot reach {run.at}", self._run(world, number, gone)
        if not self.lockable(host):
            return f"{number} finds {run.at} locked", self._gone(world, number, NOBODY)
        world = self._host(world, run.at, host._replace(holder=number, newest=number))
        return f"{number} locks {run.at}", self._run(world, number, next_at)

    def _gone(self, world: World, number: int, holder: int) -> World:
        """A run has ended, or was killed; the next one of its controller is not the same."""
        hosts = (
            each._replace(
                holder=holder if each.holder == number else each.holder,
                newest=GONE if each.newest == number else each.newest,
            )
            for each in world.hosts
        )
        world = world._replace(hosts=tuple(hosts), faults=world.faults - (holder == GONE))
        return self._run(world, number, Run())

    def _begin(self, world: World, number: int, run: Run) -> Iterator[tuple[str, World]]:
        batches = self.batches(run)
        for batch in batches:
            sent = tuple("sent" if each in batch else "" for each in self.names)
            new = run._replace(sent=sent, passed=run.passed | self.passes(run))
            yield f"{number} switches {batch}", self._run(world, number, new)
        if not batches:
            self._check_end(run)
            yield f"{number} ends", self._gone(world, number, NOBODY)

    def batches(self, run: Run) -> list[tuple[int, ...]]:
        """What may be begun at once: every choice, not only the largest."""
        if run not in self.known:
            self.known[run] = self._batches(run)
        return self.known[run]

    def _batches(self, run: Run) -> list[tuple[int, ...]]:
        known = Knowledge(
            locked=set(self.names) - run.lost,
            lost=run.lost,
            seen=dict(enumerate(run.seen)),
            results={each: result for each, result in enumerate(run.results) if result},
            found_away=run.found,
        )
        cannot = run.lost | run.stuck
        open_hosts = [
            each for each in self.names if each not in cannot and run.seen[each] != (run.want, run.want)
        ]
        sizes = range(1, len(open_hosts) + 1)
        choices = (each for size in sizes for each in combinations(open_hosts, size))
        return [
            each
            for each in choices
            if not self.refusal(known, dict.fromkeys(each, run.want), self.passes(run))
        ]

    def _round(self, world: World, number: int, run: Run) -> Iterator[tuple[str, World]]:
        for name, how in enumerate(run.sent):
            host = world.hosts[name]

            def came(to: str, host: Host, name: int = name, cost: int = 0) -> World:
                new = run._replace(sent=put(run.sent, name, to))
                faults = world.faults - cost
                return self._run(self._host(world, name, host), number, new)._replace(faults=faults)

            if how == "sent":
                if host.up and self.holds(host, number):
                    self._check_switch(world, number, run, name)
                    yield f"{number} leads {name} to it", came("away", self.switched(host, run.want))
                else:
                    yield f"{number} is refused by {name}", came("lost", host)
            if how == "away":
                yield f"{number} proves {name}", self._checked(came("done", self.proof(host, run.want)))
                if world.faults:
                    back = self.rescued(host, run.want)
                    if back.current != back.served:
                        raise Broken(f"what was put back on {name} was not proven")
                    yield f"{number} puts {name} back", came("put back", back, cost=1)
                    yield f"{number} fails at {name}", came("failed", host, cost=1)
            if how in RUNNING and world.faults:
                yield f"{number} loses {name}", came("lost", host, cost=1)
        if not any(each in RUNNING for each in run.sent):
            yield f"{number} has the results", self._run(world, number, self.told(run))

    def told(self, run: Run) -> Run:
        seen, results = list(run.seen), list(run.results)
        for name, result in enumerate(run.sent):
            if result:
                told = self.told_as(run, name, result)
                results[name], seen[name] = told, model.left(run.seen[name], run.want, told)
        return run._replace(sent=(), seen=tuple(seen), results=tuple(results))

    def _faults(self, world: World) -> Iterator[tuple[str, World]]:
        for name, host in enumerate(world.hosts):
            if host.stuck:
                yield f"{name} is free again", self._host(world, name, host._replace(stuck=False))
            elif world.faults:
                stuck = self._host(world, name, host._replace(stuck=True))
                yield f"{name} is stuck", stuck._replace(faults=world.faults - 1)
            if not host.up:
                yield f"{name} is back", self._host(world, name, host._replace(up=True))
                continue
            running = any(run.sent and run.sent[name] in RUNNING for run in world.runs)
            if host.holder == GONE or (host.holder >= 0 and world.faults and not running):
                cost = int(host.holder != GONE)
                freed = self._host(world, name, host._replace(holder=NOBODY))
                yield f"{name} frees its lock", freed._replace(faults=world.faults - cost)
            if world.faults:
                runs = tuple(
                    run._replace(sent=put(run.sent, name, "lost"))
                    if run.sent and run.sent[name] in RUNNING
                    else run
                    for run in world.runs
                )
                down = self._host(world, name, host._replace(up=False, holder=NOBODY))
                yield f"{name} is down", down._replace(runs=runs, faults=world.faults - 1)
        if world.wanted < 2 and world.faults:
            yield "another is issued", world._replace(wanted=world.wanted + 1, faults=world.faults - 1)

    # What must hold

    def _check_switch(self, world: World, number: int, run: Run, name: int) -> None:
        if world.hosts[name].newest != number:
            raise Broken(f"{number} acts on {name}, which a newer holder has locked")
        if name in run.lost:
            raise Broken(f"{number} acts on {name}, which it has lost")
        before = self.rules.before[name]
        if run.seen[name] and not run.seen[name].away:
            for each in before:
                proven = world.hosts[each][:2] == (run.want, run.want)
                if not proven and each not in run.passed:
                    raise Broken(f"{name} switches before {each}, which nobody has named")
                if not proven and each in self.rules.canaries and each not in run.lost:
                    raise Broken(f"{name} switches before {each}, a canary, is proven")
            bad = [run.results[each] for each in before]
            # A host that is half way from before, and is passed over, is counted whatever its turn.
            left = sum(not run.results[each] for each in run.found & run.stuck)
            failed = sum(each in ("put back", "as found") for each in bad) + left
            too_many = failed > self.rules.max_failed and not self._is_proven(run)
            if {"failed", "lost"} & set(bad) or too_many:
                raise Broken(f"{name} switches although the rollout had to stop")
        # Where the network is divided, another run may have a part of the fleet: each keeps the limit on its own.
        gone = {each for each, host in enumerate(world.hosts) if host.newest != number}
        gone |= run.lost | {each for each, result in enumerate(run.results) if result == "lost"}
        # What was half way before, and was tried or cannot be, is away whatever this run does.
        gone |= run.found & (run.stuck | {each for each, result in enumerate(run.results) if result})
        away = {each for each, host in enumerate(world.hosts) if host.current != host.proven} - gone
        with_these = away | {each for each, how in enumerate(run.sent) if how in RUNNING}
        if name not in away and len(with_these) > self.rules.max_unavailable:
            raise Broken(f"away from what was proven: {sorted(with_these)}")

    def _is_proven(self, run: Run) -> bool:
        """Whether a host has proven the release, so that it is not what others fail at."""
        return any(run.seen[each] == (run.want, run.want) for each in self.names if each not in run.lost)

    def _checked(self, world: World) -> World:
        if any(host.proven != host.served for host in world.hosts):
            raise Broken("something is proven that was not served")
        return world

    def _check_end(self, run: Run) -> None:
        stops = {each for each in self.names if run.results[each] in ("failed", "lost")} - run.found
        failed = sum(each in ("put back", "as found") for each in run.results)
        failed += sum(not run.results[each] for each in run.found & run.stuck)
        stops |= {1} if failed > self.rules.max_failed and not self._is_proven(run) else set()
        bad = {each for each in self.names if run.results[each] in ("put back", "as found")} | run.stuck
        stops |= bad & {*self.rules.canaries}
        for name in self.names:
            there = (
                name in run.lost | run.stuck or run.results[name] or run.seen[name] == (run.want, run.want)
            )
            if not there and not stops:
                raise Broken(f"{name} was left out, for which nothing is a reason")


def explore(moves: Model, hosts: int, faults: int) -> int:
    """How many states there are, all of them seen. Raises `Broken` with the way that led there."""
    first = World((Host(),) * hosts, (Run(), Run()), 1, faults)
    way: dict[World, tuple[World, str] | None] = {first: None}
    queue = deque([first])
    gc.disable()  # nothing of it goes in circles, and to look for that takes longer than all else
    try:
        return _explored(moves, way, queue)
    finally:
        gc.enable()


def _explored(moves: Model, way: dict[World, tuple[World, str] | None], queue: deque[World]) -> int:
    while queue:
        world = queue.popleft()
        try:
            for told, new in moves.moves(world):
                if new not in way:
                    way[new] = (world, told)
                    queue.append(new)
        except Broken as error:
            steps = []
            at = world
            while came := way[at]:
                at = came[0]
                steps.append(came[1])
            raise Broken(f"{error}, after: {'; '.join(reversed(steps))}") from None
    return len(way)
