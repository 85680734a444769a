"""From which commit an environment file comes. The door to git."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out where the file lies, and whether the file differs from it."""

    id: str
    dirty: bool


@dataclass(frozen=True)
class Authors:
    """The mail addresses of those who changed an environment last, by its commits; or why they are not
    known."""

    addresses: frozenset[str] = frozenset()
    unknown: str = ""


def commit(file: Path) -> Commit | None:
    """None where the file is under no version control, or there is no git."""
    head = _git(file, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(file, "status", "--porcelain", "--", file.name)
    return Commit(head.strip(), dirty=changed is None or bool(changed.strip()))


def authors(file: Path, sources: Iterable[str] = ()) -> Authors:
    """Who changed an environment file, or one of the files that it names (by paths beside it), in the
    last commit of each. An address in a commit is what its author says; only a server that checks it,
    or signed commits, make it more than that."""
    found: set[str] = set()
    for each in (file, *(file.parent / source for source in sources)):
        changed = _git(each, "status", "--porcelain", "--", each.name)
        said = _git(each, "log", "-1", "--format=%ae%n%ce%n%P", "--", each.name)
        if changed is None or said is None or not (changed or said).strip():
            if each == file:
                return Authors(unknown=f"{file} is under no version control")
            continue
        if changed.strip():
            return Authors(unknown=f"{each} has uncommitted changes")
        author, committer, parents = [*said.splitlines(), ""][:3]
        if not parents and (_git(each, "rev-parse", "--is-shallow-repository") or "").strip() == "true":
            return Authors(unknown="this checkout is shallow; fetch its history")
        found |= {author, committer}
    return Authors(frozenset(found))


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
