"""`history`: what it is narrowed to, and a journal that somebody has changed."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.app import run
from reconciler.cli.rollback import without_lines
from reconciler.cli.workplace import Workplace
from reconciler.journal.journal import Journal, NoJournal
from reconciler.model import Ref
from tests.support.workplace import StoppedClock


def past(folder: Path) -> StoppedClock:
    """Runs 1 to 3 on three days: of `lab`, `stage` and `lab`; and a finding after the second."""
    clock = StoppedClock(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    with Journal(folder, clock=clock) as journal:
        for name in ("lab", "stage", "lab"):
            run_number = journal.begin(
                name, {"who": "me", "command": "apply", "approvers": [], "actions": 1}, b""
            )
            journal.end(run_number, name, {"code": 0})
            if name == "stage":
                finding = {"verdict": "drifted", "host": "a", "kind": "k", "name": "n", "detail": "x"}
                journal.append(0, name, "onset", finding)
            clock.now += timedelta(days=1)
    return clock


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], ["run 1", "run 2", "drifted", "run 3"]),
        (["-n", "1"], ["run 3"]),
        (["-n", "2"], ["run 2", "drifted", "run 3"]),
        (["--since", "2026-11-21"], ["run 2", "drifted", "run 3"]),
        (["--since", "2026-11-21T23:00+01:00"], ["run 2", "drifted", "run 3"]),
        (["--since", "2026-11-22T00:31+01:00"], ["run 3"]),
        (["--since", "36h"], ["run 3"]),
        (["--env", "lab"], ["run 1", "run 3"]),
        (["--env", "lab", "-n", "1"], ["run 3"]),
    ],
)
def test_history_is_narrowed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    words: list[str],
    shown: list[str],
) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path))
    clock = past(tmp_path)
    assert run(["history", *words], Workplace(clock=clock)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [next(each for each in shown if each in line) for line in lines] == shown
    assert all(" UTC  " in line for line in lines)


GROUPS = """
environment: lab
router: cn.example.org
blueprint: false
hosts: [{name: a.example.org, primary: true}, {name: b.example.org, groups: [web]}, {name: c.example.org}]
"""


@pytest.fixture
def acted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run 1 acted on a, run 2 on a and b, run 3 only locked b; run 4, of `stage`, acted on b; a finding on a."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    Path("lab.yaml").write_text(GROUPS)
    with Journal() as journal:
        for name, hosts in (("lab", "a"), ("lab", "ab"), ("lab", ""), ("stage", "b")):
            file = f"{name}.yaml"
            begun = {"who": "me", "command": "apply", "approvers": [], "actions": 1, "file": file}
            number = journal.begin(name, begun, b"")
            actions = [
                {"host": f"{host}.example.org", "kind": "file", "name": "/x", "verb": "create", "steps": []}
                for host in hosts
            ]
            locked = {"hosts": ["a.example.org", "b.example.org"], "lost": {}, "rollout": None}
            journal.append_all(
                number, name, [("locked", locked), ("intent", {"actions": actions, "passed": []})]
            )
            journal.end(number, name, {"code": 0})
        finding = {"verdict": "drifted", "host": "a.example.org", "kind": "k", "name": "n", "detail": "x"}
        journal.append(0, "lab", "onset", finding)
        journal.append(0, "lab", "refused", {"reasons": ["no"]})
    return tmp_path


def shown(out: str) -> list[str]:
    return [
        each
        for line in out.splitlines()
        for each in ("run 1", "run 2", "run 3", "run 4", "drifted")
        if each in line
    ]


@pytest.mark.parametrize(
    ("words", "runs", "said"),
    [
        (["--host", "a"], ["run 1", "run 2", "drifted"], ""),
        (["--host", "b.example.org"], ["run 2", "run 4"], ""),
        (["--host", "[ac]*"], ["run 1", "run 2", "drifted"], ""),
        (["--host", "!a"], ["run 2", "run 4"], ""),
        (["--host", "b", "--env", "lab"], ["run 2"], ""),
        (["--host", "b", "-n", "1"], ["run 4"], ""),
        (["--host", "web", "--env", "lab"], ["run 2"], ""),
        (["--host", "web"], ["run 2", "run 4"], "the groups of stage are not known: no environment file of"),
        (["--host", "c"], [], "has acted on c\n"),
    ],
)
def test_history_of_hosts(
    acted: Path, capsys: pytest.CaptureFixture, words: list[str], runs: list[str], said: str
) -> None:
    assert run(["history", *words]) == 0
    captured = capsys.readouterr()
    assert shown(captured.out) == runs
    assert said in captured.err
    assert bool(said) == bool(captured.err)


def test_history_of_hosts_that_nobody_knows(acted: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["history", "--host", "wep"]) == 64
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(
        "--host wep: no such host; known: a.example.org, b.example.org, c.example.org; groups: "
    )
    assert first.endswith("did you mean web?")
    assert second.endswith("name it with --env FILE")
    (acted / "lab.yaml").unlink()
    assert run(["history", "--host", "web", "--env", "lab"]) == 64
    assert "the groups of lab are not known" in capsys.readouterr().err
    assert run(["history", "--host", "a"]) == 0, "the journal knows the hosts without any file"
    assert run(["history", "1", "--host", "a"]) == 64
    capsys.readouterr()
    assert run(["history", "--json", "--host", "a"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {each["run"] for each in document["entries"]} == {0, 1, 2}


def test_history_refuses_what_it_cannot_narrow_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path))
    past(tmp_path)
    for words in (
        ["--since", "soon"],
        ["--since", "9999999w"],
        ["1", "-n", "1"],
        ["--verify", "--since", "1d"],
    ):
        assert run(["history", *words]) == 64
    assert "2026-11-25T13:00+01:00" in capsys.readouterr().err
    assert run(["history", "--env", "nowhere"]) == 64


def test_rollback_folds_what_has_no_way_back() -> None:
    without = {Ref("a", "x", "1"): "why", Ref("a", "x", "2"): "why", Ref("a", "y", "3"): "because"}
    assert list(without_lines(without, whole=False)) == [
        "cannot undo 2 resources (a x 1, …; -v lists them): why",
        "cannot undo a y 3: because",
    ]
    assert len(list(without_lines(without, whole=True))) == 3


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


def test_verify_says_of_each_run_whether_it_went_by_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path))
    past(tmp_path)
    assert run(["history", "--verify"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["3 runs of 3 went by the rules of a rollout."]
    intent = {
        "actions": [{"host": "h2", "kind": "file", "name": "/x", "verb": "change", "deltas": [], "steps": []}]
    }
    with Journal(tmp_path) as journal:
        begun = {"who": "me", "command": "apply", "approvers": [], "actions": 1, "file": "x", "digest": "y"}
        old = journal.begin("lab", begun, b"")
        journal.append_all(old, "lab", [("intent", intent), ("end", {"code": 1})])
        astray = journal.begin("lab", begun, b"")
        locked = {"hosts": ["h1"], "lost": {"h2": "it does not answer"}, "rollout": None}
        journal.append_all(astray, "lab", [("locked", locked), ("intent", {**intent, "passed": []})])
    assert run(["history", str(astray)]) == 0
    assert "locked h1\n    cannot be reached: h2: it does not answer" in capsys.readouterr().out
    assert run(["history", "--verify"]) == 2
    assert capsys.readouterr().out.splitlines()[1:] == [
        "3 runs of 5 went by the rules of a rollout.",
        (
            "1 run (4): as far as the journal tells; it says nothing of locks, turns and proofs:"
            " a version that did not record them has written it"
        ),
        "entry 13, run 5 of lab, goes against them [no-path]: it acts on h2 (file /x), which it has not locked",
    ]
    assert run(["history", "--verify", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["runs"]
    assert [each["result"] for each in told] == ["path", "path", "path", "recorded", "deviation"]
    assert (told[-1]["run"], told[-1]["entry"]) == (5, 13)


ODD = st.recursive(
    st.sampled_from([None, True, -1, 10**30, "", "x", "\0", "2026", "\udcff"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["ref", "steps", "x"]), inner)
    ),
    max_leaves=4,
)


@given(st.sampled_from(["begin", "locked", "intent", "outcome", "end", "onset", "odd"]), st.data())
def test_an_entry_of_any_form_ends_in_a_line(what: str, data: Any) -> None:
    names = st.sampled_from(
        [
            "who",
            "command",
            "approvers",
            "actions",
            "outcomes",
            "code",
            "lines",
            "left",
            "hosts",
            "lost",
            "rollout",
        ]
    )
    body = data.draw(st.dictionaries(names, ODD))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILE_STATE", folder)
        with Journal(Path(folder)) as journal:
            journal.begin("lab", {"who": "me", "command": "apply", "approvers": [], "actions": 1}, b"")
            with suppress(NoJournal, UnicodeError):
                journal.append(1, "lab", what, body)
        for words in (["history"], ["history", "1"], ["history", "--json"]):
            assert run(words) in (0, 71)
        assert run(["history", "--verify"]) in (0, 2)
