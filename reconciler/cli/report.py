"""`reconcile report`: one HTML page about the environment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.checks import run_checks
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Env,
    Json,
    Parallel,
    Quiet,
    Seen,
    Timeout,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.look import look
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.journal.journal import NoJournal
from reconciler.model import Observation
from reconciler.output import html
from reconciler.output.documents.observation import observation_from
from reconciler.output.documents.results import files_document
from reconciler.output.html.past import events, renewals
from reconciler.plan.planner import plan as make_plan
from reconciler.tls import status


def report(
    context: typer.Context,
    env: Env,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file; - is stdout.")
    ],
    seen: Seen = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Returns 0, or 3 where a part could not be looked at; the page says which. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(json=json, parallel=parallel, timeout=timeout, verbose=verbose, quiet=quiet)
    formats.check(options, Formats(), output)
    environment = open_environment(env, workplace)
    resources = select(environment, options, workplace)
    checks = None
    if seen:
        when, observation = _saved(environment, seen)
        plan = make_plan(environment.name, resources, observation.seen, observation.unreachable)
    else:
        looked = look(environment, resources, options, workplace)
        plan, observation = looked.plan, looked.observation
        if environment.owns_certificate:
            checks = run_checks(environment, options, observation, workplace)
        when = workplace.clock()
    served = status.from_observation(environment, observation)
    facts = html.Facts(
        environment=environment.name,
        router=environment.router,
        when=when,
        source=str(seen) if seen else None,
        plan=plan,
        warnings=observation.warnings,
        served=served,
        checks=checks,
        overdue=environment.certificate.overdue / 100,
        events=(*_events(environment, workplace), *renewals(served)),
    )
    files.write(output, html.page(facts))
    if json:
        files.print_json(files_document(environment.name, {str(output): None}))
    elif not quiet and output != files.STDOUT:
        say(f"{output}: written; open it in a browser")
    return Code.OK if plan.complete else Code.INCOMPLETE


def _saved(environment: Environment, seen: Path) -> tuple[datetime, Observation]:
    """When the hosts were looked at, and what was observed; the page describes that moment."""
    document = files.saved_observation(seen)
    if document.environment != environment.name:
        was = document.environment
        raise CommandError(Code.USAGE, f"{seen}: is an observation of {was}, not of {environment.name}")
    return document.moment, observation_from(document)


def _events(environment: Environment, workplace: Workplace) -> tuple[html.Event, ...]:
    """What the journal of this machine has on the environment; nothing where there is no journal."""
    try:
        journal = workplace.journal_to_read()
        if journal is None:
            return ()
        with journal:
            entries = journal.entries(None, environment.name, "begin", "end", "onset", "recovery", "refused")
    except NoJournal as error:
        raise CommandError(Code.ERROR, str(error)) from None
    return events(entries)
