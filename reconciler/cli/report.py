"""What `reconcile report` does: look, or take what was seen, and write the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from reconciler.cli import commands, session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.environment.settings import Environment
from reconciler.journal.journal import NAME, Journal, NoJournal, folder
from reconciler.model import Observation, Plan, Resource
from reconciler.output import documents, html
from reconciler.output.html.past import events, renewals
from reconciler.plan.planner import plan as make_plan
from reconciler.tls import status
from reconciler.tls.verify import Check


def report(env: str, options: Options, output: Path, seen: Path | None) -> int:
    """`reconcile report`: 0, or 3 where a part could not be looked at; the page says which."""
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    if seen:
        when, sight = _saved(environment, seen)
        made = make_plan(environment.name, resources, sight.seen, sight.unreachable)
        checks = None
    else:
        sight, made, checks = _looked(environment, resources, options)
        when = datetime.now(UTC)
    shown = status.from_observation(environment, sight)
    facts = html.Facts(
        environment=environment.name,
        router=environment.router,
        when=when,
        source=str(seen) if seen else None,
        plan=made,
        warnings=sight.warnings,
        served=shown,
        checks=checks,
        overdue=environment.certificate.overdue / 100,
        events=(*_events(environment), *renewals(shown)),
    )
    session.write(output, html.page(facts))
    if options.json:
        session.print_json(documents.files_document(environment.name, {str(output): None}))
    else:
        options.say(f"{output}: written")
    return Code.OK if made.complete else Code.INCOMPLETE


def _saved(environment: Environment, seen: Path) -> tuple[datetime, Observation]:
    """When hosts were looked at, and what was seen; the page tells of that moment."""
    document = session.read(seen)
    sight = session.saved_observation(seen, document)
    if document.get("environment") != environment.name:
        was = document.get("environment")
        raise CommandError(Code.USAGE, f"{seen}: was seen of {was}, and the report is of {environment.name}")
    when = status.moment(document.get("looked"))
    if when is None:
        raise CommandError(Code.USAGE, f"{seen}: `looked` says no time of ISO 8601")
    return when, sight


def _looked(
    environment: Environment, resources: list[Resource], options: Options
) -> tuple[Observation, Plan, list[Check] | None]:
    with session.fleet_of(environment, resources, options) as fleet:
        session.look(fleet, options)
        made = fleet.plan()
    managed = environment.blueprint and environment.certificate.manage
    checks = commands.ask(environment, options, fleet.sight) if managed else None
    return fleet.sight, made, checks


def _events(environment: Environment) -> tuple[html.Event, ...]:
    """What the journal of this machine says of the environment; none where there is no journal."""
    if not (folder() / NAME).exists():
        return ()
    try:
        with Journal(write=False) as journal:
            entries = journal.entries(None, environment.name, "begin", "end", "onset", "recovery", "refused")
    except NoJournal as error:
        raise CommandError(Code.ERROR, str(error)) from None
    return events(entries)
