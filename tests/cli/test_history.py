"""`history` on a journal that somebody has changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.journal.journal import Journal


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = '{}'",
        "UPDATE entries SET body = '[]'",
        'UPDATE entries SET body = \'{"who": 1, "command": [], "approvers": 3, "actions": {}}\'',
        "DROP TABLE entries",
    ],
)
def test_a_damaged_journal_ends_history_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, change: str
) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path))
    with Journal(tmp_path) as journal:
        journal.begin("lab", {"who": "me", "command": "apply", "approvers": [], "actions": 1}, b"")
    assert run(["history"]) == 0
    with sqlite3.connect(tmp_path / "journal.sqlite") as data:
        data.executescript(change)
    data.close()
    capsys.readouterr()
    for words in (["history"], ["history", "1"]):
        assert run(words) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(tmp_path / "journal.sqlite") in line
    assert run(["history", "--verify"]) == 2
