"""Sequences as data: how they are drawn from a seed, and shortened."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.world import DAY

Op = tuple[Any, ...]
NAMES = tuple(f"h{number}.example.org" for number in range(1, 6))

DRIFTS = (
    "vhost changed", "vhost broken", "vhost foreign", "vhost gone", "postgresql changed", "current gone",
    "current older", "proven gone", "staged gone", "copy cut off", "key mode", "service stopped", "link gone",
    "folder mode", "record gone", "links older", "renewal changed", "lineage gone", "incoming emptied",
)  # fmt: skip
LASTING = ("deaf", "loopback", "full", "lacks", "slow", "down")
"""What stays until somebody sees to it."""
AT_ONCE = ("kill", "cut", "hang", "reboot", "lie", "cron", "second", "jump")
EDITS = ("edition", "name", "add", "retire", "primary", "unavailable", "settle", "approvers", "back")
MOODS = ("down", "refuses", "well")


@dataclass(frozen=True)
class Sequence:
    """How many hosts there are at first, whether they are bare, what happens, and how many are canaries."""

    hosts: int
    bare: bool
    unavailable: int
    ops: tuple[Op, ...]
    canary: int = 0


def draw(seed: int) -> Sequence:
    """The sequence of a seed."""
    rng = random.Random(seed)
    hosts = rng.choice((1, 2, 2, 2, 3, 3))
    ops: list[Op] = []
    for _ in range(rng.randint(2, 6)):
        for _ in range(rng.choice((0, 1, 1, 2))):
            ops.append(_cause(rng))
        if rng.random() < 0.6:
            ops.append(_armed(rng))
        ops.append((rng.choice(("apply", "apply", "apply", "auto", "plan", "saved", "renew", "rollback")),))
        if ops[-1] == ("plan",):
            ops += rng.choice(([("approve",), ("saved",)], [("approve",)], [("saved",)], []))
    if rng.random() < 0.12:
        ops.insert(rng.randrange(len(ops)), ("dead", rng.randrange(5)))
    sequence = Sequence(hosts, rng.random() < 0.1, rng.choice((1, 1, 1, 2)), tuple(ops))
    sequence = _with_canaries(sequence, random.Random(f"canaries of {seed}"))
    sequence = _with_backup(sequence, random.Random(f"backups of {seed}"))
    return _with_return(sequence, random.Random(f"returns of {seed}"))


def _with_return(sequence: Sequence, rng: random.Random) -> Sequence:
    """The same, now and then with a primary whose disk is full while another one takes its place and renews, and
    that is the primary again before it has caught up; drawn apart, too."""
    if sequence.hosts == 1 or rng.random() >= 0.05:
        return sequence
    ops, at = [*sequence.ops], rng.randrange(len(sequence.ops) + 1)
    away: list[Op] = [("lasting", 0, "full"), ("edit", "primary", 1), ("apply",), ("due",), ("apply",)]
    ops[at:at] = [*away, ("edit", "primary", 0), ("heal",)]
    return replace(sequence, ops=tuple(ops))


def _with_canaries(sequence: Sequence, rng: random.Random) -> Sequence:
    """The same, now and then with canaries, or with an edit of how many: drawn apart, so that the rest of a
    seed stays what it was."""
    ops = [*sequence.ops]
    if rng.random() < 0.1:
        ops.insert(rng.randrange(len(ops) + 1), ("edit", "canary", rng.randrange(5)))
    return replace(sequence, ops=tuple(ops), canary=rng.choice((0, 0, 0, 1, 1, 2)))


def _with_backup(sequence: Sequence, rng: random.Random) -> Sequence:
    """The same, now and then with a lineage that is brought back from a backup; drawn apart, too."""
    ops = [*sequence.ops]
    if rng.random() < 0.1:
        ops.insert(rng.randrange(len(ops) + 1), ("drift", rng.randrange(5), "lineage older"))
    return replace(sequence, ops=tuple(ops))


def _cause(rng: random.Random) -> Op:
    what = rng.choice(("drift", "drift", "due", "due", "edit", "lasting", "ca", "wait", "heal", "stop"))
    host = rng.randrange(5)
    if what == "drift":
        return ("drift", host, rng.choice(DRIFTS))
    if what == "edit":
        return ("edit", rng.choice(EDITS), host)
    if what == "lasting":
        return ("lasting", host, rng.choice(LASTING))
    if what == "ca":
        return ("ca", rng.choice(MOODS))
    if what == "wait":
        return ("wait", rng.choice((1.0, 40.0, 3600.0, DAY, 20 * DAY)))
    return ("drift", host, "service stopped") if what == "stop" else (what,)


def _armed(rng: random.Random) -> Op:
    what = rng.choice(
        (*AT_ONCE, "kill", "cut", "drift", "lasting", "ca", "edit", "dead" if rng.random() < 0.1 else "kill")
    )
    ticks = rng.choice((rng.randint(1, 20), rng.randint(1, 200)))
    host = rng.randrange(5)
    if what == "drift":
        return ("arm", ticks, "drift", host, rng.choice(DRIFTS))
    if what == "lasting":
        return ("arm", ticks, "lasting", host, rng.choice(LASTING))
    if what == "ca":
        return ("arm", ticks, "ca", rng.choice(MOODS))
    if what == "jump":
        return ("arm", ticks, "jump", rng.choice((-30.0, -1800.0, 3600.0, 2 * DAY)))
    if what in ("reboot", "lie", "dead"):
        return ("arm", ticks, what, host)
    if what == "edit":
        return ("arm", ticks, "edit", rng.choice(EDITS), host)
    return ("arm", ticks, what)


def shorter(sequence: Sequence, fails: Callable[[Sequence], bool]) -> Sequence:
    """The same sequence without whatever can be left out of it so that it still fails."""
    size = len(sequence.ops)
    while size := size // 2:
        start = 0
        while start < len(sequence.ops):
            part = replace(sequence, ops=sequence.ops[:start] + sequence.ops[start + size :])
            if fails(part):
                sequence = part
            else:
                start += size
        if size == 1:
            break
    return sequence
