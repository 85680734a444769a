"""What was intended and what was done, in SQLite on the machine that runs reconcile.

The journal only grows. Each entry carries the SHA-256 over itself and the hash of the one
before, so that a changed, removed or inserted entry is found by `verify`. It is evidence, not
state: the hosts are looked at again whatever it says, and another machine plans the same plan.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from reconciler.clock import Clock, utc_now
from reconciler.journal.chain import broken_links, canonical, chained, changed_texts, cut_off, parsed
from reconciler.journal.place import NAME, folder
from reconciler.messages import Message
from reconciler.model import Ref

HEAD = "journal.head"
"""Beside it: how many entries there are, and the hash of the last one. The chain alone cannot tell that
entries were cut off at its end."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, run INTEGER NOT NULL, environment TEXT NOT NULL,
  what TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_run ON entries (run);
CREATE TABLE IF NOT EXISTS settled (
  environment TEXT NOT NULL, ref TEXT NOT NULL, want TEXT NOT NULL, PRIMARY KEY (environment, ref)) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
  number INTEGER PRIMARY KEY, environment TEXT NOT NULL, channel TEXT NOT NULL, notice TEXT NOT NULL,
  made TEXT NOT NULL, tried INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS alerts (
  environment TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (environment, id)) STRICT;
CREATE TABLE IF NOT EXISTS looks (
  environment TEXT PRIMARY KEY, at TEXT NOT NULL, entry INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS elsewhere (
  number INTEGER PRIMARY KEY, environment TEXT NOT NULL, host TEXT NOT NULL, digest TEXT NOT NULL,
  line TEXT NOT NULL, signer TEXT NOT NULL, UNIQUE (environment, host, digest)) STRICT;
CREATE TABLE IF NOT EXISTS records (
  environment TEXT NOT NULL, host TEXT NOT NULL, head TEXT NOT NULL, remark TEXT NOT NULL,
  settled TEXT NOT NULL, PRIMARY KEY (environment, host)) STRICT;
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, text BLOB NOT NULL) STRICT;
"""
PATIENCE = 30
"""Seconds to wait for another process that is writing."""


class NoJournal(Exception):
    """The journal cannot be read or written; the message says where and why."""


@dataclass(frozen=True)
class JournalEntry:
    """One entry. `what` is begin, intent, outcome or end of a run; onset, recovery or refused.

    `number` counts from 1 over all entries; `run` is 0 where it belongs to none; `at` is the
    time in UTC (ISO 8601); `body` is a JSON object.
    """

    number: int
    at: str
    run: int
    environment: str
    what: str
    body: Mapping[str, Any]


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "fix that, or set RECONCILE_STATE to a writable folder"
        if "readonly" in reason and _rollback_journal(path).exists():
            reason = "a process was ended while it wrote, and what it had not finished has to be undone first"
            hint = "any command does that, run once by the account that owns the file"
        raise NoJournal(f"the journal {path} cannot be used: {reason}; {hint} {Message.NO_JOURNAL}") from None


def _rollback_journal(path: Path) -> Path:
    """What SQLite undoes a transaction by that a kill or the power has cut off; the next process that
    may write does so (sqlite.org/lockingv3.html, "Hot Journals")."""
    return path.with_name(f"{path.name}-journal")


class Journal:
    """The journal in a folder; made where there is none, unless it is only to be read.

    Every method raises `NoJournal` where the file cannot be read or written, or is damaged.

    Several processes may use one: each entry is a transaction of its own, synced to disk.
    """

    def __init__(self, where: Path | None = None, *, write: bool = True, clock: Clock = utc_now) -> None:
        self.folder = where or folder()
        self.clock = clock
        self.path = self.folder / NAME
        with _sqlite_errors(self.path):
            if write:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._data = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
                self.path.chmod(0o600)
            else:
                mode = "rw" if _rollback_journal(self.path).exists() else "ro"
                uri = f"{self.path.resolve().as_uri()}?mode={mode}"
                self._data = sqlite3.connect(uri, timeout=PATIENCE, isolation_level=None, uri=True)
            try:
                # An entry is on the disk before what it announces is done (sqlite.org/pragma.html).
                self._data.execute("PRAGMA synchronous = FULL")
                if write:
                    self._data.executescript(SCHEMA)
            except sqlite3.Error:
                self._data.close()
                raise
        self._alive: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        if self._alive is not None:
            os.close(self._alive)

    # Writing

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _sqlite_errors(self.path):
            self._data.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):
                    self._data.execute("ROLLBACK")
                raise
            self._data.execute("COMMIT")

    def append(self, run: int, environment: str, what: str, body: Mapping[str, Any]) -> None:
        """Adds an entry; on disk when it returns. Run 0 is no run: what `drift` has noticed."""
        self.append_all(run, environment, [(what, body)])

    def append_all(
        self, run: int, environment: str, entries: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> None:
        """Adds several entries, all or none."""
        with self._transaction():
            for what, body in entries:
                self._append(run, environment, what, body)
        self._record_head()

    def _record_head(self) -> None:
        """Written once the entries are there, so that a kill in between leaves a record that lags behind."""
        number, digest = self.head()
        with _sqlite_errors(self.path):
            new = self.folder / f".{HEAD}.{os.getpid()}"
            new.write_text(f"{number} {digest}\n", encoding="ascii")
            new.chmod(0o600)
            new.replace(self.folder / HEAD)

    def _append(self, run: int, environment: str, what: str, body: Mapping[str, Any]) -> None:
        last = self._data.execute("SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1").fetchone()
        number, before = last or (0, "")
        row = (
            number + 1,
            self.clock().isoformat(timespec="seconds"),
            run,
            environment,
            what,
            canonical(body),
        )
        self._data.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, chained(before, row)))

    def begin(self, environment: str, body: Mapping[str, Any], text: bytes) -> int:
        """Begins a run and returns its number; `text` is the environment file, kept once."""
        with self._transaction():
            run = self._data.execute("SELECT coalesce(max(run), 0) + 1 FROM entries").fetchone()[0]
            digest = hashlib.sha256(text).hexdigest()
            self._data.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
            self._append(run, environment, "begin", {**body, "file_digest": digest})
        self._record_head()
        with _sqlite_errors(self.path):
            self._alive = os.open(self._lock_of_run(run), os.O_CREAT | os.O_RDWR, 0o600)
            # flock(2): the kernel drops the lock with the last descriptor, also after kill -9.
            fcntl.flock(self._alive, fcntl.LOCK_EX)
        return int(run)

    def keep(self, text: bytes) -> None:
        """Keeps a text, once, so that `text` finds it by its SHA-256."""
        with self._transaction():
            row = (hashlib.sha256(text).hexdigest(), text)
            self._data.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", row)

    def end(self, run: int, environment: str, body: Mapping[str, Any]) -> None:
        """Ends a run; the process that began it is no longer looked for."""
        self.append(run, environment, "end", body)
        self._lock_of_run(run).unlink(missing_ok=True)

    def _lock_of_run(self, run: int) -> Path:
        """Locked as long as the run's process lives: the lock goes when the process goes."""
        return self.folder / f"run-{run}.lock"

    def change(self, *statements: tuple[str, Iterable[Any]]) -> None:
        """Carries out statements of SQL with their values, all or none: for what is kept beside entries."""
        with self._transaction():
            for statement, values in statements:
                self._data.execute(statement, tuple(values))

    def rows(self, table: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query of SQL finds; nothing where the file is of a version without that table."""
        known = "SELECT 1 FROM sqlite_master WHERE name = ?"
        with _sqlite_errors(self.path):
            if not self._data.execute(known, (table,)).fetchone():
                return []
            return self._data.execute(query, values).fetchall()

    def settle(self, environment: str, wants: Mapping[Ref, str]) -> None:
        """Remembers which resources were seen to be as desired."""
        rows = [(environment, str(ref), want) for ref, want in wants.items()]
        with self._transaction():
            self._data.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", rows)

    def keep_alerts(self, environment: str, alerts: Mapping[str, Mapping[str, Any]]) -> None:
        """Remembers the alerts that are open, in place of those before."""
        rows = [(environment, key, canonical(body)) for key, body in alerts.items()]
        with self._transaction():
            self._data.execute("DELETE FROM alerts WHERE environment = ?", (environment,))
            self._data.executemany("INSERT INTO alerts VALUES (?, ?, ?)", rows)

    def keep_look(self, environment: str, entry: int, body: Mapping[str, Any]) -> None:
        """Remembers what the last look at a whole environment has found, in place of the one before.
        `entry` is the number of the newest entry when it began."""
        row = (environment, self.clock().isoformat(timespec="seconds"), entry, canonical(body))
        with self._transaction():
            self._data.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)", row)

    def post(self, environment: str, channel: str, notice: str) -> None:
        """Puts a notice into the outbox."""
        with self._transaction():
            made = self.clock().isoformat(timespec="seconds")
            row = (environment, channel, notice, made)
            self._data.execute(
                "INSERT INTO outbox (environment, channel, notice, made) VALUES (?, ?, ?, ?)", row
            )

    def tried(self, number: int, *, sent: bool) -> None:
        """A notice was sent, and leaves the outbox; or not, and stays for the next run."""
        change = "DELETE FROM outbox" if sent else "UPDATE outbox SET tried = tried + 1"
        with self._transaction():
            self._data.execute(f"{change} WHERE number = ?", (number,))

    # Reading

    def entries(
        self, run: int | None = None, environment: str | None = None, *what: str, after: int = 0
    ) -> list[JournalEntry]:
        """The entries, oldest first; of one run, one environment, of some kinds; those whose number is
        larger than `after`."""
        query = "SELECT number, at, run, environment, what, body FROM entries WHERE number > ?"
        values: list[str | int] = [after]
        if run is not None:
            query, values = f"{query} AND run = ?", [*values, run]
        if environment is not None:
            query, values = f"{query} AND environment = ?", [*values, environment]
        if what:
            query, values = f"{query} AND what IN ({', '.join('?' * len(what))})", [*values, *what]
        with (
            _sqlite_errors(self.path),
            closing(self._data.execute(f"{query} ORDER BY number", values)) as rows,
        ):
            return [self._entry(row) for row in rows]

    def _entry(self, row: tuple[Any, ...]) -> JournalEntry:
        number, at, run, environment, what, body = row
        try:
            datetime.fromisoformat(at)
            return JournalEntry(number, at, int(run), environment, what, parsed(body))
        except (ValueError, TypeError):
            raise self._damaged(f"entry {number}") from None

    def _damaged(self, what: str) -> NoJournal:
        hint = "`reconcile history --verify` lists what was changed"
        return NoJournal(f"the journal {self.path} is damaged: {what} cannot be read; {hint}")

    def settled(self, environment: str) -> dict[str, str]:
        """For each ref that was ever seen to be as desired, what was desired then."""
        return dict(self.rows("settled", "SELECT ref, want FROM settled WHERE environment = ?", environment))

    def alerts(self, environment: str) -> dict[str, Any]:
        """The alerts that are open, by their id; one that cannot be read is none."""
        found: dict[str, Any] = {}
        for key, body in self.rows(
            "alerts", "SELECT id, body FROM alerts WHERE environment = ?", environment
        ):
            with suppress(ValueError, TypeError):
                found[key] = parsed(body)
        return found

    def last_look(self, environment: str) -> tuple[str, int, dict[str, Any]] | None:
        """The last look at a whole environment: when (ISO 8601), the newest entry before it, and what it
        found; None where there was none, or it cannot be read."""
        with suppress(ValueError, TypeError):
            for at, entry, body in self.rows(
                "looks", "SELECT at, entry, body FROM looks WHERE environment = ?", environment
            ):
                return at, int(entry), parsed(body)
        return None

    def last_run(self, environment: str) -> int | None:
        """The number of the newest run of an environment; None where there was none."""
        with _sqlite_errors(self.path):
            query = "SELECT max(run) FROM entries WHERE environment = ? AND what = 'begin'"
            found: int | None = self._data.execute(query, (environment,)).fetchone()[0]
        return found

    def outbox(self) -> list[tuple[int, str, str, str, str, int]]:
        """What waits to be sent, oldest first: number, environment, channel, notice (JSON), when it
        was made (ISO 8601), and how often it was tried."""
        with _sqlite_errors(self.path):
            query = "SELECT number, environment, channel, notice, made, tried FROM outbox ORDER BY number"
            return self._data.execute(query).fetchall()

    def text(self, digest: str) -> bytes | None:
        """The environment file with this SHA-256 (hexadecimal), as a run has read it; None where no
        run has."""
        with _sqlite_errors(self.path):
            row = self._data.execute("SELECT text FROM texts WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None

    def latest(self) -> datetime:
        """Now, or the time of the newest entry where that is later: time does not run backwards
        here, whatever is done to the clock."""
        with _sqlite_errors(self.path):
            at = self._data.execute("SELECT max(at) FROM entries").fetchone()[0]
        now = self.clock()
        try:
            return max(now, datetime.fromisoformat(at)) if at else now
        except (ValueError, TypeError):
            raise self._damaged(f"the time {at!r}") from None

    def head(self) -> tuple[int, str]:
        """How many entries there are, and the hash of the newest: whoever keeps that elsewhere
        can tell later whether entries were cut off."""
        with _sqlite_errors(self.path):
            query = "SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1"
            return self._data.execute(query).fetchone() or (0, "")

    def broken(self, environment: str) -> list[int]:
        """Runs that began, did not end, and whose process is gone."""
        ended = {entry.run for entry in self.entries(None, environment, "end")}
        begun = [entry.run for entry in self.entries(None, environment, "begin")]
        return [run for run in begun if run not in ended and not self.lives(run)]

    def lives(self, run: int) -> bool:
        """Whether the process of a run that has not ended is still there, on this machine."""
        try:
            handle = os.open(self._lock_of_run(run), os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def verify(self) -> list[str]:
        """What was changed in the journal, one line each; empty where nothing was."""
        with _sqlite_errors(self.path):
            try:
                found = [row[0] for row in self._data.execute("PRAGMA integrity_check") if row[0] != "ok"]
                rows = self._data.execute(
                    "SELECT number, at, run, environment, what, body, hash FROM entries ORDER BY number"
                ).fetchall()
                texts = self._data.execute("SELECT digest, text FROM texts").fetchall()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                return [f"the file is damaged: {error}"]
        problems = [f"the file is damaged: {text}" for text in found]
        return problems + [*broken_links(rows), *cut_off(rows, self._kept_head()), *changed_texts(texts)]

    def _kept_head(self) -> str | None:
        try:
            return (self.folder / HEAD).read_text(encoding="ascii", errors="replace")[:100]
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"cannot be read: {error.strerror}"
