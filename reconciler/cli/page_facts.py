"""What the page of an environment tells of, gathered: the look, the checks, and what the journal has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reconciler.cli import files
from reconciler.cli.checks import run_checks
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.look import look
from reconciler.cli.options import Options
from reconciler.cli.selection import select
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.journal.journal import JournalEntry, NoJournal
from reconciler.model import Plan
from reconciler.monitor import status, tracker
from reconciler.monitor.status import UNCHANGED
from reconciler.output.documents.observation import ObservationDocument, observation_from
from reconciler.output.html.facts import Facts, Frame
from reconciler.output.html.past import Kept, facts_from
from reconciler.plan.planner import plan as make_plan
from reconciler.tls import brought


def gather(
    environment: Environment,
    frame: Frame,
    options: Options,
    workplace: Workplace,
    *,
    seen: Path | None = None,
    overview: str | None = None,
) -> Facts:
    """The facts; they tell of the moment after the look, or of that of a saved observation. Raises
    `CommandError`."""
    resources = select(environment, options, workplace)
    checks = None
    if seen:
        document = _saved(environment, seen)
        frame, observation = replace(frame, made=document.moment), observation_from(document)
        plan = make_plan(environment.name, resources, observation.seen, observation.unreachable)
    else:
        looked = look(environment, resources, options, workplace)
        plan, observation = looked.plan, looked.observation
        if environment.owns_certificate or brought.endpoints(environment):
            checks = run_checks(environment, options, observation, workplace)
        frame = replace(frame, made=workplace.clock())
    return facts_from(
        environment,
        plan,
        observation,
        _kept(environment, plan, workplace),
        frame,
        checks=checks,
        source=str(seen) if seen else None,
        overview=overview,
    )


def _saved(environment: Environment, seen: Path) -> ObservationDocument:
    """What was observed, and when; the page describes that moment."""
    document = files.saved_observation(seen)
    if document.environment != environment.name:
        was = document.environment
        raise CommandError(Code.USAGE, f"{seen}: is an observation of {was}, not of {environment.name}")
    return document


def _kept(environment: Environment, plan: Plan, workplace: Workplace) -> Kept:
    """What the journal of this machine has on the environment."""
    try:
        journal = workplace.journal_to_read()
        if journal is None:
            return Kept()
        with journal:
            entries = journal.entries(None, environment.name, "begin", "end", "onset", "recovery", "refused")
            number = _last_run(entries)
            own = [each for each in entries if each.run == number]
            return Kept(
                entries=entries,
                settled=tracker.known_settled(journal, environment, plan),
                since=tracker.open_since(journal, environment),
                look=status.look_from(journal.last_look(environment.name)),
                run=status.last_run(own, alive=journal.lives(number)) if number else None,
            )
    except NoJournal as error:
        raise CommandError(Code.LOCAL, str(error)) from None


def _last_run(entries: Sequence[JournalEntry]) -> int | None:
    """The newest run that was more than an attempt: one that was stale or locked hides none that failed."""
    idle = {each.run for each in entries if each.what == "end" and each.body.get("code") in UNCHANGED}
    return max((each.run for each in entries if each.what == "begin" and each.run not in idle), default=None)
