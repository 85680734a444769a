"""`make fuzz`: tries every door with inputs that a coverage-guided fuzzer (Atheris, libFuzzer) makes up.

Each door is tried in a process of its own, as many at a time as there are processors. An input for which a door
raises is kept below `found/DOOR/`, where `test_doors.py` tries it from then on.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LONGEST = 16 * 1024
"""Bytes of an input."""


def main() -> int:
    """Returns 0, or 1 where a door raised."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("doors", nargs="*", metavar="DOOR", help="all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each door")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        _fuzz(given.doors[0], given.seconds)
    from tests.fuzz.doors import DOORS

    if unknown := set(given.doors) - set(DOORS):
        parser.error(f"no such door: {', '.join(unknown)}; there are: {', '.join(DOORS)}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ended = list(pool.map(lambda door: _run(door, given.seconds), given.doors or DOORS))
    return 1 if any(ended) else 0


def _run(door: str, seconds: int) -> bool:
    """Whether the door raised."""
    command = [sys.executable, "-m", "tests.fuzz", "--inside", "--seconds", str(seconds), door]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    runs = re.search(r"Done (\d+) runs in (\d+) second", said)
    if done.returncode == 0 and runs:
        print(f"{door}: {runs[1]} inputs in {runs[2]} s", flush=True)
        return False
    print(f"{door}: RAISED\n{said[-3000:]}", flush=True)
    return True


def _fuzz(door: str, seconds: int) -> None:
    """Does not return: the fuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["reconciler"]):
        from tests.fuzz import doors
    folder = doors.FOUND / door
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(doors.known(door)):
            Path(corpus, str(number)).write_bytes(data)
        options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], *options, "-timeout=10", "-rss_limit_mb=2048", corpus], doors.DOORS[door])
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
