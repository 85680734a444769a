"""Runs that were interrupted: the next command says so once, and closes them in the journal."""

from __future__ import annotations

from reconciler.cli.options import say
from reconciler.environment.settings import Environment
from reconciler.journal.entries import unfinished
from reconciler.journal.journal import Journal


def report_interrupted(journal: Journal, environment: Environment) -> None:
    """Reports each interrupted run of the environment with what it left. Raises `NoJournal`."""
    for run in journal.broken(environment.name):
        entries = journal.entries(run)
        left = unfinished(entries)
        begin = entries[0]
        what = ", ".join(left) or "every action that it started has a result"
        say(f"run {run} ({begin.body.get('who')}) was interrupted; checking again: {what}")
        journal.end(run, environment.name, {"code": None, "unfinished": left})
