"""Whether the journal of this machine can be used, and what it says of runs. It is only read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from reconciler.diagnosis.checks import JOURNAL, PROBLEM, WARNING, YOU, HealthCheck, unclear
from reconciler.journal.entries import unfinished
from reconciler.journal.journal import Journal, NoJournal
from reconciler.journal.place import NAME
from reconciler.model import quote

ROOM = 10 * 1024 * 1024
"""Bytes that should be free where it lies; a run of a hundred actions writes some 100 kB."""


def checks(
    folder: Path, open_journal: Callable[[], Journal | None], environment: str | None, file: str
) -> Iterator[HealthCheck]:
    """The journal in a folder; with an environment, of its runs alone. `file` is that of the environment.

    `open_journal` opens it to read, and gives None where there is none yet; it may raise `NoJournal`.
    """
    writable = _writable(folder)
    yield writable
    subject = str(folder / NAME)
    try:
        journal = open_journal()
        if journal is None:
            yield HealthCheck(
                group=JOURNAL, subject="chain", found="none yet: the first apply or drift begins it"
            )
            return
        with journal:
            problems = journal.verify()
            yield from _chain(subject, problems)
            if problems:
                yield unclear(JOURNAL, "runs", "the journal is not whole")
                return
            yield from _runs(journal, environment, file)
            yield from _outbox(journal, environment)
    except NoJournal as error:
        yield HealthCheck(
            group=JOURNAL,
            subject="chain",
            verdict=PROBLEM,
            found=str(error),
            expected="a journal that can be read",
            owner=YOU,
            command=f"ls -la {quote(str(folder))}",
        )
        yield unclear(JOURNAL, "runs", "the journal cannot be read")


def _writable(folder: Path) -> HealthCheck:
    """Whether a run could be recorded. Root may write everywhere but where nothing can be written."""
    check = HealthCheck(group=JOURNAL, subject="can be written", found=str(folder), owner=YOU)
    expected = "a folder of yours with room: nothing is done that cannot be recorded"
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    whole = f"export RECONCILE_STATE={quote(str(folder))}-2"
    files = [each for each in (folder / NAME, folder / "journal.head") if each.exists()]
    for each in (there, *files):
        needed = os.W_OK | (os.X_OK if each == there else 0)
        if not os.access(each, needed) or (each == there and not each.is_dir()):
            found = f"{each} cannot be written"
            command = f'sudo chown -R "$(id -u)" {quote(str(there))}' if folder.is_dir() else whole
            if os.statvfs(there).f_flag & os.ST_RDONLY:
                found, command = f"{found}: its file system is read-only", whole
            return replace(check, verdict=PROBLEM, found=found, expected=expected, command=command)
    room = os.statvfs(there)
    if room.f_bavail * room.f_frsize < ROOM:
        found = f"{room.f_bavail * room.f_frsize >> 10} kB are free on the disk of {there}"
        return replace(
            check, verdict=PROBLEM, found=found, expected=expected, command=f"df -h {quote(str(there))}"
        )
    return check


def _chain(subject: str, problems: list[str]) -> Iterable[HealthCheck]:
    if not problems:
        yield HealthCheck(group=JOURNAL, subject="chain", found=f"{subject} is as it was written")
        return
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    yield HealthCheck(
        group=JOURNAL,
        subject="chain",
        verdict=PROBLEM,
        found=f"{problems[0]}{more}",
        expected="entries as they were written",
        owner="whoever can write the file: find out who did",
        command="reconcile history --verify",
    )


def _runs(journal: Journal, environment: str | None, file: str) -> Iterable[HealthCheck]:
    """Runs that have not ended: under way, or interrupted."""
    entries = journal.entries(None, environment, "begin", "end")
    ended = {each.run for each in entries if each.what == "end"}
    left = [each for each in entries if each.what == "begin" and each.run not in ended]
    for begin in left:
        name = quote(file or str(begin.body.get("file") or begin.environment))
        if journal.lives(begin.run):
            found = f"is under way since {begin.at}, and holds the locks of {begin.environment}"
            expected, command = "no run, or one that ends soon", f"reconcile unlock {name}"
        else:
            open_ = ", ".join(unfinished(journal.entries(begin.run))) or "nothing"
            found = f"of {begin.at} was interrupted; not known of: {open_}"
            expected = "runs that have ended; the next look checks what it left"
            command = f"reconcile drift {name}"
        yield HealthCheck(
            group=JOURNAL,
            subject=f"run {begin.run}",
            verdict=WARNING,
            found=found,
            expected=expected,
            owner=str(begin.body.get("who")),
            command=command,
        )
    if not left:
        yield HealthCheck(group=JOURNAL, subject="runs", found="every one has ended; none holds a lock")


def _outbox(journal: Journal, environment: str | None) -> Iterable[HealthCheck]:
    """Notices that could not be sent yet."""
    waiting = [each for each in journal.outbox() if environment in (None, each[1]) and each[5] > 0]
    if waiting:
        _, name, channel, _, made, tried = waiting[0]
        yield HealthCheck(
            group=JOURNAL,
            subject="outbox",
            verdict=WARNING,
            found=f"{len(waiting)} notices could not be sent; the first by {channel.split()[0]}, of {made}",
            expected=f"none that waits; it was tried {tried} times",
            owner=YOU,
            command=f"reconcile drift {quote(name)}",
        )
