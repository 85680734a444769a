"""Sequences in a simulated world: what must hold does, and each planted bug is found."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings

from reconciler.kinds.certificate.serving import Serving
from tests.simulation.__main__ import failure, hunt
from tests.simulation.actors import Parts
from tests.simulation.bugs import BUGS, HeldUp, with_kind
from tests.simulation.commands import Shell
from tests.simulation.drawing import Sequence, draw, shorter
from tests.simulation.machine import Simulation
from tests.simulation.sequence import Folder, Run, carry_out
from tests.simulation.world import Killed, SimHost, World

pytestmark = pytest.mark.one_python

SAMPLE = int(os.environ.get("SEQUENCES", "1000"))
"""How many sequences the fixed sample has."""

PARTS = 10

FIRST = {
    "no second look": 259,
    "reload before link": 5,
    "forgotten proven": 1,
    "lock ignored": 0,
    "proof from inside only": 17,
    "exit status taken for a fact": 2109,
    "cross-host edge on a repair": 24,
    "parent moved aside": 28,
    "all hosts at once": 4,
    "a former lineage leads": 82,
    "any release will do": 1,
    "acts without a record": 0,
    "late host without a lock": 105,
    "half way out of turn": 920,
    "broken link waits for an order": 1473,
    "canary is one of many": 250,
    "a returning primary leads": 587,
    "stale by a lost host": 644,
}
"""For each planted bug the first seed that finds it, which spares the ones before. Where sequences are drawn
in another way, `python -m tests.simulation --bugs` tells them anew; the search goes on from there for a minute."""


@pytest.mark.parametrize("part", range(PARTS))
def test_a_fixed_sample_of_sequences(part: int) -> None:
    failed = {seed: why for seed in range(part, SAMPLE, PARTS) if (why := failure(draw(seed)))}
    assert not failed, "again: python -m tests.simulation --seed N"


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_nothing_is_wrong_without_it(bug: str) -> None:
    seed = hunt(bug, FIRST.get(bug, 0))
    assert seed is not None
    assert failure(draw(seed)) is None


Simulation.TestCase.settings = settings(
    settings.get_profile("here"),
    max_examples=60,
    stateful_step_count=12,
    suppress_health_check=list(HealthCheck),
)
TestSequencesOfHypothesis = Simulation.TestCase


def test_a_seed_says_the_same_again() -> None:
    told: list[list[str]] = [[], []]
    for lines in told:
        carry_out(draw(5), tell=lines.append)
    assert told[0] == told[1]
    assert len(told[0]) > 10


def test_what_is_not_needed_for_a_failure_is_left_out() -> None:
    long = Sequence(2, False, 1, (("due",), ("wait", 1.0), ("apply",), ("heal",), ("due",), ("apply",)))
    short = shorter(long, lambda each: failure(each, "forgotten proven") is not None)
    assert short.ops == (("due",),)


def test_a_host_that_is_half_way_and_cannot_go_on_holds_up_nobody_else() -> None:
    """Killed in the middle of the switch of a host whose disk is full then, while another certificate comes."""
    ops = (
        ("due",), ("arm", 76, "kill"), ("apply",), ("wait", 61.0), ("lasting", 1, "full"), ("due",), ("apply",),
    )  # fmt: skip
    sequence = Sequence(3, False, 1, ops)
    half, newest, served = _after(sequence, Parts())
    assert (half.away, half.full) == (True, True)
    assert served[half.name] != {newest}
    assert [each for name, each in served.items() if name != half.name] == [{newest}] * 2
    half, newest, served = _after(sequence, Parts(resources=with_kind(Serving, HeldUp)))
    assert [newest in each for each in served.values()] == [False] * 3
    carry_out(sequence)


@pytest.mark.parametrize("number", range(2))
def test_a_host_that_goes_down_while_a_run_takes_its_lock_is_named_and_no_plan_is_stale(number: int) -> None:
    ended: set[str] = set()
    for ticks in range(2, 19, 2):
        with Folder() as folder:
            run = Run(Sequence(2, False, 1, ()), Parts(), folder)
            for op in (("due",), ("arm", ticks, "lasting", number, "down")):
                run.do(op)
            found = run.controller().apply()
            assert found.plan
            assert list(found.plan.unreachable) == [run.declared.hosts[number]], ticks
            ended.add(found.code)
    assert ended <= {"INCOMPLETE", "FAILED", "PARTIAL"}


def test_two_hosts_that_fail_lastingly_hold_up_nobody_once_another_has_proven_it() -> None:
    """More than `max_failed` (1). Where they are the first to be tried, it may be the certificate's fault."""
    for deaf, left in (((2, 3), 0), ((1, 2), 3)):
        ops = (*(("lasting", host, "deaf") for host in deaf), ("due",), ("apply",))
        with Folder() as folder:
            run = Run(Sequence(5, False, 1, ops), Parts(), folder)
            for op in ops:
                run.do(op)
        lineage = run.world.hosts[run.declared.primary].lineage
        assert lineage
        old = {name for name, _, release in run.world.served() if release != lineage.release}
        assert len(old) == len(deaf) + left, deaf


def _after(sequence: Sequence, parts: Parts) -> tuple[SimHost, str, dict[str, set[str | None]]]:
    """After all of a sequence but its end: the host whose disk is full, the newest certificate, and what
    each host serves."""
    with Folder() as folder:
        run = Run(sequence, parts, folder)
        for op in sequence.ops:
            with suppress(Killed):
                run.do(op)
        served: dict[str, set[str | None]] = {name: set() for name in run.declared.hosts}
        for name, _, release in run.world.served():
            if name in served:
                served[name].add(release)
        lineage = run.world.hosts[run.declared.primary].lineage
        assert lineage
        return next(each for each in run.world.hosts.values() if each.full), lineage.release, served


def test_a_command_that_the_world_does_not_know_is_an_error() -> None:
    with pytest.raises(LookupError, match="make-coffee"):
        Shell(World(), SimHost("h")).run("make-coffee", None)
