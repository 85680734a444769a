"""`make bench`: one JSON document on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import looks, planner, real, tools
from benchmarks.measure import BenchError, Found, Timings, in_turn, say

WANTED = {
    "real_3": {"plan_vs_ssh": "at most 2.5"},
    "hosts_10": {
        "plan_vs_ssh": "at most 1.5",
        "pyinfra_vs_plan": "at least 40",
        "ansible_vs_plan": "at least 100",
    },
    "hosts_1000": {"plan_vs_ssh": "at most 0.6", "cpu_ms_per_host": "at most 8", "kb_per_host": "at most 40"},
    "simulated_10000": {"cpu_vs_100": "0.8 to 1.2"},
    "planner": {"seconds": "at most 25", "mb": "at most 1500", "exponent": "at most 1.05"},
    "start": {
        "version_vs_python": "at most 4",
        "validate_vs_python": "at most 25",
        "help_vs_python": "at most 15",
        "tab_vs_python": "at most 10",
    },
}
PARTS = ("start", "planner", "real", "simulated", "loopback")
"""What is measured, in this order: what takes seconds first."""


def main() -> int:
    """Measures; 0, or 1 with one line on stderr where that could not be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command, in turn (default 5)")
    parser.add_argument(
        "--slow-runs",
        type=int,
        default=0,
        help="runs of pyinfra and Ansible; `ALL=1`: 3 (default 0)",
    )
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="measure this alone; may be given several times"
    )
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is used twice is not compiled twice
    try:
        document = measured(max(1, options.runs), max(0, options.slow_runs), options.part or PARTS)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(json.dumps(document, indent=2))
    return 0


def measured(runs: int, slow_runs: int, parts: Sequence[str]) -> dict[str, object]:
    """All ratios of medians, and what they were made from. Raises `BenchError`."""
    began = time.monotonic()
    document: dict[str, object] = {}
    timings: dict[str, Mapping[str, Timings]] = {}
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="reconcile-bench-") as name:
            found, taken = _measure(part, Path(name), runs, min(runs, slow_runs))
        document |= found
        timings |= taken
    return {
        **document,
        "wanted": WANTED,
        "resources_per_host": tools.COUNT,
        "parallel": tools.PARALLEL,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()},
        "minutes": round((time.monotonic() - began) / 60, 1),
        "timings": {
            where: {name: each.document() for name, each in taken.items()} for where, taken in timings.items()
        },
    }


def _measure(part: str, folder: Path, runs: int, slow_runs: int) -> Found:
    match part:
        case "start":
            return _start(folder)
        case "planner":
            return {"planner": planner.measured()}, {}
        case "real":
            return real.nodes(folder, runs)
        case "simulated":
            return looks.ten_thousand(folder, runs)
    return looks.loopback(folder, runs, slow_runs)


def _start(folder: Path) -> Found:
    say("reconcile --version, validate, --help, a TAB, python -c pass; 20 runs")
    commands = [tools.version(), tools.validate(), tools.usage(), tools.tab(folder), tools.python()]
    start = in_turn(commands, 20, folder / "output")
    floor = start["python"].least_cpu
    costs = {f"{name}_vs_python": round(each.least_cpu / floor, 2) for name, each in start.items()}
    del costs["python_vs_python"]
    return {"start": costs}, {"start": start}


if __name__ == "__main__":
    sys.exit(main())
