"""A saved plan of hosts at a site: it is carried out there, by whoever has a copy of it there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.cli import files, sites
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options, say
from reconciler.cli.precedent import precedent_to_save
from reconciler.cli.saved import SavedPlan, check
from reconciler.cli.selection import select
from reconciler.cli.tasks import ask_workers, called, new_task, stream
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.fleet.reply import HostError
from reconciler.fleet.site import ask, command
from reconciler.output.documents.results import ApplyDocument, apply_document
from reconciler.output.documents.tasks import AnswerDocument, TaskDocument, read_answer

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment, Host

TAKEN = timedelta(minutes=5)
"""Within which a site has to begin with a plan."""


def hand_over(
    saved: SavedPlan, environment: Environment, options: Options, workplace: Workplace
) -> Code | None:
    """Has a site carry out a saved plan of its hosts, and tells how that ended; None where the plan is not of
    one site alone, or nothing is to be done there from here. Raises `CommandError`."""
    resources = select(environment, options, workplace)
    wanted = {resource.host for resource in resources}
    hosts = [host for host in environment.all_hosts if host.name in wanted]
    site = _site_of(environment, hosts)
    if site is None or saved.document.scope.rollback:
        return None
    now = workplace.clock()
    check(saved, environment, precedent_to_save(environment, resources, workplace), now)
    until = min(now + TAKEN, saved.document.expiry)
    names = [host.name for host in hosts]
    one = TaskDocument(
        id=new_task(),
        do="apply",
        environment=environment.name,
        site=site,
        digest=saved.document.digest,
        hosts=sorted(names),
        expires=until.isoformat(timespec="seconds"),
    )
    say(f"{called(environment, site)} is asked to carry out {one.digest} (task {one.id})")
    ssh = environment.ssh
    seconds = (until - now).total_seconds() + sum(60 * each.minutes for each in saved.plan.actions)
    seconds += sites.ROUNDS * ssh.timeout * (1 + len(names) // options.parallel)
    try:
        answer = _answer(environment, site, one, seconds, workplace)
    except HostError as error:
        raise _unknown(environment, site, names, error.reason) from None
    except KeyboardInterrupt:
        told = _unknown(
            environment, site, names, f"no answer was waited for; it may begin until {one.expires}"
        )
        raise CommandError(Code.INTERRUPTED, *told.lines) from None
    if answer is None:
        why = f"no answer has come within {seconds:.0f} s; it is not begun after {one.expires}"
        raise _unknown(environment, site, names, why)
    return _tell(environment, site, answer, options)


def _site_of(environment: Environment, hosts: Sequence[Host]) -> str | None:
    """The site that all of these hosts are at, where a plan may be handed over to it."""
    away = sites.away(environment, hosts)
    names = {host.site for host in away}
    if len(away) < len(hosts) or len(names) != 1:
        return None
    (name,) = names
    return name if name and environment.sites[name].plans is not None else None


def _answer(
    environment: Environment, site: str, one: TaskDocument, seconds: float, workplace: Workplace
) -> AnswerDocument | None:
    if environment.sites[site].gateway is None:
        stream()
        found = ask_workers(environment, site, [one], seconds).get(one.id)
        if isinstance(found, str):
            raise HostError(site, found)
        return found
    settings, name = environment.sites[site], called(environment, site)
    (connection,) = sites.connections(environment, [site], environment.ssh, workplace)
    words = [settings.command, "worker", settings.file or "", "--json", "--task", json.dumps(as_json(one))]
    try:
        return read_answer(ask(name, connection, command(site, words), seconds), one)
    except ValueError as error:
        raise HostError(name, str(error)) from None
    finally:
        connection.close()


def _unknown(environment: Environment, site: str, hosts: Sequence[str], why: str) -> CommandError:
    return CommandError(
        Code.PARTIAL,
        f"{called(environment, site)}: {why}",
        f"what was done on {', '.join(hosts)} is not known here: `reconcile history` there says it",
    )


def _tell(environment: Environment, site: str, answer: AnswerDocument, options: Options) -> Code:
    """Prints what was done there. Returns the code, where it is one of ours."""
    for line in answer.lines:
        say(f"{site}: {line}")
    try:
        code = Code(answer.exit_code)
    except ValueError:
        raise CommandError(
            Code.FAILED, f"{called(environment, site)} ended with {answer.exit_code}"
        ) from None
    if options.json:
        files.print_json(answer.apply or apply_document(environment.name, None, code=code))
    elif answer.apply:
        files.print_lines(_lines(answer.apply))
    return code


def _lines(found: ApplyDocument) -> list[str]:
    from reconciler.printable import printable

    done = [
        f"{each.result}: {each.ref}{f': {each.detail}' if each.detail else ''}" for each in found.outcomes
    ]
    return [
        printable(line)
        for line in [*done, *(f"neither as before nor as desired: {n}" for n in found.neither)]
    ]
