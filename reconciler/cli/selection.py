"""Which environment, and which of its resources, a command is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import naming
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment
    from reconciler.journal.undo import Inverse
    from reconciler.model import Ref, Resource

REPLACEABLE = "certificate"


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


def declared(environment: Environment) -> list[Resource]:
    """All that an environment declares, checked as a whole. Raises `InvalidEnvironment`."""
    from reconciler.blueprint import resources as blueprint_resources
    from reconciler.environment.load import check_whole

    everything = blueprint_resources(environment)
    check_whole(environment, everything)
    return everything


def select(environment: Environment, options: Options, workplace: Workplace) -> list[Resource]:
    """The resources that the flags leave. Raises `CommandError`.

    Those of a rollback are what would undo a run, and nothing else.
    """
    if options.rollback:
        return list(undo(environment, options, workplace).resources)
    from reconciler.environment.load import InvalidEnvironment

    try:
        everything = declared(environment)
    except InvalidEnvironment as error:
        raise CommandError(Code.USAGE, *map(str, error.problems)) from None
    left = _selected(environment, [each.ref for each in everything], options)
    return [each for each in everything if each.ref in left]


def undo(environment: Environment, options: Options, workplace: Workplace) -> Inverse:
    """What undoes the run that the options name, and what of it has no way back: as far as --host and --only
    leave it. They are judged by what the run has done. Raises `CommandError`."""
    from reconciler.cli.inverse import inverse
    from reconciler.journal.undo import Inverse

    run = (options.rollback or [""])[0]
    found = inverse(environment, int(run), workplace)
    if not options.narrowed:
        return found
    done = [*(each.ref for each in found.resources), *found.without]
    left = _selected(environment, done, options)
    if not left:
        on = ", ".join(sorted({ref.host for ref in done})) or "no host"
        raise CommandError(
            Code.USAGE, f"{options.narrowing}: run {run} did nothing there; what it did is on {on}"
        )
    return Inverse(
        tuple(each for each in found.resources if each.ref in left),
        {ref: why for ref, why in found.without.items() if ref in left},
    )


def hosts(environment: Environment, options: Options) -> set[str]:
    """The names of the hosts that --host leaves. Raises `CommandError`."""
    names = [host.name for host in environment.all_hosts]
    if not options.host:
        return set(names)
    with _as_command_error():
        return naming.hosts(options.host, names, environment.groups)


def replaced(resources: Iterable[Resource], options: Options) -> set[Ref]:
    """The resources that --replace names. Raises `CommandError` where one is not replaceable."""
    refs = [each.ref for each in resources]
    chosen: set[Ref] = set()
    for text in options.replace or ():
        with _as_command_error():
            found = naming.resources("--replace", [text], refs)
        if any(ref.kind != REPLACEABLE for ref in found):
            raise CommandError(Code.USAGE, f"--replace {text}: only `--replace {REPLACEABLE}` is possible")
        chosen |= found
    return chosen


def named_one(text: str, refs: Sequence[Ref]) -> Ref:
    """The resource that an argument names. Raises `CommandError`, also where it names several."""
    with _as_command_error():
        return naming.one(text, refs)


def _selected(environment: Environment, refs: Sequence[Ref], options: Options) -> set[Ref]:
    """What --host and --only leave. An expression is judged by all that there is, so that --host takes
    nothing from what an error names. Raises `CommandError`."""
    names = hosts(environment, options)
    chosen = {ref for ref in refs if ref.host in names}
    if not options.only:
        return chosen
    with _as_command_error():
        wanted = naming.resources("--only", options.only, refs)
    if not wanted & chosen:
        on = ", ".join(sorted({ref.host for ref in wanted}))
        raise CommandError(
            Code.USAGE, f"{options.narrowing}: no resource matches both; what --only names is on {on}"
        )
    return wanted & chosen


@contextmanager
def _as_command_error() -> Iterator[None]:
    """What names nothing is a mistake of whoever typed it."""
    try:
        yield
    except naming.Unmatched as error:
        raise CommandError(Code.USAGE, *error.lines) from None
