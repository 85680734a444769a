"""What `init` and `import` find before they ask: hosts that ssh knows, and where names lead."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from reconciler.cli.new_file import NewEnvironment
from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace

HOSTS = "Hosts, separated by spaces (NAME or NAME=ADDRESS): "
MOST = 12
"""How many hosts of ssh's configuration are shown at most."""
SECONDS = 5
"""Seconds that the resolver may take for all names together."""


def hosts_question(new: NewEnvironment) -> tuple[str, Sequence[str]]:
    """The question for the hosts, and those that an empty answer means: what ssh's configuration names in
    the router's own domain. The others that it names are told."""
    known = [name for name in _known_to_ssh() if name != new.router]
    domain = (new.router or "").partition(".")[2]
    offered = [name for name in known if domain and name.partition(".")[2] == domain][:MOST]
    others = [name for name in known if name not in offered][:MOST]
    if others:
        say(f"~/.ssh/config names {' '.join(others)}")
    if not offered:
        return HOSTS, ()
    return HOSTS.replace("): ", f"; empty: {' '.join(offered)}): "), offered


def _known_to_ssh() -> list[str]:
    """Whole names: an alias cannot be in a certificate."""
    from reconciler.environment.settings import Ssh
    from reconciler.fleet.ssh_config import SshConfig, UnusableConfig

    try:
        names = SshConfig(str(Path(Ssh().config).expanduser())).names()
    except UnusableConfig as error:
        say(str(error))
        return []
    return [name for name in names if "." in name and not _is_address(name)]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def say_addresses(new: NewEnvironment, workplace: Workplace) -> None:
    """Tells the addresses of all names, and to which host the router's name leads."""
    from reconciler.diagnosis.machine import Addresses, Unresolved, bounded

    hosts = new.all_hosts()
    names = [*(host.name for host in hosts), *([new.router] if new.router else [])]
    resolve = workplace.machine().resolve
    late: Addresses = Unresolved(f"no answer within {SECONDS} s", certain=False)
    found = bounded({name: partial(resolve, name) for name in names}, SECONDS, late)
    of: dict[str, list[str]] = {}
    for host in hosts:
        answer = found[host.name]
        addresses = [host.address] if host.address else [] if isinstance(answer, Unresolved) else answer
        for address in addresses:
            of.setdefault(address, []).append(host.name)
    for name in names:
        answer = found[name]
        if isinstance(answer, Unresolved):
            say(f"DNS: {name} has no address here: {answer.reason}")
        elif name == new.router:
            leads = [", ".join(of.get(address, ["none of these hosts"])) for address in answer]
            told = (f"{address} ({host})" for address, host in zip(answer, leads, strict=True))
            say(f"DNS: {name}, the router, leads to {', '.join(told)}")
        else:
            say(f"DNS: {name} is {', '.join(answer)}")
