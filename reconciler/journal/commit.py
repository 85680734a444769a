"""From which commit an environment file comes. The door to git."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out where the file lies, and whether the file differs from it."""

    id: str
    dirty: bool


def commit(file: Path) -> Commit | None:
    """None where the file is under no version control, or there is no git."""
    head = _git(file, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(file, "status", "--porcelain", "--", file.name)
    return Commit(head.strip(), dirty=changed is None or bool(changed.strip()))


def _git(file: Path, *words: str) -> str | None:
    try:
        # Only looked at: a lock that this left behind would be in somebody's way.
        ended = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(file.resolve().parent), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None
