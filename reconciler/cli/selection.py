"""Which environment, and which of its resources, a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.model import Resource


def open_environment(env: str, workplace: Workplace) -> Environment:
    """The environment that ENV names. Raises `CommandError` with every problem of its file."""
    from reconciler.environment.load import InvalidEnvironment

    try:
        return workplace.load(env)
    except InvalidEnvironment as error:
        raise CommandError(Code.USAGE, *map(str, error.problems)) from None


def select(environment: Environment, options: Options, workplace: Workplace) -> list[Resource]:
    """The resources that the flags leave. Raises `CommandError`.

    Those of a rollback are what would undo a run, and nothing else.
    """
    if options.rollback:
        from reconciler.cli.inverse import inverse

        return list(inverse(environment, int(options.rollback[0]), workplace).resources)
    from reconciler.blueprint import resources as blueprint_resources
    from reconciler.environment.load import InvalidEnvironment, check_whole

    everything = blueprint_resources(environment)
    try:
        check_whole(environment, everything)
    except InvalidEnvironment as error:
        raise CommandError(Code.USAGE, *map(str, error.problems)) from None
    names = {host.name for host in (*environment.hosts, *environment.retired)}
    for host in options.host or ():
        if host not in names:
            raise CommandError(Code.USAGE, f"--host {host}: no such host; known: {', '.join(sorted(names))}")
    chosen = [r for r in everything if not options.host or r.host in options.host]
    if not options.only:
        return chosen
    found = [r for r in chosen if any(_matches(r, text) for text in options.only)]
    if not found:
        kinds = ", ".join(sorted({r.kind for r in everything}))
        raise CommandError(
            Code.USAGE, f"--only {' '.join(options.only)}: no resource matches; kinds: {kinds}"
        )
    return found


def _matches(resource: Resource, text: str) -> bool:
    kind, _, name = text.partition(":")
    return resource.kind == kind and name in ("", resource.name)
