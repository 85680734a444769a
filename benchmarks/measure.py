"""Timing whole processes, in turn, each of which must have done what was asked of it."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 1800
"""Seconds after which a run is taken for hung."""


class BenchError(Exception):
    """Nothing was measured; the text is one line for a person."""


def say(line: str) -> None:
    """Tells of progress, on stderr."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def last_line(text: str) -> str:
    """The last line that is not blank, or a word for nothing."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "(nothing)"


@dataclass(frozen=True)
class Command:
    """Something to time. `wrong` says what is wrong with what it printed (stdout and stderr
    in one); `tidy` runs after the clock has stopped."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    wrong: Callable[[str], str | None] = lambda output: None
    tidy: Callable[[], None] = lambda: None
    stdin: bytes = b""
    most: int = 1000
    """In how many turns it takes part."""


@dataclass
class Timings:
    """The runs of one command: seconds on the wall, and of CPU by it and its children; and kB of memory at
    the most, of it or of one of these."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return statistics.median(self.wall)

    @property
    def least_cpu(self) -> float:
        """Seconds of CPU of the run that was disturbed least: what a start costs, whatever else runs."""
        return min(self.cpu)

    @property
    def least_memory(self) -> int:
        """Those of the run that took least, in kB."""
        return min(self.memory)

    def document(self) -> dict[str, object]:
        """All of it, for the report."""
        return {
            "seconds": round(self.seconds, 4),
            "cpu_seconds": round(statistics.median(self.cpu), 4),
            "kb": self.least_memory,
            "runs": [round(each, 4) for each in self.wall],
        }


Found = tuple[dict[str, object], dict[str, Mapping[str, Timings]]]
"""A part of the document, and the timings that it is made of."""


def ratio(one: Timings, other: Timings) -> float:
    """How long one takes beside the other, by the clock."""
    return round(one.seconds / other.seconds, 2)


def in_turn(commands: Sequence[Command], runs: int, log: Path) -> dict[str, Timings]:
    """Runs each command `runs` times, A B C A B C, so that a busy minute hits all of them."""
    timings = {command.name: Timings() for command in commands}
    for turn in range(runs):
        for command in commands:
            if turn < command.most:
                wall, cpu, memory = timed(command, log)
                timings[command.name].wall.append(wall)
                timings[command.name].cpu.append(cpu)
                timings[command.name].memory.append(memory)
    return timings


def timed(command: Command, log: Path) -> tuple[float, float, int]:
    """One run: seconds on the wall and of CPU, and kB of memory. Raises `BenchError` where it did not do its
    work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    status, memory = _run(command, log)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    command.tidy()
    output = log.read_text(encoding="utf-8", errors="replace")
    wrong = f"ended with {status}: {last_line(output)}" if status else command.wrong(output)
    if wrong:
        raise BenchError(f"{command.name}: {wrong}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory


def _run(command: Command, log: Path) -> tuple[int, int]:
    with log.open("wb") as output, tempfile.TemporaryFile() as given:
        given.write(command.stdin)
        given.seek(0)
        process = subprocess.Popen(
            command.argv,
            env=command.env,
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _waited(process, command.name)
    finally:
        if process.returncode is None:
            _end(process)


def _waited(process: subprocess.Popen[bytes], name: str) -> tuple[int, int]:
    """How a process ends, and kB of memory at the most. Raises `BenchError`."""
    limit = time.monotonic() + LIMIT
    pause = 0.0005
    while time.monotonic() < limit:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used.ru_maxrss
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    raise BenchError(f"{name}: no end after {LIMIT} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the group of a command that was interrupted: politely first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
            return
