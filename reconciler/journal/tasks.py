"""The runs that were for a task of a site, as the journal there tells of them."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.journal.journal import Journal, JournalEntry

Entries = Sequence[JournalEntry]


def runs_of(journal: Journal, environment: str, task: str) -> list[Entries]:
    """The entries of each run that was for a task, oldest first. Raises `NoJournal`."""
    begun = journal.entries(None, environment, "begin")
    return [journal.entries(each.run) for each in begun if each.body.get("task") == task]


def acting(runs: Sequence[Entries]) -> Entries | None:
    """The last of these runs that had begun to act; None where none had."""
    return next((run for run in reversed(runs) if any(each.what == "intent" for each in run)), None)


def end_of(run: Entries) -> JournalEntry | None:
    """The end of a run as it came to it by itself; None where it did not, or is still on."""
    return next((each for each in run if each.what == "end" and each.body.get("code") is not None), None)


def goes_on(runs: Sequence[Entries]) -> bool:
    """Whether a run for the same task may go on where these have stopped: the last that acted was ended from
    outside, and nothing that it had done was told to have failed."""
    last = acting(runs)
    if last is None or end_of(last) is not None:
        return False
    outcomes = (each for entry in last if entry.what == "outcome" for each in entry.body["outcomes"])
    return all(each["result"] == "done" for each in outcomes)
