"""`reconcile history`: what does the journal of this machine say?"""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Json, NoColor
from reconciler.cli.options import Options
from reconciler.cli.selection import open_environment
from reconciler.cli.workplace import Workplace
from reconciler.journal.journal import Journal, NoJournal, folder
from reconciler.output import text
from reconciler.output.documents.results import history_document
from reconciler.printable import printable


def history(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(metavar="[RUN]", help="One run, with all its actions.")] = None,
    env: Annotated[str | None, typer.Option("--env", metavar="ENV", help="Only of this environment.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that nothing in the journal was changed.")
    ] = False,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Returns 0, or 2 where --verify finds a change. Raises `CommandError`."""
    workplace: Workplace = context.obj
    with open_journal(workplace) as journal:
        try:
            name = open_environment(env, workplace).name if env else None
            if verify:
                return _verify(journal, as_json=json)
            return _print(journal, run, name, Options(json=json, no_color=no_color), workplace)
        except NoJournal as error:
            raise CommandError(Code.LOCAL, str(error)) from None
        except (LookupError, TypeError, AttributeError) as error:
            why = f"an entry of it lacks what its kind has ({error!r})"
            hint = "`reconcile history --verify` lists what was changed"
            raise CommandError(Code.LOCAL, f"the journal {journal.path} is damaged: {why}; {hint}") from None


def _print(
    journal: Journal, run: int | None, name: str | None, options: Options, workplace: Workplace
) -> Code:
    entries = journal.entries(run, name)
    if run is not None and not entries:
        raise CommandError(Code.USAGE, f"there is no run {run} in {journal.path}")
    style = formats.style(options, workplace)
    if options.json:
        files.print_json(history_document(str(journal.path), entries))
    else:
        lines = text.run_lines if run is None else text.entry_lines
        files.print_lines(list(lines(entries, style)))
    return Code.OK


def open_journal(workplace: Workplace) -> Journal:
    """The journal, to read. Raises `CommandError` where there is none, or it cannot be read."""
    try:
        journal = workplace.journal_to_read()
    except NoJournal as error:
        raise CommandError(Code.LOCAL, str(error)) from None
    if journal is None:
        why = "the first `apply` or `drift` creates it"
        raise CommandError(Code.LOCAL, f"there is no journal in {folder()} yet: {why}")
    return journal


def _verify(journal: Journal, *, as_json: bool) -> Code:
    problems = journal.verify()
    if as_json:
        files.print_json(history_document(str(journal.path), (), problems))
    elif problems:
        files.print_lines(printable(each) for each in problems)
        print(f"{journal.path}: {len(problems)} problems; it was changed after it was written.")
    else:
        number, newest = journal.head()
        print(f"{journal.path}: {number} entries, unchanged. The newest has the hash {newest[:16]}.")
    return Code.CHANGES if problems else Code.OK
