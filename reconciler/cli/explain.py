"""`reconcile explain`: why is one resource as it is?"""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    Env,
    Json,
    LogFormat,
    NoColor,
    Parallel,
    Quiet,
    Seen,
    Timeout,
    Verbose,
)
from reconciler.cli.look import look
from reconciler.cli.options import Options
from reconciler.cli.selection import hosts, named_one, open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.output import explanation
from reconciler.output.documents.observation import observation_from
from reconciler.output.documents.resources import explain_document


def explain(
    context: typer.Context,
    env: Env,
    ref: Annotated[
        list[str],
        typer.Argument(
            metavar="REF", help="HOST KIND NAME as the plan prints it, KIND:NAME, or as with --only."
        ),
    ],
    seen: Seen = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="The host of REF; repeatable.")
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0, or 3 where the resource cannot be judged. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        host=host,
        json=json,
        parallel=parallel,
        timeout=timeout,
        no_color=no_color,
        verbose=verbose,
        quiet=quiet,
        log_format=log_format,
    )
    environment = open_environment(env, workplace)
    resources = select(environment, Options(), workplace)
    on = hosts(environment, options)
    meant = named_one(" ".join(ref), [each.ref for each in resources if each.host in on])
    if seen:
        observation = observation_from(files.saved_observation(seen))
    else:
        observation = look(environment, resources, options, workplace).observation
    found = explanation.explain(environment, resources, observation, meant)
    if json:
        files.print_json(explain_document(environment.name, found))
    else:
        files.print_lines(explanation.lines(found, formats.style(options, workplace)))
    return Code.OK if found.hidden is None else Code.INCOMPLETE
