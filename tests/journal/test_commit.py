"""From which commit a file comes, by the real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.journal.commit import commit


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *who, "-C", str(folder), *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_commit_and_whether_the_file_differs_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "lab.yaml", tmp_path / "other.yaml"
    file.write_text("a")
    assert commit(file) is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    other.write_text("b")
    found = commit(file)
    assert found is not None
    assert (found.id, found.dirty) == (head, False)
    file.write_text("c")
    changed = commit(file)
    assert changed is not None
    assert changed.dirty
    untracked = commit(other)
    assert untracked is not None
    assert untracked.dirty
    monkeypatch.setenv("PATH", "")
    assert commit(file) is None
