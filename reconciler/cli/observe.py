"""`reconcile observe`: what is on the hosts?"""

from __future__ import annotations

import typer

from reconciler.cli import files, formats, sites, team
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    Env,
    Hosts,
    Json,
    LogFormat,
    NoColor,
    Only,
    Output,
    Parallel,
    Quiet,
    Timeout,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.look import connected, warn
from reconciler.cli.next_steps import save_observation
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.model import Observation
from reconciler.output import text
from reconciler.output.documents.observation import ObservationDocument, observation_document


def observe(
    context: typer.Context,
    env: Env,
    output: Output = None,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0, or 3 where a host could not be looked at. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        host=host, only=only, json=json, parallel=parallel, timeout=timeout, no_color=no_color,
        verbose=verbose, quiet=quiet, log_format=log_format,
    )  # fmt: skip
    formats.check(options, Formats(), output)
    environment = open_environment(env, workplace)
    observation, document = observe_with(environment, options, workplace)
    if output:
        save_observation(output, document, env, options)
    if json:
        files.print_json(document)
    elif not (output or quiet):
        files.print_lines(text.observation_lines(observation))
    warn(observation)
    if json or output or quiet:
        for name, reason in observation.unreachable.items():
            say(f"{name}: {reason}")
    return Code.INCOMPLETE if observation.unreachable else Code.OK


def observe_with(
    environment: Environment, options: Options, workplace: Workplace
) -> tuple[Observation, ObservationDocument]:
    """Looks at the hosts that the options leave. Raises `CommandError`."""
    resources = select(environment, options, workplace)
    records = team.records(environment, workplace)
    with connected(environment, resources, options, workplace, records=records, only_looks=True) as fleet:
        observation = fleet.settle()
        team.keep(fleet, environment, workplace)
    document = observation_document(
        environment.name,
        observation,
        file=environment.file,
        looked=workplace.clock(),
        copy=sites.copy_of(environment),
    )
    return observation, document
