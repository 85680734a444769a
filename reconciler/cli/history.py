"""`reconcile history` and `reconcile rollback`: what the journal says, and what would undo it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.journal.journal import NAME, Journal, NoJournal, folder
from reconciler.output import documents, text


def history(run: int | None, env: str | None, options: Options, *, verify: bool) -> int:
    """The runs, or one of them with all that it did; or whether the journal is whole."""
    journal = _open()
    with journal:
        name = session.open_environment(env).name if env else None
        if verify:
            return _verify(journal, options)
        entries = journal.entries(run, name)
    if run is not None and not entries:
        raise CommandError(Code.USAGE, f"there is no run {run} in {journal.path}")
    if options.json:
        session.print_json(documents.history_document(str(journal.path), entries))
    elif run is None:
        session.print_lines(text.run_lines(entries, options.paper))
    else:
        session.print_lines(text.entry_lines(entries, options.paper))
    return Code.OK


def _open() -> Journal:
    if not (folder() / NAME).exists():
        why = "the first `apply` or `drift` makes it"
        raise CommandError(Code.ERROR, f"there is no journal in {folder()} yet: {why}")
    try:
        return Journal(write=False)
    except NoJournal as error:
        raise CommandError(Code.ERROR, str(error)) from None


def _verify(journal: Journal, options: Options) -> int:
    problems = journal.verify()
    if options.json:
        session.print_json(documents.history_document(str(journal.path), (), problems))
    elif problems:
        session.print_lines(text.printable(each) for each in problems)
        print(f"{journal.path}: {len(problems)} problems; it is not as it was written.")
    else:
        number, newest = journal.head()
        print(f"{journal.path}: {number} entries, whole. The newest has the hash {newest[:16]}.")
    return Code.CHANGES if problems else Code.OK


def rollback(run: int, options: Options, output: Path | None) -> int:
    """Plans what would undo a run, where anything does; changes nothing by itself."""
    with _open() as journal:
        begin = next(iter(journal.entries(run, None, "begin")), None)
    if begin is None:
        raise CommandError(Code.USAGE, f"there is no run {run} in the journal; see `reconcile history`")
    environment = session.open_environment(str(begin.body["file"]))
    if environment.name != begin.environment:
        now = f"{environment.file} is of {environment.name} now"
        raise CommandError(Code.USAGE, f"run {run} was of {begin.environment}, and {now}")
    inverse = session.inverse(environment, run)
    for ref, why in inverse.without.items():
        options.say(f"no way back for {ref}: {why}")
    if not inverse.resources:
        print(f"Nothing to do: nothing of run {run} can be undone.")
        return Code.OK
    options = replace(options, rollback=[str(run)])
    made = session.plan_of(environment, list(inverse.resources), options)
    document = session.document_of(made, environment, options)
    if output:
        session.save(output, document)
    if options.json:
        session.print_json(document)
    else:
        session.print_lines(text.plan_lines(made, options.paper))
    if made.actions:
        options.say(f"{environment.file} still asks for what this undoes: change it too, or it comes back")
    return Code.OK if made.complete else Code.INCOMPLETE
