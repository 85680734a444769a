"""`reconcile status`: what is known here of environments? It contacts no host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    All,
    Envs,
    Json,
    NoColor,
    Quiet,
)
from reconciler.cli.options import Options
from reconciler.cli.selection import named
from reconciler.cli.workplace import Workplace
from reconciler.environment.load import InvalidEnvironment
from reconciler.journal.journal import Journal, JournalEntry, NoJournal
from reconciler.journal.place import NAME, folder
from reconciler.journal.team import TeamJournal
from reconciler.monitor import status as known

if TYPE_CHECKING:
    from reconciler.monitor.status import EnvironmentStatus, LastRun, Look

CODES = {"in sync": Code.OK, "drifted": Code.CHANGES, "pending": Code.CHANGES, "unknown": Code.INCOMPLETE}


def status(
    context: typer.Context,
    envs: Envs = None,
    everything: All = False,
    max_age: Annotated[
        int,
        typer.Option(
            "--max-age", metavar="HOURS", min=1, max=8760, help="A look that is older says nothing of today."
        ),
    ] = 24,
    json: Json = False,
    checkmk: Annotated[bool, typer.Option("--checkmk", help="Print lines of a Checkmk local check.")] = False,
    ics: Annotated[
        Path | None,
        typer.Option(
            "--ics", metavar="FILE", help="Also write a calendar of expiries and renewals; - is stdout."
        ),
    ] = None,
    no_color: NoColor = False,
    quiet: Quiet = False,
) -> int:
    """Returns the worst of 0 for in sync, 2 for drifted, pending or an expired certificate, 3 for unknown,
    and 64 for a file that is not valid; with --checkmk 0, as the lines say it. Raises `CommandError`."""
    formats.check_stdout({"--json": json, "--checkmk": checkmk, "--ics -": ics == files.STDOUT})
    workplace: Workplace = context.obj
    now = workplace.clock()
    envs = named(envs, everything=everything or not envs)
    found = known.mark_ambiguous(_statuses(envs, workplace, now, timedelta(hours=max_age)))
    if ics:
        from reconciler.output.ics import calendar

        files.write(ics, calendar(found, now))
    if json:
        from reconciler.output.documents.status import status_document

        files.print_json(status_document(found, str(folder() / NAME), now))
    elif checkmk:
        from reconciler.output.checkmk import local_check_lines

        files.print_lines(local_check_lines(found, now))
        # Checkmk throws away what a cached local check prints where it ends with another code.
        return Code.OK
    elif ics != files.STDOUT:
        from reconciler.output.overview import table_lines

        shown = [each for each in found if not (quiet and _code(each, now) == Code.OK)]
        if shown:
            files.print_lines(table_lines(shown, now, formats.style(Options(no_color=no_color), workplace)))
    return max(_code(each, now) for each in found)


def _code(each: EnvironmentStatus, now: datetime) -> Code:
    if each.problems:
        return Code.USAGE
    ends = [each.certificate.end] if each.certificate else []
    expired = any(end <= now for end in [*ends, *(one.end for one in each.brought if one.end)])
    return max(CODES[each.state], Code.CHANGES if expired else Code.OK)


def _statuses(
    envs: Sequence[str], workplace: Workplace, now: datetime, oldest: timedelta
) -> list[EnvironmentStatus]:
    """What is known of each; one that cannot be read is unknown, and says why."""
    with ExitStack() as open_:
        journal: Journal | NoJournal | None = None
        try:
            if opened := workplace.journal_to_read():
                journal = open_.enter_context(opened)
        except NoJournal as error:
            journal = error
        found = [_status(env, journal, workplace, now, oldest) for env in envs]
        return list({Path(each.file).resolve(): each for each in found}.values())  # a file may be named twice


def _status(
    env: str, journal: Journal | NoJournal | None, workplace: Workplace, now: datetime, oldest: timedelta
) -> EnvironmentStatus:
    try:
        environment = workplace.load(env)
    except InvalidEnvironment as error:
        lines = tuple(map(str, error.problems))
        return known.EnvironmentStatus(
            environment=Path(env).stem,
            file=env,
            state="unknown",
            reason="the file is not valid",
            problems=lines,
            unread=True,
        )
    try:
        if isinstance(journal, NoJournal):
            raise journal
        look, run, later = _recorded(environment.name, journal) if journal else (None, None, ())
        team = TeamJournal(journal) if journal else None
        elsewhere = team.runs(environment.name) if team else []
        told = team.runs(environment.name, look.told) if team and look else []
    except NoJournal as error:
        nothing = known.environment_status(environment, None, None, (), now=now, oldest=oldest)
        return replace(nothing, reason=str(error), unread=True)
    return known.environment_status(
        environment, look, run, later, now=now, oldest=oldest, elsewhere=elsewhere, told=told
    )


def _recorded(name: str, journal: Journal) -> tuple[Look | None, LastRun | None, Sequence[JournalEntry]]:
    look = known.look_from(journal.last_look(name))
    number = journal.last_run(name)
    run = None
    if number is not None:
        run = known.last_run(journal.entries(number, None, "begin", "end"), alive=journal.lives(number))
    if look is None:
        return look, run, ()
    return look, run, journal.entries(None, name, "begin", "intent", "outcome", "end", after=look.entry)
