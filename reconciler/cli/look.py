"""Looking at hosts, and what a look shows: nothing here acts on a host."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import sites, team
from reconciler.cli.options import Options, say
from reconciler.cli.selection import replaced
from reconciler.cli.watching import patience, watching
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.approval.precedent import Declaration
    from reconciler.environment.settings import Environment
    from reconciler.fleet.events import Event, Listen
    from reconciler.fleet.fleet import Fleet
    from reconciler.journal.commit import Authors
    from reconciler.journal.records import HostRecords
    from reconciler.model import Observation, Plan, Resource
    from reconciler.output.documents.plan import Origin, PlanDocument, PolicyPart


@dataclass(frozen=True)
class Looked:
    """What one look at the hosts showed. There is no way from here to a host."""

    plan: Plan
    observation: Observation


@contextmanager
def connected(
    environment: Environment,
    resources: Sequence[Resource],
    options: Options,
    workplace: Workplace,
    hear: Listen = lambda event: None,
    records: HostRecords | None = None,
    *,
    stays: bool = False,
    only_looks: bool = False,
) -> Iterator[Fleet]:
    """The hosts of these resources; each is connected to when it is asked, and with `stays` until the end.
    What happens there is shown as the options say, and `hear` is told too. They are asked for `records` of
    runs by the commands that keep what is told (`team.records`, `team.keep`). Where a command `only_looks`,
    the hosts of a site are looked at from its gateway; one that acts (`stays`) refuses them. Raises
    `CommandError`."""
    from reconciler.fleet.fleet import Fleet

    ssh = replace(environment.ssh, timeout=options.timeout or environment.ssh.timeout)
    wanted = {resource.host for resource in resources}
    hosts = [host for host in environment.all_hosts if host.name in wanted]
    if stays:
        sites.refuse(environment, hosts)
    away = sites.away(environment, hosts) if only_looks else []
    ended = threading.Event()
    with watching(options, workplace) as show:

        def listen(event: Event) -> None:
            # Threads that an interrupt leaves behind have nothing more to tell.
            if not ended.is_set():
                hear(event)
                show(event)

        with Fleet(
            environment.name,
            resources,
            workplace.connect(ssh, [host for host in hosts if host not in away]),
            parallel=options.parallel,
            seconds=ssh.timeout,
            clock=workplace.clock,
            listen=listen,
            patience=patience(),
            records=records,
            stays=stays,
            gateways=sites.gateways(environment, away, ssh, options, workplace) if away else (),
        ) as fleet:
            try:
                yield fleet
            finally:
                ended.set()


def look(
    environment: Environment, resources: Sequence[Resource], options: Options, workplace: Workplace
) -> Looked:
    """Looks once at the hosts of these resources, and plans. Raises `CommandError`."""
    records = team.records(environment, workplace)
    with connected(environment, resources, options, workplace, records=records, only_looks=True) as fleet:
        look_with(fleet, environment, options, workplace)
        return Looked(fleet.plan(), fleet.sight)


def look_with(fleet: Fleet, environment: Environment, options: Options, workplace: Workplace) -> None:
    """Looks at all hosts of a fleet, and takes --replace into account. Raises `CommandError`."""
    refs = replaced(fleet.resources.values(), options)
    fleet.settle()
    team.keep(fleet, environment, workplace)
    warn(fleet.sight)
    fleet.replace(refs)


def warn(observation: Observation) -> None:
    """Says which hosts were looked at without root."""
    for host, warning in sorted(observation.warnings.items()):
        say(f"{host}: looked without root ({warning})")


def plan_document(
    plan: Plan,
    environment: Environment,
    options: Options,
    workplace: Workplace,
    declared: Sequence[Declaration] = (),
) -> PlanDocument:
    """A plan as a document, with the git commit of its file and until when it is valid; `declared` is
    what differs from what was last approved."""
    from reconciler.output.documents.plan import plan_document as made

    at = workplace.clock()
    return made(
        plan,
        origin(environment),
        made=at,
        expires=at + timedelta(hours=environment.policy.expires),
        scope=options.scope,
        salt=secrets.token_hex(16),
        declared=declared,
    )


def origin(environment: Environment) -> Origin:
    """What a plan of an environment is made from: its file, the files that it names, and its policy, as
    they are now."""
    from reconciler.journal import commit as checkout
    from reconciler.output.documents.plan import Origin

    commit = checkout.commit(Path(environment.file))
    return Origin(
        file=environment.file,
        file_digest=environment.digest,
        sources=environment.sources,
        policy=policy_of(environment),
        commit=None if commit is None else {"id": commit.id, "dirty": commit.dirty},
    )


def policy_of(environment: Environment) -> PolicyPart:
    """The policy of an environment, with the sum of its allowed signers as they are now."""
    from reconciler.output.documents.plan import policy_part

    return policy_part(environment.policy, _signers(environment))


def authors_of(environment: Environment) -> Authors:
    """Who changed an environment last: its file, those that it names, and who may approve."""
    from reconciler.journal import commit as checkout

    named = environment.policy.allowed_signers
    sources = [*environment.sources, *([str(Path(named).resolve())] if named else [])]
    return checkout.authors(Path(environment.file), sources)


def _signers(environment: Environment) -> str | None:
    file = environment.policy.allowed_signers
    with suppress(OSError):
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    return None
