"""Sites: hosts that a machine there looks at for us, and that are not acted on from here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options
from reconciler.cli.tasks import HOSTS, ask_workers, called, in_seconds, look_task, stream
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment, Host, SiteSettings, Ssh
    from reconciler.fleet.fleet import HostConnection
    from reconciler.fleet.site import Gateway
    from reconciler.model import Observation
    from reconciler.output.documents.observation import Copy, ObservationDocument
    from reconciler.output.documents.tasks import AnswerDocument

SKEW = timedelta(minutes=5)
"""By how much the clock of a gateway may differ: it judges whether a certificate is still valid."""
ROUNDS = 3
"""How often a gateway may look at each host, at most: also at what is on its way, and has time to arrive."""


def copy_of(environment: Environment) -> Copy:
    """What this machine looks by."""
    from reconciler.output.documents.observation import Copy

    return Copy(environment.digest, environment.sources, __version__)


def away(environment: Environment, hosts: Sequence[Host]) -> list[Host]:
    """Those of these hosts that are at a site of which this machine is not the gateway. Raises `CommandError`
    where it is said to be that of one which there is not."""
    from reconciler.fleet.site import VARIABLE

    here = os.environ.get(VARIABLE)
    if here and environment.sites and here not in environment.sites:
        known = ", ".join(sorted(environment.sites))
        raise CommandError(
            Code.USAGE, f"{VARIABLE}={here}: {environment.file} has no such site (there: {known})"
        )
    return [host for host in hosts if host.site is not None and host.site != here]


def refuse(environment: Environment, hosts: Sequence[Host]) -> None:
    """Nothing is done at a site from here. Raises `CommandError` where one of these hosts is at one."""
    found = away(environment, hosts)
    if not found:
        return
    lines = [
        f"{', '.join(each.name for each in found if each.site == name)}: at the site {name}, where nothing is"
        f" done from here{_there(name, site)}"
        for name, site in sorted(environment.sites.items())
        if any(each.site == name for each in found)
    ]
    names = " ".join(f"--host '!{name}'" for name in sorted({each.site for each in found if each.site}))
    raise CommandError(Code.USAGE, *lines, f"the other hosts alone: {names}; nothing was done")


def _there(name: str, site: SiteSettings) -> str:
    """What to do instead."""
    from reconciler.fleet.site import VARIABLE

    if site.plans is not None:
        return f" but by a signed plan of its hosts alone: `reconcile plan ENV --host {name} -o FILE`"
    if site.gateway is None:
        return f"; on a machine there: `{VARIABLE}={name} reconcile apply ENV --host {name}`"
    return (
        f"; on its gateway {site.gateway}: `{VARIABLE}={name} {site.command} apply {site.file} --host {name}`"
    )


def gateways(
    environment: Environment, hosts: Sequence[Host], ssh: Ssh, options: Options, workplace: Workplace
) -> list[Gateway]:
    """What looks at these hosts, which are all at sites. Raises `CommandError`."""
    from reconciler.fleet.site import Gateway, ask

    named = {name: [each.name for each in hosts if each.site == name] for name in environment.sites}
    seconds = {
        name: ROUNDS * ssh.timeout * (1 + len(mine) // options.parallel) for name, mine in named.items()
    }
    found = [
        Gateway(
            called(environment, name),
            mine,
            partial(_from_workers, environment, name, mine, seconds[name], workplace),
            lambda answers: _merged(answers, environment, workplace),
        )
        for name, mine in named.items()
        if mine and environment.sites[name].gateway is None
    ]
    if found:
        stream()
    over_ssh = [name for name, mine in named.items() if mine and environment.sites[name].gateway is not None]
    for name, connection in zip(over_ssh, connections(environment, over_ssh, ssh, workplace), strict=True):
        where = called(environment, name)
        look = partial(ask, where, connection, _observe(environment, name, ssh, options), seconds[name])
        read = partial(_observation, environment=environment, workplace=workplace)
        found.append(Gateway(where, named[name], look, read, connection.close))
    return found


def connections(
    environment: Environment, sites: Sequence[str], ssh: Ssh, workplace: Workplace
) -> Sequence[HostConnection]:
    """The way to the gateway of each of these sites."""
    # What looks there is reconcile with the keys of the account, which has its own way to root on the hosts.
    return workplace.connect(replace(ssh, sudo=False), [environment.sites[name].host for name in sites])


def _observe(environment: Environment, name: str, ssh: Ssh, options: Options) -> str:
    from reconciler.fleet.site import command

    site = environment.sites[name]
    words = [site.command, "observe", site.file or "", "--json", "--quiet", "--host", name]
    return command(name, [*words, "--parallel", str(options.parallel), "--timeout", str(ssh.timeout)])


Answers = Sequence[tuple[Sequence[str], "AnswerDocument | str"]]
"""What was answered about which hosts; or why nothing was that can be used."""


def _from_workers(
    environment: Environment, site: str, hosts: Sequence[str], seconds: float, workplace: Workplace
) -> Answers:
    """Has the workers of a site look at hosts. Raises `HostError`."""
    from reconciler.fleet.reply import NoAnswer

    until = in_seconds(workplace, seconds)
    tasks = [
        look_task(environment, site, hosts[at : at + HOSTS], until) for at in range(0, len(hosts), HOSTS)
    ]
    answers = ask_workers(environment, site, tasks, seconds)
    none = f"none has answered within {seconds:.0f} s; is `reconcile worker` running there?"
    if not answers:
        raise NoAnswer(site, none)
    return [(each.hosts, answers.get(each.id, none)) for each in tasks]


def _merged(answers: Answers, environment: Environment, workplace: Workplace) -> Observation:
    """What workers have seen of their hosts, each of its own alone."""
    from reconciler.model import Observation

    merged = Observation()
    for hosts, answer in answers:
        why = answer if isinstance(answer, str) else "; ".join(answer.lines) or "it gives no reason"
        seen = Observation(unreachable=dict.fromkeys(hosts, why))
        if not isinstance(answer, str) and answer.observation is not None:
            try:
                seen = _judged(answer.observation, environment, workplace)
            except ValueError as error:
                seen = Observation(unreachable=dict.fromkeys(hosts, str(error)))
        merged.seen |= {ref: each for ref, each in seen.seen.items() if ref.host in hosts}
        merged.unreachable |= {host: each for host, each in seen.unreachable.items() if host in hosts}
    return merged


def _observation(document: Any, environment: Environment, workplace: Workplace) -> Observation:
    """What a gateway has seen, where it has looked by the same as this machine would. Raises ValueError."""
    from reconciler.output.documents.observation import read_observation

    return _judged(read_observation(document), environment, workplace)


def _judged(found: ObservationDocument, environment: Environment, workplace: Workplace) -> Observation:
    from reconciler.output.documents.observation import observation_from

    if differs := copy_of(environment).other(found):
        raise ValueError(differs)
    if abs(skew := found.moment - workplace.clock()) > SKEW:
        seconds = abs(skew).total_seconds()
        raise ValueError(f"its clock differs from that of this machine by {seconds:.0f} s; see to both")
    return observation_from(found)
