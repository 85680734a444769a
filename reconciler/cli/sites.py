"""Sites: hosts that are looked at from a gateway, and not acted on from here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment, Host, Ssh
    from reconciler.fleet.site import Gateway
    from reconciler.model import Observation
    from reconciler.output.documents.observation import Copy

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
    from reconciler.fleet.site import VARIABLE

    found = away(environment, hosts)
    if not found:
        return
    lines = [
        f"{', '.join(each.name for each in found if each.site == name)}: at the site {name}, where nothing is"
        f" done from here; on its gateway {site.gateway}:"
        f" `{VARIABLE}={name} {site.command} apply {site.file} --host {name}`"
        for name, site in sorted(environment.sites.items())
        if any(each.site == name for each in found)
    ]
    names = " ".join(f"--host '!{name}'" for name in sorted({each.site for each in found if each.site}))
    raise CommandError(Code.USAGE, *lines, f"the other hosts alone: {names}; nothing was done")


def gateways(
    environment: Environment, hosts: Sequence[Host], ssh: Ssh, options: Options, workplace: Workplace
) -> list[Gateway]:
    """The gateways that look at these hosts, which are all at sites."""
    from reconciler.fleet.site import Gateway, command

    named = {name: [each.name for each in hosts if each.site == name] for name in environment.sites}
    sites = {name: environment.sites[name] for name, mine in named.items() if mine}
    # What looks there is reconcile with the keys of the account, which has its own way to root on the hosts.
    connections = workplace.connect(replace(ssh, sudo=False), [site.host for site in sites.values()])
    found = []
    for (name, site), connection in zip(sites.items(), connections, strict=True):
        words = [site.command, "observe", site.file, "--json", "--quiet", "--host", name]
        words += ["--parallel", str(options.parallel), "--timeout", str(ssh.timeout)]
        at_a_time = 1 + len(named[name]) // options.parallel
        found.append(
            Gateway(
                f"the gateway {site.gateway} of the site {name}",
                named[name],
                connection,
                command(name, words),
                ROUNDS * ssh.timeout * at_a_time,
                lambda document: _observation(document, environment, workplace),
            )
        )
    return found


def _observation(document: Any, environment: Environment, workplace: Workplace) -> Observation:
    """What a gateway has seen, where it has looked by the same as this machine would. Raises ValueError."""
    from reconciler.output.documents.observation import observation_from, read_observation

    found = read_observation(document)
    if differs := copy_of(environment).other(found):
        raise ValueError(differs)
    if abs(skew := found.moment - workplace.clock()) > SKEW:
        seconds = abs(skew).total_seconds()
        raise ValueError(f"its clock differs from that of this machine by {seconds:.0f} s; see to both")
    return observation_from(found)
