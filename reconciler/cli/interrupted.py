"""Interrupted runs: what is said at once, and by the next command, which closes them in the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.cli.exit import UNCHANGED
from reconciler.cli.options import say
from reconciler.environment.settings import Environment
from reconciler.fleet.events import ActionBegan, ActionEnded, ApplyBegan, Event
from reconciler.journal.entries import unfinished
from reconciler.journal.journal import Journal
from reconciler.model import Ref
from reconciler.output.text import many


def report_interrupted(journal: Journal, environment: Environment) -> None:
    """Reports each interrupted run of the environment with what it left. Raises `NoJournal`."""
    for run in journal.broken(environment.name):
        entries = journal.entries(run)
        left = unfinished(entries)
        begin = entries[0]
        what = ", ".join(left) or "every action that it started has a result"
        say(f"run {run} ({begin.body.get('who')}) was interrupted; checking again: {what}")
        journal.end(run, environment.name, {"code": None, "unfinished": left})


class Tally:
    """How far an apply has come, for whoever interrupts it. Threads of hosts tell it what happens."""

    def __init__(self) -> None:
        self._planned: int | None = None
        self._ended: Counter[str] = Counter()
        self._running: dict[Ref, str] = {}

    def hear(self, event: Event) -> None:
        """Takes what has happened."""
        match event:
            case ApplyBegan():
                self._planned = event.actions
            case ActionBegan():
                self._running[event.ref] = event.verb
            case ActionEnded():
                self._running.pop(event.ref, None)
                self._ended[event.result] += 1

    def lines(self, env: str) -> Iterator[str]:
        """What is finished, what is not, and how to go on; `env` as a command takes it."""
        if self._planned is None:
            yield UNCHANGED
            return
        yield "interrupted; a host finishes the step it is in, and starts no other"
        running, ended = dict(self._running), self._ended.total()
        results = ", ".join(f"{count} {result}" for result, count in self._ended.items())
        yield f"finished: {ended} of {many(self._planned, 'action')}" + (f" ({results})" if results else "")
        for ref, verb in running.items():
            yield f"not finished: {ref}: {verb}; its host may still be at it"
        if left := self._planned - ended - len(running):
            yield f"not begun: {many(left, 'action')}"
        yield f"to go on: `reconcile plan {env}` looks at what is left, `reconcile apply {env}` does it"
