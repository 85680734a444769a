"""Many sequences on all cores: `python -m tests.simulation --count N | --seconds N`; one again: `--seed N`."""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context

from tests.simulation.bugs import BUGS
from tests.simulation.drawing import Sequence, draw, shorter
from tests.simulation.sequence import carry_out
from tests.simulation.world import Violated

MINUTE = 60.0
CHUNK = 50
"""Sequences that a process carries out before it reports."""


def failure(sequence: Sequence, bug: str | None = None) -> str | None:
    """Why a sequence fails; None where all holds."""
    try:
        carry_out(sequence, BUGS[bug] if bug else None)
    except Violated as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    return None


def _chunk(given: tuple[int, str | None]) -> list[tuple[int, str]]:
    first, bug = given
    gc.collect()
    gc.freeze()
    found = ((seed, failure(draw(seed), bug)) for seed in range(first, first + CHUNK))
    return [(seed, why) for seed, why in found if why]


def replay(seed: int, bug: str | None) -> int:
    """One sequence, with all that happens in it; if it fails, the shortest part of it that fails alike."""
    sequence = draw(seed)
    if why := failure(sequence, bug):
        sequence = shorter(sequence, lambda each: failure(each, bug) is not None)
    print(sequence)
    try:
        carry_out(sequence, BUGS[bug] if bug else None, tell=print)
    except Violated as error:
        print(f"seed {seed}: {error}")
        return 1
    print(f"seed {seed}: {why or 'all holds'}")
    return 1 if why else 0


def hunt(bug: str, first: int = 0, seconds: float = MINUTE) -> int | None:
    """The seed of the first sequence, from `first` on, that finds a planted bug; None where none does within
    so many seconds of this process's time."""
    end = time.process_time() + seconds
    seeds = itertools.takewhile(lambda _: time.process_time() < end, itertools.count(first))
    return next((seed for seed in seeds if failure(draw(seed), bug)), None)


def hunt_all(first: int) -> int:
    """Prints how long it takes to find each planted bug."""
    found = 0
    for bug in BUGS:
        begin = time.process_time()
        seed = hunt(bug, first)
        found += seed is not None
        print(
            f"{time.process_time() - begin:6.1f} s  {bug}: {'not found' if seed is None else f'seed {seed}'}"
        )
    return 0 if found == len(BUGS) else 1


def main() -> int:
    """Carries out what is asked for; 1 where something does not hold."""
    ask = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    ask.add_argument("--count", type=int, default=0, help="how many sequences")
    ask.add_argument("--seconds", type=float, default=0, help="for how long, in place of --count")
    ask.add_argument("--first", type=int, default=0, help="the seed of the first one")
    ask.add_argument("--seed", type=int, help="carry out this one alone, and tell all that happens")
    ask.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    ask.add_argument("--bug", choices=sorted(BUGS), help="plant this bug")
    ask.add_argument(
        "--bugs", action="store_true", help="plant each bug, and tell how long it takes to find it"
    )
    given = ask.parse_args()
    if given.bugs:
        return hunt_all(given.first)
    if given.seed is not None:
        return replay(given.seed, given.bug)
    if not (given.count or given.seconds):
        ask.error("needs --count, --seconds or --seed")
    return many(given.first, given.count, given.seconds, given.jobs, given.bug)


def many(first: int, count: int, seconds: float, jobs: int, bug: str | None) -> int:
    """Prints how many were carried out, in which time, and the seed of the first that fails."""
    begin, done = time.monotonic(), 0
    bad: list[tuple[int, str]] = []
    work = _work(first, count, begin + seconds if seconds else None, bug)
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        running = {pool.submit(_chunk, each) for each in itertools.islice(work, jobs)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            done += CHUNK * len(ended)
            bad += [each for one in ended for each in one.result()]
            if not (bug and bad):
                running |= {pool.submit(_chunk, each) for each in itertools.islice(work, len(ended))}
    bad.sort()
    took = time.monotonic() - begin
    print(f"{done} sequences in {took:.0f} s ({3600 * done / took:.0f} an hour), {len(bad)} fail")
    for seed, why in bad[:20]:
        print(f"  seed {seed}: {why[:600]}")
    if bad:
        again = f"python -m tests.simulation --seed {bad[0][0]}" + (f" --bug {bug!r}" if bug else "")
        print(f"the first again: {again}")
    return 1 if bad else 0


def _work(first: int, count: int, until: float | None, bug: str | None) -> Iterator[tuple[int, str | None]]:
    for start in itertools.count(first, CHUNK):
        if (count and start >= first + count) or (until is not None and time.monotonic() > until):
            return
        yield start, bug


if __name__ == "__main__":
    sys.exit(main())
