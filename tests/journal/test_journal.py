"""The journal: what is in it stays, what was changed in it is found, what cannot be written is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.clock import Clock, utc_now
from reconciler.journal.journal import Journal, NoJournal
from reconciler.journal.record import RunRecord
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.serving import Serving
from reconciler.kinds.certificate.store import OWN, Store
from reconciler.model import Action, Delta, Observation, Outcome, Ref, Step

REF = Ref("a", "file", "/x")


def action() -> Action:
    return Action(
        REF, "change", (Delta("mode", "0644", "0600"),), (Step("chmod 0600 /x", "so"),), seen_digest="0"
    )


def filled(folder: Path, clock: Clock = utc_now) -> Journal:
    journal = Journal(folder, clock=clock)
    number = journal.begin("lab", {"who": "me", "command": "apply"}, b"environment: lab\n")
    run = RunRecord(journal, number, "lab")
    run.record_intent([action()])
    run.record_outcomes([Outcome(REF, "done")])
    journal.end(number, "lab", {"code": 0})
    return journal


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        assert [each.what for each in journal.entries(1)] == ["begin", "intent", "outcome", "end"]
        (told,) = journal.entries(1, "lab", "intent")
        assert told.body["actions"][0]["steps"] == ["chmod 0600 /x"]
        assert journal.text(journal.entries(1)[0].body["file_digest"]) == b"environment: lab\n"
        assert journal.verify() == []
        assert journal.begin("lab", {}, b"") == 2
    assert (tmp_path / "journal.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = replace(body, '0600', '0601') WHERE what = 'intent'",
        "UPDATE entries SET at = '2026-01-01T00:00:00+00:00' WHERE number = 2",
        "DELETE FROM entries WHERE number = 3",
        "DELETE FROM entries WHERE number = 1",
        "UPDATE entries SET hash = 'x' WHERE number = 2",
        "UPDATE texts SET text = x'00'",
    ],
)
def test_whatever_is_changed_afterwards_is_found(tmp_path: Path, change: str) -> None:
    with filled(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "journal.sqlite") as data:
        assert data.execute(change).rowcount == 1
    data.close()
    with Journal(tmp_path, write=False) as journal:
        assert len(journal.verify()) >= 1


def test_entries_that_were_cut_off_at_the_end_are_missed(tmp_path: Path) -> None:
    head = tmp_path / "journal.head"
    with filled(tmp_path):
        pass
    assert head.stat().st_mode & 0o777 == 0o600
    kept = head.read_text()

    def told() -> list[str]:
        with Journal(tmp_path, write=False) as journal:
            return journal.verify()

    assert told() == []
    with sqlite3.connect(tmp_path / "journal.sqlite") as data:
        data.execute("DELETE FROM entries WHERE number > 2")
    data.close()
    assert told() == ["entries were cut off at its end: there were 4 (journal.head)"]
    # Also where others were written in their place.
    with Journal(tmp_path) as journal:
        journal.append_all(1, "lab", [("outcome", {}), ("end", {})])
    head.write_text(kept)
    assert told() == ["entry 4 is another than the one that was written (journal.head)"]
    head.write_text("nonsense\n")
    assert told() == ["the record of its end, journal.head, was changed"]
    head.unlink()
    assert told() == ["the record of its end, journal.head, is missing: entries may have been cut off"]
    # A record that lags behind, as a kill right after a write leaves it, is none that is wrong.
    with filled(tmp_path / "other") as journal:
        lag = (tmp_path / "other" / "journal.head").read_text()
        journal.append(0, "lab", "onset", {})
        (tmp_path / "other" / "journal.head").write_text(lag)
        assert journal.verify() == []


def test_any_byte_of_what_was_written_counts(tmp_path: Path) -> None:
    with filled(tmp_path):
        pass
    path = tmp_path / "journal.sqlite"
    whole = path.read_bytes()
    for what in (b"chmod 0600 /x", b'"done"', b'"code":0', b"environment: lab"):
        at = whole.index(what) + 1
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with Journal(tmp_path, write=False) as journal:
            assert journal.verify(), what
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(NoJournal, match="not a database"):
        Journal(tmp_path, write=False).entries()


ANOTHER_TABLE = """
ALTER TABLE entries RENAME TO old;
CREATE TABLE entries (number, at, run, environment, what, body, hash);
INSERT INTO entries VALUES ('x', x'00', NULL, 1, 2, 3, 4), ('y', '', 0, '', '', '', '');
"""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET body = '[]' WHERE number = 2",
        "UPDATE entries SET body = '{' WHERE number = 2",
        "UPDATE entries SET body = '" + "[" * 20_000 + "' WHERE number = 2",
        "UPDATE entries SET at = 'yesterday' WHERE number = 4",
        "DROP TABLE entries",
        ANOTHER_TABLE,
        "DROP TABLE texts; CREATE TABLE texts (digest, text); INSERT INTO texts VALUES (1, 'x')",
    ],
    ids=["list", "no JSON", "nested", "no time", "no table", "another table", "other texts"],
)
def test_a_damaged_journal_is_told_in_a_line(tmp_path: Path, change: str) -> None:
    with filled(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "journal.sqlite") as data:
        data.executescript(change)
    data.close()
    with Journal(tmp_path, write=False) as journal:
        assert journal.verify()
        if "texts" not in change:
            with pytest.raises(NoJournal, match=r"journal\.sqlite"):
                journal.entries()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoJournal, match="RECONCILE_STATE"):
        Journal(tmp_path / "file")


def test_a_full_disk_is_told_and_nothing_half_is_kept(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        before = journal.entries()
        pages = journal._data.execute("PRAGMA page_count").fetchone()[0]
        journal._data.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NoJournal, match="full"):
            journal.append(1, "lab", "intent", {"actions": ["x" * 100_000]})
        assert journal.entries() == before
        assert journal.verify() == []


def _writes(folder: Path, times: int) -> None:
    with Journal(folder) as journal:
        for number in range(times):
            journal.append(0, "lab", "onset", {"n": number})


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    Journal(tmp_path).__exit__()
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_writes, args=(tmp_path, 20)) for _ in range(3)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    with Journal(tmp_path, write=False) as journal:
        assert len(journal.entries()) == 60
        assert journal.verify() == []


def test_a_clock_that_was_set_back_brings_nothing_back_to_life(tmp_path: Path) -> None:
    newest = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    times = [newest]
    with filled(tmp_path, lambda: times[-1]) as journal:
        times.append(newest - timedelta(days=3))
        assert journal.latest() == newest
        journal.append(0, "lab", "onset", {})
        assert journal.latest() == newest
        assert journal.verify() == []
        times.append(datetime(2040, 1, 1, tzinfo=UTC))
        assert journal.latest().year == 2040


DIES = """
import sys, time
from pathlib import Path
from reconciler.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
print(journal.begin("lab", {"who": "me"}, b""), flush=True)
time.sleep(60)
"""


def test_a_run_that_was_killed_is_known_as_broken_off_and_one_that_lives_is_not(tmp_path: Path) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", DIES, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process,
        Journal(tmp_path) as journal,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert journal.broken("lab") == []
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert journal.broken("lab") == [1]
        assert journal.broken("other") == []
        journal.end(1, "lab", {"code": None})
        assert journal.broken("lab") == []


def test_what_waits_to_be_sent_stays_until_it_is(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.post("lab", "mail", "{}")
        journal.tried(1, sent=False)
        ((number, environment, channel, notice, made, tried),) = journal.outbox()
        assert (number, environment, channel, notice, tried) == (1, "lab", "mail", "{}", 1)
        assert abs(datetime.fromisoformat(made).timestamp() - time.time()) < 60
        journal.tried(1, sent=True)
        assert journal.outbox() == []


WRITES = """
import os, sqlite3, sys
data = sqlite3.connect(sys.argv[1], isolation_level=None)
data.execute("PRAGMA cache_size = 1")
data.execute("BEGIN IMMEDIATE")
for number in range(100):
    data.execute("INSERT INTO texts VALUES (?, ?)", (str(number), b"x" * 5000))
data.execute("UPDATE entries SET body = '{}'")
os.kill(os.getpid(), 9)
"""


def test_a_kill_in_the_middle_of_a_commit_leaves_what_was_there(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        whole = journal.entries()
    subprocess.run([sys.executable, "-c", WRITES, str(journal.path)], check=False)
    assert (tmp_path / "journal.sqlite-journal").exists()
    with Journal(tmp_path, write=False) as journal:
        assert journal.entries() == whole
        assert journal.verify() == []


def test_the_last_look_of_each_environment_is_kept(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        assert journal.last_look("lab") is None
        journal.keep_look("lab", 1, {"n": 1})
        journal.keep_look("lab", 2, {"n": 2})
        journal.keep_look("other", 3, {"n": 3})
        at, entry, body = journal.last_look("lab") or ("", 0, {})
        assert (datetime.fromisoformat(at).tzinfo, entry, body) == (UTC, 2, {"n": 2})
        assert journal.verify() == []


def test_a_journal_from_before_looks_were_kept_has_none(tmp_path: Path) -> None:
    with filled(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "journal.sqlite") as data:
        data.execute("DROP TABLE looks")
    data.close()
    with Journal(tmp_path, write=False) as journal:
        assert journal.last_look("lab") is None
        assert journal.entries(None, "lab")


def test_entries_after_one_and_the_newest_run(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert journal.last_run("lab") is None
        run = journal.begin("lab", {}, b"")
        number = journal.head()[0]
        journal.append(0, "lab", "onset", {})
        journal.begin("other", {}, b"")
        assert journal.last_run("lab") == run
        assert [each.what for each in journal.entries(None, "lab", after=number)] == ["onset"]


def test_what_the_rollout_of_each_certificate_begins_with_is_told(tmp_path: Path) -> None:
    def serving(name: str, store: Store = OWN) -> Serving:
        lineage, trust = Ref("a", "certificate", name), Trust((name,), b"")
        return Serving(host="a", router=name, lineage=lineage, trust=trust, endpoints=(), store=store)

    own, web = serving("cn.example.org"), serving("web", Store("web"))
    seen = Observation({each.ref: {"current": each.router, "proven": each.router} for each in (own, web)})
    with Journal(tmp_path) as journal:
        number = journal.begin("lab", {}, b"")
        RunRecord(journal, number, "lab").record_lock(
            ["a"], seen, [own, web], {"cn.example.org": 1, "web": 2}
        )
        (entry,) = (each for each in journal.entries(number) if each.what == "locked")
    assert entry.body["rollout"]["seen"] == {"a": {"current": "cn.example.org", "proven": "cn.example.org"}}
    assert entry.body["rollout"]["max_unavailable"] == 1
    (web_told,) = entry.body["beside"].values()
    assert (web_told["max_unavailable"], web_told["seen"]["a"]["current"]) == (2, "web")
