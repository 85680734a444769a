"""`make bench`: one JSON document on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks import planner, tools
from benchmarks.endpoints import started
from benchmarks.measure import BenchError, Timings, in_turn, say

QUICK = {"plan", "ssh"}
WANTED = {
    "plan_vs_ssh": "at most 1.5",
    "pyinfra_vs_plan": "at least 40",
    "ansible_vs_plan": "at least 100",
    "planner": {"seconds": "at most 25", "mb": "at most 1500", "exponent": "at most 1.05"},
    "start": {
        "version_vs_python": "at most 4",
        "validate_vs_python": "at most 25",
        "help_vs_python": "at most 15",
        "tab_vs_python": "at most 10",
    },
}


def main() -> int:
    """Measures; 0, or 1 with one line on stderr where that could not be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command, in turn (default 5)")
    parser.add_argument(
        "--slow-runs", type=int, default=3, help="runs of pyinfra and Ansible, 0 for none (default 3)"
    )
    options = parser.parse_args()
    try:
        document = measured(max(1, options.runs), max(0, options.slow_runs))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(json.dumps(document, indent=2))
    return 0


def measured(runs: int, slow_runs: int) -> dict[str, object]:
    """All ratios of medians, and what they were made from. Raises `BenchError`."""
    slow = min(runs, slow_runs)
    with tempfile.TemporaryDirectory(prefix="reconcile-bench-") as name:
        folder = Path(name)
        log = folder / "output"
        files = tools.settled(folder / "files")
        with started(folder, 100) as everywhere:
            ten = everywhere.first(10)
            commands = [tools.plan(folder, ten, files), tools.ssh(folder, ten)]
            if slow:
                venv = tools.tools_venv(tools.HERE.parent / ".venv/bench")
                others = (tools.pyinfra(folder, venv, ten, files), tools.ansible(folder, venv, ten, files))
                commands += [replace(each, most=slow) for each in others]
            say(f"10 hosts: {', '.join(each.name for each in commands)}; {runs} runs, of the slow {slow}")
            few = in_turn(commands, runs, log)
            say(f"100 hosts: plan, ssh; {runs} runs")
            both = [tools.plan(folder, everywhere, files), tools.ssh(folder, everywhere)]
            many = in_turn(both, runs, log)
        say("reconcile --version, validate, --help, a TAB, python -c pass; 20 runs")
        start = in_turn(
            [tools.version(), tools.validate(), tools.usage(), tools.tab(folder), tools.python()], 20, log
        )
    return {
        "hosts_10": {
            "plan_vs_ssh": _ratio(few["plan"], few["ssh"]),
            **{f"{name}_vs_plan": _ratio(few[name], few["plan"]) for name in few.keys() - QUICK},
        },
        "hosts_100": {"plan_vs_ssh": _ratio(many["plan"], many["ssh"])},
        "start": {
            f"{name}_vs_python": round(start[name].least_cpu / start["python"].least_cpu, 2)
            for name in ("version", "validate", "help", "tab")
        },
        "planner": planner.measured(),
        "wanted": WANTED,
        "resources_per_host": tools.COUNT,
        "parallel": tools.PARALLEL,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()},
        "timings": {
            "hosts_10": {name: each.document() for name, each in few.items()},
            "hosts_100": {name: each.document() for name, each in many.items()},
            "start": {name: each.document() for name, each in start.items()},
        },
    }


def _ratio(one: Timings, other: Timings) -> float:
    return round(one.seconds / other.seconds, 2)


if __name__ == "__main__":
    sys.exit(main())
