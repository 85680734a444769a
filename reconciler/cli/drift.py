"""`reconcile drift`: does a host differ from what is declared? For cron.

Nothing in here, or below it, writes to a host: it gets what a look showed, and no fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError, worst
from reconciler.cli.flags import (
    All,
    Commands,
    Envs,
    Everything,
    Github,
    Hosts,
    Json,
    Junit,
    LogFormat,
    Markdown,
    NoColor,
    Only,
    Parallel,
    Prometheus,
    Quiet,
    Summary,
    Timeout,
)
from reconciler.cli.formats import Formats
from reconciler.cli.interrupted import report_interrupted
from reconciler.cli.look import Looked, look, plan_document
from reconciler.cli.options import Options, say
from reconciler.cli.selection import named, open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.environment.settings import Environment
from reconciler.journal.journal import NoJournal
from reconciler.model import Plan
from reconciler.monitor import tracker
from reconciler.monitor.findings import Finding, findings
from reconciler.output import forecasts, plans, text
from reconciler.output.documents.drifts import DriftPart, DriftsDocument
from reconciler.output.documents.plan import PlanDocument, with_findings
from reconciler.printable import printable


def drift(
    context: typer.Context,
    envs: Envs = None,
    everything: All = False,
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
    verbose: Everything = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0 for no drift, 2 for drift, 3 where a part could not be looked at; and 71 where
    there is no drift, but the journal cannot be written: the worst, of several environments. Raises
    `CommandError`."""
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
        quiet=quiet,
        log_format=log_format,
    )
    outputs = Formats(junit=junit, prometheus=prometheus, markdown=markdown, github=github)
    formats.check(options, outputs)
    several = named(envs, everything=everything)
    if len(several) == 1 and not everything:
        code, document = _one(several[0], options, outputs, workplace)
        if document is not None:
            files.print_json(document)
        return code
    return _each(several, options, outputs, workplace)


def _each(envs: Sequence[str], options: Options, outputs: Formats, workplace: Workplace) -> Code:
    """Several environments, one after the other; one that ends with an error hides none of the others."""
    if named_file := outputs.junit or outputs.prometheus:
        why = "a file is about one environment; run `drift` once for each"
        raise CommandError(Code.USAGE, f"{named_file}: {why}")
    codes, parts = [], []
    for number, env in enumerate(envs):
        heading = f"== {printable(env)}"
        if not (options.json or options.quiet or outputs.markdown or outputs.github):
            print(f"{chr(10) if number else ''}{heading}", flush=True)
        problems: list[str] = []
        code, document = Code.USAGE, None
        try:
            code, document = _one(env, options, outputs, workplace, heading)
        except CommandError as error:
            code, problems = error.code, list(error.lines)
            for line in problems:
                say(line)
        codes.append(code)
        plan = None if document is None else as_json(document)
        parts.append(DriftPart(env=env, exit_code=code, problems=problems, plan=plan))
    if options.json:
        files.print_json(DriftsDocument(environments=parts))
    return worst(codes)


def _one(
    env: str, options: Options, outputs: Formats, workplace: Workplace, heading: str = ""
) -> tuple[Code, PlanDocument | None]:
    """The code for one environment, and with --json the document; `heading` stands above what --quiet
    leaves, if it leaves anything. Raises `CommandError`."""
    environment = open_environment(env, workplace)
    before = _newest_entry(workplace)
    looked = look(environment, select(environment, options, workplace), options, workplace)
    plan = looked.plan
    formats.write_plan("drift", plan, outputs, environment, workplace, looked.observation)
    seen = _findings(environment, looked, before, options, workplace)
    found, since = seen.found, seen.since
    document = None
    if options.json:
        document = with_findings(
            plan_document(plan, environment, options, workplace), [*found, *seen.coming], since
        )
    elif outputs.take_stdout:
        formats.say_wrong(plan, options)
    elif options.quiet and not (outputs.markdown or outputs.github):
        lines = _wrong(found, since, plan, options, workplace)
        if lines := [*seen.coming_lines(environment, options, workplace), *lines]:
            files.print_lines([heading, *lines] if heading else lines)
    else:
        if not (outputs.markdown or outputs.github):
            files.print_lines(text.finding_lines(found, since, formats.style(options, workplace)))
            files.print_lines(seen.coming_lines(environment, options, workplace))
        formats.print_plan(plan, options, outputs, workplace, environment.policy)
    if not plan.complete:
        return Code.INCOMPLETE, document
    if any(not each.acknowledged for each in found):
        return Code.CHANGES, document
    return Code.OK if seen.recorded else Code.LOCAL, document


def _wrong(
    found: Sequence[Finding],
    since: Mapping[str, datetime],
    plan: Plan,
    options: Options,
    workplace: Workplace,
) -> list[str]:
    """What --quiet leaves: the findings that nobody has acknowledged, and what could not be judged."""
    shown = [each for each in found if not each.acknowledged]
    lines = text.finding_lines(shown, since, formats.style(options, workplace))
    more = plans.wrong_lines(plan, formats.plan_text(plan, options, workplace))
    return [*filter(None, lines), *more]


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The findings, since when each has been so, and whether the journal has them; and the dated rules that
    are near, which are no drift, with the ids of those that an earlier look has told of."""

    found: Sequence[Finding]
    since: Mapping[str, datetime] = field(default_factory=dict)
    recorded: bool = True
    coming: Sequence[Finding] = ()
    told: Collection[str] = ()

    def coming_lines(self, environment: Environment, options: Options, workplace: Workplace) -> list[str]:
        """Those rules as text: with --quiet, those alone that nobody was told of."""
        shown = [
            each
            for each in self.coming
            if not (options.quiet and (each.acknowledged or each.id in self.told))
        ]
        return list(
            forecasts.warning_lines(shown, self.told, environment.file, formats.style(options, workplace))
        )


def _findings(
    environment: Environment, looked: Looked, before: int, options: Options, workplace: Workplace
) -> _Seen:
    """What a look finds, in the light of earlier ones.

    Only a look at the whole environment is recorded, and notices sent: `--host` says nothing of the rest.
    """
    seen = looked.observation.seen
    found: Sequence[Finding] = findings(environment, looked.plan, seen, {}, workplace.clock())
    try:
        with workplace.journal(workplace.clock, True) as journal:
            report_interrupted(journal, environment)
            found = tracker.assess(journal, environment, looked.plan, seen)
            if options.narrowed:
                return _Seen(found=found)
            told = tracker.open_since(journal, environment)
            tracker.keep_look(journal, environment, found, looked.observation, before)
            coming = tracker.to_come(journal, environment)
            since = tracker.watch(journal, environment, [*found, *coming])
            tracker.deliver(journal, environment, say)
    except NoJournal as error:
        # What was seen is reported all the same.
        say(f"{error}; this look is not recorded, and nobody is notified")
        return _Seen(found=found, recorded=False)
    return _Seen(found=found, since=since, coming=coming, told=told)


def _newest_entry(workplace: Workplace) -> int:
    """The number of the journal's newest entry; 0 where there is none, or it cannot be read."""
    try:
        if journal := workplace.journal_to_read():
            with journal:
                return journal.head()[0]
    except NoJournal:
        return 0
    return 0
