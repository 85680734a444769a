"""`reconcile status`: what is known here of environments? It contacts no host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import All, Envs, Json, NoColor
from reconciler.cli.options import Options
from reconciler.cli.selection import named, open_environment
from reconciler.cli.workplace import Workplace
from reconciler.journal.journal import NAME, Journal, NoJournal, folder
from reconciler.monitor import status as known

if TYPE_CHECKING:
    from reconciler.monitor.status import EnvironmentStatus

CODES = {"in sync": Code.OK, "drifted": Code.CHANGES, "pending": Code.CHANGES, "unknown": Code.INCOMPLETE}


def status(
    context: typer.Context,
    envs: Envs = None,
    everything: All = False,
    max_age: Annotated[
        int,
        typer.Option(
            "--max-age", metavar="HOURS", min=1, max=8760, help="Count a look that is older as unknown."
        ),
    ] = 24,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Returns the worst of 0 for in sync, 2 for drifted or pending, 3 for unknown, and 64 for a file that
    is not valid. Raises `CommandError`."""
    workplace: Workplace = context.obj
    now, oldest = workplace.clock(), timedelta(hours=max_age)
    found = _statuses(named(envs, everything=everything or not envs), workplace, now, oldest)
    from reconciler.output import overview

    style = formats.style(Options(no_color=no_color), workplace)
    files.print_lines(overview.table_lines(found, now, style))
    return max(map(_code, found))


def _code(each: EnvironmentStatus) -> Code:
    return Code.USAGE if each.problems else CODES[each.state]


def _statuses(
    envs: Sequence[str], workplace: Workplace, now: datetime, oldest: timedelta
) -> list[EnvironmentStatus]:
    """What is known of each; one that cannot be read is unknown, and says why."""
    with ExitStack() as open_:
        journal: Journal | None = None
        if (folder() / NAME).exists():
            try:
                journal = open_.enter_context(workplace.journal(workplace.clock, False))
            except NoJournal as error:
                raise CommandError(Code.ERROR, str(error)) from None
        return [_status(env, journal, workplace, now, oldest) for env in envs]


def _status(
    env: str, journal: Journal | None, workplace: Workplace, now: datetime, oldest: timedelta
) -> EnvironmentStatus:
    try:
        environment = open_environment(env, workplace)
    except CommandError as error:
        why = "the file is not valid"
        return known.EnvironmentStatus(
            environment=env, file=env, state="unknown", reason=why, problems=error.lines
        )
    if journal is None:
        return known.environment_status(environment, None, None, (), now=now, oldest=oldest)
    look = known.look_from(journal.last_look(environment.name))
    number = journal.last_run(environment.name)
    run = known.last_run(journal.entries(number), alive=journal.lives(number)) if number else None
    later = (
        journal.entries(None, environment.name, "begin", "intent", "outcome", "end", after=look.entry)
        if look
        else ()
    )
    return known.environment_status(environment, look, run, later, now=now, oldest=oldest)
