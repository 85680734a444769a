"""Which environment, and which of its resources, a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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


def named(envs: Sequence[str] | None, *, everything: bool) -> list[str]:
    """The environments that ENV… or --all name, each once: with --all every environments/*.yaml below the
    current folder. Raises `CommandError` where they name none."""
    if envs and everything:
        raise CommandError(
            Code.USAGE, f"--all: names every environment; leave out {' '.join(envs)}, or --all"
        )
    if envs:
        return list(dict.fromkeys(envs))
    if not everything:
        raise CommandError(
            Code.USAGE, "name an environment (a path, or NAME for environments/NAME.yaml), or --all"
        )
    found = sorted(str(path) for path in Path("environments").glob("*.yaml"))
    if not found:
        where = Path("environments").absolute()
        raise CommandError(Code.USAGE, f"--all: there is no environment here: no {where}/*.yaml")
    return found


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
