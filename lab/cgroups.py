"""A control group per host.

Without one, all hosts share the group of whoever started them: their systemds then manage
each other's units, and stopping a service leaves its processes behind, silently.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from lab.processes import Process, running

MOUNTED: Final = Path("/sys/fs/cgroup")


def groups(fleet: str, index: int | None = None) -> list[Path]:
    """The folders of a host's control group (of a whole fleet's without an index).

    One on a machine with the unified layout; two with the hybrid one, where systemd
    keeps its own tree beside the unified tree and a process must be moved in both.
    """
    if (MOUNTED / "cgroup.controllers").exists():
        trees = [MOUNTED]
    else:
        trees = [MOUNTED / "systemd", MOUNTED / "unified"]
    name = f"reconcile-lab/{fleet}" + ("" if index is None else f"/{index}")
    return [tree / name for tree in trees if tree.is_dir()]


def members(group: Path) -> list[Process]:
    """Every process in a group and the groups below it."""
    found = []
    for folder, _, _ in os.walk(group):
        with suppress(OSError):
            for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split():
                process = running(int(line))
                if process is not None:
                    found.append(process)
    return found


def remove(group: Path, seconds: float = 5) -> None:
    """Remove a group bottom-up, and the lab's own folder above it when that is empty then."""
    deadline = time.monotonic() + seconds
    while group.is_dir():
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)
    for parent in (group.parent, group.parent.parent):
        if "reconcile-lab" in parent.parts:
            with suppress(OSError):
                parent.rmdir()
