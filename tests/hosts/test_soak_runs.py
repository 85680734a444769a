"""Runs that are killed, hosts that lose their power, cables that are cut, each at a moment of its own: one further
run settles it. And renewals that no client notices.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab import LabHost
from tests.hosts.fault_list import FAULTS, drawn
from tests.support.faults import until
from tests.support.running import free
from tests.support.serving import Clients, Node

pytestmark = [pytest.mark.fleet, pytest.mark.soak]
DEADLINE = 30  # nothing here fails by waiting, and a soak shares its machine

MENDED = [each for each in FAULTS if not (each.undone or each.fine or each.cuts)]
KILLS, POWER_CUTS, CABLES, ROLLOUTS = 100, 30, 30, 20
LONGEST = 15.0
"""Seconds within which a run is interrupted: about as long as one takes with something to do."""


@pytest.fixture(scope="module")
def interrupted() -> Iterator[list[bool]]:
    """Of each run, whether it was still at work when it was interrupted: most have to be."""
    told: list[bool] = []
    yield told
    assert told.count(True) > len(told) / 2, told


def something_to_do(node: Node, draw: random.Random) -> None:
    """Three faults that a run mends, and every third time another certificate for everybody."""
    if draw.random() < 1 / 3:
        node.renew()
    for fault in drawn(draw, MENDED):
        node.fleet.hosts[fault.at].run(fault.done)


def at_work(node: Node, draw: random.Random, told: list[bool]) -> subprocess.Popen[str]:
    """A run, some moment after its beginning."""
    something_to_do(node, draw)
    process = node.start("apply", "--yes")
    time.sleep(draw.uniform(0.5, LONGEST))
    told.append(process.poll() is None)
    return process


def one_run_settles(node: Node) -> None:
    """No host is locked any more, and the next run brings all to what is declared."""
    for host in node.fleet.hosts:
        until(lambda at=host: free(at), f"the lock of {host.name} is free", 70)
    node.settle()
    node.one()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_is_settled_by_the_next(watched: Node, seed: int, interrupted: list[bool]) -> None:
    process = at_work(watched, random.Random(seed), interrupted)
    process.send_signal(signal.SIGKILL)
    watched.wait(process)
    one_run_settles(watched)


@pytest.mark.parametrize("seed", range(POWER_CUTS))
def test_a_host_that_loses_its_power_and_what_was_not_synced_is_settled_by_the_next(
    watched: Node, seed: int, interrupted: list[bool]
) -> None:
    draw = random.Random(seed)
    host = draw.choice(watched.fleet.hosts)
    host.make_losing()
    try:
        process = at_work(watched, draw, interrupted)
        host.cut()
        watched.wait(process)
        host.boot()
        one_run_settles(watched)
    finally:
        host.make_keeping()


@pytest.mark.parametrize("seed", range(CABLES))
def test_a_host_whose_cable_is_cut_is_settled_by_the_next(
    watched: Node, seed: int, interrupted: list[bool]
) -> None:
    draw = random.Random(seed)
    host: LabHost = draw.choice(watched.fleet.hosts)
    process = at_work(watched, draw, interrupted)
    host.partition()
    try:
        if draw.random() < 1 / 2:  # it is back before the run has noticed, or only after its end
            time.sleep(draw.uniform(0, LONGEST))
            host.heal()
        watched.wait(process)
    finally:
        host.heal()
    one_run_settles(watched)


@pytest.mark.parametrize("number", range(ROLLOUTS))
def test_a_renewal_is_noticed_by_no_client(watched: Node, number: int) -> None:
    before = watched.one()
    watched.renew()
    with Clients(watched) as clients:
        watched.apply(0)
    assert clients.failures == []
    assert watched.one() != before, number
