"""`reconcile forecast`: which dated rules will bite an environment, and when? It contacts no host."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Env, Json, Markdown, NoColor, Quiet
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment
from reconciler.cli.workplace import Workplace
from reconciler.forecast.judge import Forecast
from reconciler.forecast.judge import forecast as forecast_of
from reconciler.journal.journal import NoJournal
from reconciler.monitor.coming import facts
from reconciler.monitor.status import look_from

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.monitor.status import Look

AHEAD = timedelta(days=365)
"""How far is looked ahead where no day is given."""


def forecast(
    context: typer.Context,
    env: Env,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="The last day that counts; in a year, unless given."),
    ] = None,
    json: Json = False,
    markdown: Markdown = False,
    no_color: NoColor = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Also show what comes later, and what is of no concern.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Returns 0 where nothing bites until then, 2 where something does, 3 where that is not known of a rule.
    Raises `CommandError`."""
    formats.check_stdout({"--json": json, "--markdown": markdown})
    options = Options(no_color=no_color, verbose=int(verbose), quiet=quiet)
    workplace: Workplace = context.obj
    environment, now = open_environment(env, workplace), workplace.clock()
    until = _day(at) if at is not None else (now + AHEAD).date()
    look = _look(environment, workplace)
    looked = look.at if look else None
    found = forecast_of(facts(environment, look, now), until)
    code = _code(found)
    if json:
        from reconciler.output.documents.forecast import forecast_document

        files.print_json(forecast_document(environment, found, looked, now, code))
        return code
    from reconciler.output import forecasts

    if markdown:
        files.print_lines(forecasts.markdown_lines(found, environment.name, looked))
    elif not (quiet and code == Code.OK):
        style = formats.style(options, workplace)
        lines = forecasts.forecast_lines(found, environment.file, looked, now, style, everything=verbose)
        files.print_lines(lines)
    return code


def _code(found: Forecast) -> Code:
    if found.unknown:
        return Code.INCOMPLETE
    return Code.CHANGES if found.bites else Code.OK


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise CommandError(Code.USAGE, f"--at {text}: expected a day such as 2028-02-16") from None


def _look(environment: Environment, workplace: Workplace) -> Look | None:
    """The last look at all of it; None where none is kept, or the journal cannot be read, which is said."""
    try:
        if journal := workplace.journal_to_read():
            with journal:
                return look_from(journal.last_look(environment.name))
    except NoJournal as error:
        say(f"{error}; what looks have kept is not known")
    return None
