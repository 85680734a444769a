"""`reconcile drift`: looks and judges, for cron. Nothing in here, or below it, writes to a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from reconciler.cli import formats, session
from reconciler.cli.formats import Formats
from reconciler.cli.session import Code, Options
from reconciler.clock import utc_now
from reconciler.journal.journal import Journal, NoJournal
from reconciler.monitor import tracker
from reconciler.monitor.findings import Finding, findings
from reconciler.output import documents, text


def drift(env: str, options: Options, told: Formats) -> int:
    """0 as declared, 2 where something is not, 3 where some of it could not be looked at."""
    formats.check(options, told)
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    with session.fleet_of(environment, resources, options) as fleet:
        session.look(fleet, options)
        plan, sight = fleet.plan(), fleet.sight
    formats.write_plan("drift", plan, told, environment, sight)
    seen = sight.seen
    since: Mapping[str, datetime] = {}
    found: Sequence[Finding] = findings(environment, plan, seen, {}, utc_now())
    broken = False
    try:
        with Journal() as journal:
            session.explain(journal, environment, options)
            found = tracker.judged(journal, environment, plan, seen)
            if not options.narrowed:
                since = tracker.watch(journal, environment, found)
                tracker.deliver(journal, environment, options.say)
    except NoJournal as error:
        # What is seen counts all the same; what cannot be is remembered and told.
        options.say(f"{error}; nothing is remembered of this look, and nobody is told")
        broken = True
    if options.json:
        document = session.document_of(plan, environment, options)
        session.print_json({**document, "findings": documents.findings(found, since)})
    else:
        if not (told.markdown or told.github):
            session.print_lines(text.finding_lines(found, since, options.paper))
        formats.tell_plan(plan, options, told)
    if not plan.complete:
        return Code.INCOMPLETE
    if any(not each.acknowledged for each in found):
        return Code.CHANGES
    return Code.ERROR if broken else Code.OK
