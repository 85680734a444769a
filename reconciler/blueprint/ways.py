"""Which ways between the hosts are proven by a login: row S4. Pure."""

from __future__ import annotations

from reconciler.blueprint.parts import once
from reconciler.environment.settings import Environment, Host

PROGRAMS = "/usr/local/lib/reconciler"
"""Where what other accounts run or read lies; root's."""

WRAPPER = f"{PROGRAMS}/rsync-wrapper.sh"
"""What the sync account's key on another host runs here."""


def proven_from(env: Environment, host: Host) -> list[Host]:
    """Those hosts to which a host proves that it gets: all others; or, in an environment of more hosts than
    `sync.all_pairs`, from the primary all others, and from each other host the next one.

    So each host's own key is tried at every look, and so is each host's sshd, by about two logins a host."""
    if are_few(env) or host.primary or host.name not in numbers(env):
        return env.others(host)
    return [next_to(env, host)]


def proven_to(env: Environment, host: Host) -> list[Host]:
    """Those hosts that prove that they get to a host."""
    if are_few(env):
        return env.others(host)
    previous = env.hosts[numbers(env)[host.name] - 1]
    return [each for each in dict.fromkeys((env.primary, previous)) if each.name != host.name]


def next_to(env: Environment, host: Host) -> Host:
    """The host after one of the hosts, and after the last the first."""
    return env.hosts[(numbers(env)[host.name] + 1) % len(env.hosts)]


@once
def numbers(env: Environment) -> dict[str, int]:
    """Where among the hosts each of them comes."""
    return {host.name: number for number, host in enumerate(env.hosts)}


def are_few(env: Environment) -> bool:
    """Whether its hosts are so few (`sync.all_pairs`) that each pair of them is named."""
    return len(env.hosts) <= env.sync.all_pairs
