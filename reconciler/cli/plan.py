"""`reconcile plan`: what would apply do?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    Commands,
    Env,
    Everything,
    Github,
    Hosts,
    Json,
    Junit,
    LogFormat,
    Markdown,
    NoColor,
    Only,
    Output,
    Parallel,
    QuietPlan,
    Replace,
    Seen,
    Summary,
    Timeout,
)
from reconciler.cli.formats import Formats
from reconciler.cli.look import look, plan_document
from reconciler.cli.next_steps import save_plan
from reconciler.cli.options import Options
from reconciler.cli.precedent import precedent_here, precedent_to_save
from reconciler.cli.selection import open_environment, replaced, select
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.model import Plan, Resource


def plan(
    context: typer.Context,
    env: Env,
    output: Output = None,
    seen: Seen = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if changes are pending.")
    ] = False,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    junit: Junit = None,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = 0,
    quiet: QuietPlan = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0; 3 where the plan is incomplete; 2 for changes with --detailed-exitcode. Raises
    `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        host=host, only=only, replace=replace, json=json, parallel=parallel, timeout=timeout, quiet=quiet,
        no_color=no_color, verbose=verbose, summary=summary, commands=commands, log_format=log_format,
    )  # fmt: skip
    formats.check(options, outputs := Formats(junit=junit, markdown=markdown, github=github), output)
    environment = open_environment(env, workplace)
    resources = select(environment, options, workplace)
    declared = precedent_here(environment, resources, workplace).declared
    made = _plan(environment, resources, seen, options, workplace)
    # What the document binds is slow to compute on purpose (`approval.commitment`).
    bound = output or json
    to_save = precedent_to_save(environment, resources, workplace).declared if bound else ()
    document = plan_document(made, environment, options, workplace, to_save) if bound else None
    if output and document:
        save_plan(output, document, made, environment, options)
    formats.write_plan("plan", made, outputs, environment, workplace)
    if document and json:
        files.print_json(document)
    elif output != files.STDOUT:
        formats.print_plan(made, options, outputs, workplace, environment.policy, declared, pages=True)
    if not made.complete:
        return Code.INCOMPLETE
    return Code.CHANGES if detailed_exitcode and (made.actions or declared) else Code.OK


def _plan(
    environment: Environment,
    resources: list[Resource],
    seen: Path | None,
    options: Options,
    workplace: Workplace,
) -> Plan:
    """The plan from a saved observation, or from a look at the hosts."""
    if seen is None:
        return look(environment, resources, options, workplace).plan
    from reconciler.output.documents.observation import observation_from
    from reconciler.plan.planner import plan as make_plan

    refs = replaced(resources, options)
    observation = observation_from(files.saved_observation(seen))
    wanted = [
        each.replacement(state)
        if each.ref in refs
        and not each.absent
        and isinstance(state := observation.seen.get(each.ref), Mapping)
        else each
        for each in resources
    ]
    return make_plan(environment.name, wanted, observation.seen, observation.unreachable)
