"""`reconcile drift`: does a host differ from what is declared? For cron.

Nothing in here, or below it, writes to a host: it gets what a look showed, and no fleet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

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
    Markdown,
    NoColor,
    Only,
    Parallel,
    Prometheus,
    Summary,
    Timeout,
)
from reconciler.cli.formats import Formats
from reconciler.cli.interrupted import report_interrupted
from reconciler.cli.look import Looked, look, plan_document
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.journal.journal import NAME, NoJournal, folder
from reconciler.monitor import tracker
from reconciler.monitor.findings import Finding, findings
from reconciler.output import text
from reconciler.output.documents.plan import with_findings


def drift(
    context: typer.Context,
    env: Env,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    junit: Junit = None,
    prometheus: Prometheus = None,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = False,
) -> int:
    """Returns 0 for no drift, 2 for drift, 3 where a part could not be looked at; and 1 where there
    is no drift, but the journal cannot be written. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        host=host,
        only=only,
        json=json,
        parallel=parallel,
        timeout=timeout,
        no_color=no_color,
        verbose=verbose,
        summary=summary,
        commands=commands,
    )
    outputs = Formats(junit=junit, prometheus=prometheus, markdown=markdown, github=github)
    formats.check(options, outputs)
    environment = open_environment(env, workplace)
    before = _newest_entry(workplace)
    looked = look(environment, select(environment, options, workplace), options, workplace)
    plan = looked.plan
    formats.write_plan("drift", plan, outputs, environment, workplace, looked.observation)
    found, since, recorded = _findings(environment, looked, before, options, workplace)
    if json:
        document = plan_document(plan, environment, options, workplace)
        files.print_json(with_findings(document, found, since))
    else:
        if not (markdown or github):
            files.print_lines(text.finding_lines(found, since, formats.style(options, workplace)))
        formats.print_plan(plan, options, outputs, workplace, environment.policy)
    if not plan.complete:
        return Code.INCOMPLETE
    if any(not each.acknowledged for each in found):
        return Code.CHANGES
    return Code.OK if recorded else Code.ERROR


def _findings(
    environment: Environment, looked: Looked, before: int, options: Options, workplace: Workplace
) -> tuple[Sequence[Finding], Mapping[str, datetime], bool]:
    """The findings, since when each has been so, and whether the journal has them.

    Only a look at the whole environment is recorded, and notices sent: `--host` says nothing of the rest.
    """
    seen = looked.observation.seen
    since: Mapping[str, datetime] = {}
    found: Sequence[Finding] = findings(environment, looked.plan, seen, {}, workplace.clock())
    try:
        with workplace.journal(workplace.clock, True) as journal:
            report_interrupted(journal, environment)
            found = tracker.assess(journal, environment, looked.plan, seen)
            if not options.narrowed:
                since = tracker.watch(journal, environment, found)
                tracker.keep_look(journal, environment, found, looked.observation, before)
                tracker.deliver(journal, environment, say)
    except NoJournal as error:
        # What was seen is reported all the same.
        say(f"{error}; this look is not recorded, and nobody is notified")
        return found, since, False
    return found, since, True


def _newest_entry(workplace: Workplace) -> int:
    """The number of the journal's newest entry; 0 where there is none, or it cannot be read."""
    try:
        if (folder() / NAME).exists():
            with workplace.journal(workplace.clock, False) as journal:
                return journal.head()[0]
    except NoJournal:
        return 0
    return 0
