"""`history` on a journal that somebody has changed."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.app import run
from reconciler.journal.journal import Journal, NoJournal


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
        assert run(words) == 71
        (line,) = capsys.readouterr().err.splitlines()
        assert str(tmp_path / "journal.sqlite") in line
    assert run(["history", "--verify"]) == 2


ODD = st.recursive(
    st.sampled_from([None, True, -1, 10**30, "", "x", "\0", "2026", "\udcff"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["ref", "steps", "x"]), inner)
    ),
    max_leaves=4,
)


@given(st.sampled_from(["begin", "intent", "outcome", "end", "onset", "odd"]), st.data())
def test_an_entry_of_any_form_ends_in_a_line(what: str, data: Any) -> None:
    names = st.sampled_from(["who", "command", "approvers", "actions", "outcomes", "code", "lines", "left"])
    body = data.draw(st.dictionaries(names, ODD))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILE_STATE", folder)
        with Journal(Path(folder)) as journal:
            journal.begin("lab", {"who": "me", "command": "apply", "approvers": [], "actions": 1}, b"")
            with suppress(NoJournal, UnicodeError):
                journal.append(1, "lab", what, body)
        for words in (["history"], ["history", "1"], ["history", "--json"]):
            assert run(words) in (0, 71)
