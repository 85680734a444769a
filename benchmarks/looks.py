"""What a look costs: at hosts of one sshd, and at ten thousand simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks import tools
from benchmarks.endpoints import Endpoints, simulated, started
from benchmarks.measure import Command, Found, Timings, in_turn, ratio, say

SIZES = (10, 100, 1000)
SIMULATED = 10_000
OURS = {"plan", "ssh", "bare", "one"}
"""What is not a neighbour, at ten hosts."""


def loopback(folder: Path, runs: int, slow: int) -> Found:
    """Plans of 10, 100 and 1,000 hosts of one sshd, beside `ssh HOST true` and paramiko alone; of ten also
    beside pyinfra and Ansible, `slow` times. Raises `BenchError`."""
    files = tools.settled(folder / "files")
    document: dict[str, dict[str, float]] = {}
    timings: dict[str, Mapping[str, Timings]] = {}
    smaller, least = 1, 0
    with started(folder, SIZES[-1]) as everywhere:
        for count in SIZES:
            at = everywhere.first(count)
            commands = [tools.plan(folder, at, files), tools.ssh(folder, at), tools.bare(folder, at)]
            if count == SIZES[0]:
                commands.append(tools.plan(folder, everywhere.first(1), files, "one"))
                commands += _neighbours(folder, at, files, slow)
            if count == SIZES[-1]:
                commands.append(tools.plan(folder, at.hashed(), files, "hashed"))
            turns = 1 if count == SIZES[-1] else runs
            say(f"{count} hosts: {', '.join(each.name for each in commands)}; {turns} runs")
            made = in_turn(commands, turns, folder / "output")
            least = made["one"].least_memory if "one" in made else least
            more = (made["plan"].least_memory - least) / (count - smaller)
            document[f"hosts_{count}"] = {**_costs(made, count), "kb_per_host": round(more, 1)}
            timings[f"hosts_{count}"] = made
            smaller, least = count, made["plan"].least_memory
    few, large = timings[f"hosts_{SIZES[0]}"], timings[f"hosts_{SIZES[-1]}"]
    document[f"hosts_{SIZES[0]}"] |= {
        f"{name}_vs_plan": ratio(few[name], few["plan"]) for name in few.keys() - OURS
    }
    document[f"hosts_{SIZES[-1]}"]["cpu_ms_per_host_hashed"] = _each(large["hashed"].least_cpu, SIZES[-1])
    return dict(document), timings


def _neighbours(folder: Path, at: Endpoints, files: Mapping[str, str], slow: int) -> list[Command]:
    if not slow:
        return []
    venv = tools.tools_venv()
    others = (tools.pyinfra(folder, venv, at, files), tools.ansible(folder, venv, at, files))
    return [replace(each, most=slow) for each in others]


def _costs(timings: Mapping[str, Timings], hosts: int) -> dict[str, float]:
    """A plan beside `ssh HOST true`, and what it costs the controlling side, also beside paramiko alone."""
    plan, bare = timings["plan"].least_cpu, timings["bare"].least_cpu
    return {
        "plan_vs_ssh": ratio(timings["plan"], timings["ssh"]),
        "cpu_ms_per_host": _each(plan, hosts),
        "cpu_vs_bare": round(plan / bare, 2),
    }


def _each(seconds: float, hosts: int) -> float:
    return round(1000 * seconds / hosts, 2)


def ten_thousand(folder: Path, runs: int) -> Found:
    """A plan of 10,000 simulated hosts, once, beside one of the first hundred of them, and of the first.
    Raises `BenchError`."""
    files = tools.settled(folder / "files")
    with simulated(folder, SIMULATED, tools.tools_venv() / "bin/python") as everywhere:
        commands = [
            replace(tools.plan(folder, everywhere.first(count), files, f"plan_{count}"), most=most)
            for count, most in ((1, runs), (100, runs), (SIMULATED, 1))
        ]
        say(f"{SIMULATED:,} simulated hosts, once; 100 and 1; {runs} runs")
        timings = in_turn(commands, runs, folder / "output")
    one, few, many = (timings[each.name] for each in commands)
    further = (many.least_cpu - few.least_cpu) / (SIMULATED - 100)
    return {
        f"simulated_{SIMULATED}": {
            "cpu_vs_100": round(further / ((few.least_cpu - one.least_cpu) / 99), 2),
            "cpu_ms_per_host": _each(many.least_cpu, SIMULATED),
            "cpu_ms_per_host_at_100": _each(few.least_cpu, 100),
            "cpu_ms_start_and_one": _each(one.least_cpu, 1),
            "kb_per_host": round((many.least_memory - few.least_memory) / (SIMULATED - 100), 1),
            "seconds": round(many.seconds, 1),
        }
    }, {f"simulated_{SIMULATED}": timings}
