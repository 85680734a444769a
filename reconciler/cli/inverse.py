"""What would undo a run, according to the journal of this machine."""

from __future__ import annotations

from reconciler.blueprint import resources as blueprint_resources
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.workplace import Workplace
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Environment
from reconciler.journal import entries as journal_entries
from reconciler.journal import undo
from reconciler.journal.journal import Journal, JournalEntry, NoJournal
from reconciler.model import Resource


def inverse(environment: Environment, run: int, workplace: Workplace) -> undo.Inverse:
    """The resources that undo a run, and why others cannot be undone. Raises `CommandError`."""
    try:
        with workplace.journal(workplace.clock, False) as journal:
            entries = journal.entries(run)
            begun = journal.entries(None, environment.name, "begin")
            earlier = [each for each in begun if each.run < run]
            then = _as_it_was(journal, environment, entries[0] if entries else None)
            before = _as_it_was(journal, environment, earlier[-1] if earlier else None)
    except NoJournal as error:
        raise CommandError(Code.LOCAL, str(error)) from None
    return undo.inverse(journal_entries.settled(entries), then, before)


def _as_it_was(journal: Journal, environment: Environment, begin: JournalEntry | None) -> list[Resource]:
    """The resources that the environment file asked for when a run began; none before any run."""
    if begin is None:
        return []
    text = journal.text(str(begin.body["file_digest"]))
    if not text:
        why = "the environment file was changed while the run began, and its earlier text is not known"
        raise CommandError(Code.USAGE, f"run {begin.run}: {why}")
    try:
        return blueprint_resources(load(environment.file, text))
    except InvalidEnvironment as error:
        why = "the environment file of that time is no longer valid"
        raise CommandError(Code.USAGE, f"run {begin.run}: {why}", *map(str, error.problems)) from None
