"""Three real coordinating nodes, made by the lab and set up by one apply, of which nothing is left to do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import tools
from benchmarks.measure import BenchError, Command, Found, in_turn, last_line, ratio, say
from lab import Fleet
from lab.commands import LabError

NAME = f"bench-{os.getpid()}"
HOSTS = 3


def nodes(folder: Path, runs: int) -> Found:
    """A settled plan, the whole process, beside `ssh HOST sudo true` of each, as many at a time. Raises
    `BenchError`."""
    with _settled(folder) as fleet:
        commands = [
            tools.reconcile(folder, "plan", fleet.environment, "Nothing to do"),
            _sudo_true(folder, fleet),
        ]
        say(f"{HOSTS} real nodes: plan, ssh HOST sudo true; {runs} runs")
        timings = in_turn(commands, runs, folder / "output")
    plan = timings["plan"]
    return {
        f"real_{HOSTS}": {
            "plan_vs_ssh": ratio(plan, timings["ssh"]),
            "cpu_ms_per_host": round(1000 * plan.least_cpu / HOSTS, 1),
            "seconds": round(plan.seconds, 2),
        }
    }, {f"real_{HOSTS}": timings}


@contextmanager
def _settled(folder: Path) -> Iterator[Fleet]:
    """Hosts on which an apply has done all that is declared; they are gone with the context."""
    try:
        try:
            say(f"starting {HOSTS} real hosts, and setting them up")
            fleet = Fleet.up(NAME, HOSTS)
            apply = tools.reconcile(folder, "apply", fleet.environment, "", "--yes")
            done = subprocess.run(
                apply.argv,
                env=apply.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise BenchError(f"apply on {HOSTS} real hosts: {last_line(done.stderr or done.stdout)}")
            yield fleet
        finally:
            Fleet.clear(NAME, orderly=False)
    except LabError as error:
        raise BenchError(f"the lab: {error}") from None


def _sudo_true(folder: Path, fleet: Fleet) -> Command:
    addresses = [host.address for host in fleet.hosts]
    return tools.each_by_ssh(folder, addresses, "ops", fleet.identity, fleet.known_hosts, "sudo true")
