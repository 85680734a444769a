"""`reconcile import`: writes the environment file that describes running hosts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.asking import HOSTS, NAME, ROUTER, USER, Prompt, answered, asked
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    HostAddresses,
    Identity,
    Json,
    Jump,
    Known,
    LogFormat,
    NoColor,
    Output,
    Parallel,
    Port,
    Primary,
    Quiet,
    Router,
    Timeout,
    User,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.look import connected, look, warn
from reconciler.cli.new_file import NewEnvironment, free_path, relative, write_new
from reconciler.cli.next_steps import say_next
from reconciler.cli.options import Options, say
from reconciler.cli.selection import select
from reconciler.cli.workplace import Workplace
from reconciler.discovery import environment as discovered
from reconciler.discovery.environment import ImportInput, Undetermined
from reconciler.discovery.survey import Survey
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Environment, Host
from reconciler.model import Plan, Ref, State, quote
from reconciler.output import differences
from reconciler.output.documents.resources import import_document
from reconciler.output.text import incomplete_lines
from reconciler.printable import printable

QUESTIONS = (
    Prompt(field="router", text="Name in front of all hosts, the router (empty: as the hosts show it): "),
    HOSTS,
    USER,
)
"""What is asked where no host is given: the router's name says which hosts are offered."""
MISSING = MappingProxyType({"name": NAME, "router": ROUTER})
"""What is asked once the hosts turn out not to show it."""
Roots = tuple[str | None, str | None]
"""The files with the roots of the CA and of the second one."""
NO_FILE = Path("environments/new.yaml")
"""In place of the file while its name is not known."""


def import_hosts(
    context: typer.Context,
    output: Output = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="The name of the environment; by default, as the hosts say."
        ),
    ] = None,
    router: Router = None,
    host: HostAddresses = None,
    primary: Primary = None,
    user: User = None,
    port: Port = None,
    identity: Identity = None,
    known_hosts: Known = None,
    jump: Jump = None,
    roots: Annotated[
        str | None,
        typer.Option(
            "--roots", metavar="FILE", help="The root certificates of the CA, as PEM, if it is your own."
        ),
    ] = None,
    fallback_roots: Annotated[
        str | None,
        typer.Option("--fallback-roots", metavar="FILE", help="The same of the second CA, the fallback."),
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0, or 3 where something could not be judged. Raises `CommandError`."""
    options = Options(
        json=json,
        parallel=parallel,
        timeout=timeout,
        no_color=no_color,
        verbose=verbose,
        quiet=quiet,
        log_format=log_format,
    )
    new = NewEnvironment(
        name=name, router=router, hosts=tuple(host or ()), primary=primary, user=user, port=port,
        identity=identity, known_hosts=known_hosts, jump=jump,
    )  # fmt: skip
    return _import(new, (roots, fallback_roots), output, options, context.obj)


def _import(
    new: NewEnvironment, roots: Roots, output: Path | None, options: Options, workplace: Workplace
) -> int:
    formats.check(options, Formats(), output)
    if output or new.name:
        free_path(output, new.name or "")  # before anybody is asked for anything
    asks = workplace.is_terminal() and not options.json
    if not new.hosts and asks:
        new = asked(new, QUESTIONS, output or NO_FILE, workplace)
    if not new.hosts:
        raise CommandError(Code.USAGE, "--host is required, at least once: --host NAME[=ADDRESS]")
    for flag, file in zip(("--roots", "--fallback-roots"), roots, strict=True):
        if file and not Path(file).expanduser().is_file():
            why = f"{flag} {file}: is not a file; expected the CA's root certificates as PEM"
            raise CommandError(Code.USAGE, why)
    path, made, remarks = _described(new, roots, output, options, workplace, asks=asks)
    text = write_new(path, made, remarks)
    if path == files.STDOUT:
        files.write(path, text)
    try:
        environment = load(str(path), text.encode())
    except InvalidEnvironment as error:
        problems = (str(each) for each in error.problems)
        why = f"{path}: written with what the hosts show, but it is not valid yet; correct it there:"
        then = f"then `reconcile validate {quote(str(path))}`"
        raise CommandError(Code.USAGE, why, *problems, then) from None
    plan = look(environment, select(environment, Options(), workplace), options, workplace).plan
    if options.json:
        files.print_json(import_document(environment, plan, remarks))
    else:
        _print(environment, plan, remarks, path, options)
    return Code.OK if plan.complete else Code.INCOMPLETE


def _described(
    new: NewEnvironment,
    roots: Roots,
    output: Path | None,
    options: Options,
    workplace: Workplace,
    *,
    asks: bool,
) -> tuple[Path, Environment, dict[str, list[str]]]:
    """Where the file goes, what the hosts show, and remarks on it; what they do not show is asked where it
    `asks`. Raises `CommandError`."""
    hosts = new.all_hosts()
    surveys = _surveys(new, hosts, options, workplace)
    try:
        name = new.name or discovered.environment_name(surveys)
        path = free_path(output, name)
        spell = partial(relative, path)
        files_of = (spell(file) if file else None for file in roots)
        given = ImportInput(name, hosts, new.ssh(spell), new.primary, new.router, *files_of)
        return path, *discovered.environment(given, surveys)
    except Undetermined as error:
        if not asks:
            raise CommandError(Code.USAGE, f"{error}; nothing was written") from None
        say(str(error))
        new = answered(new, MISSING[error.setting], output or NO_FILE, workplace)
    return _described(new, roots, output, options, workplace, asks=asks)


def _print(
    environment: Environment,
    plan: Plan,
    remarks: Mapping[str, Sequence[str]],
    path: Path,
    options: Options,
) -> None:
    """What could not be told, and how the hosts differ from the procedure; where the file is stdout, only
    the first, on stderr."""
    if path == files.STDOUT:
        for line in (*_remark_lines(remarks), *incomplete_lines(plan)):
            say(line)
        return
    files.print_lines(_remark_lines(remarks))
    found = incomplete_lines(plan) if options.quiet else differences.lines(environment, plan)
    files.print_lines(found)
    if not options.quiet:
        say_next(path, "doctor", "plan")


def _remark_lines(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        printable(f"# {about}: {text}" if about else f"# {text}")
        for about, texts in sorted(remarks.items())
        for text in texts
    ]


def _surveys(
    new: NewEnvironment, hosts: Sequence[Host], options: Options, workplace: Workplace
) -> dict[str, State]:
    """What every host shows, in one exchange with each. Raises `CommandError` where one is unreachable."""
    ssh = new.ssh(os.path.expanduser).with_hosts(hosts)
    looked = Environment(name=new.name or "", router="", hosts=tuple(hosts), ssh=ssh)
    resources = [Survey(host=host.name, router=new.router) for host in hosts]
    with connected(looked, resources, options, workplace) as fleet:
        observation = fleet.look()
        warn(observation)
    if observation.unreachable:
        lines = (
            f"{host} could not be looked at: {why}" for host, why in sorted(observation.unreachable.items())
        )
        raise CommandError(Code.INCOMPLETE, *lines, "nothing was written: an import needs every host")
    found: dict[str, State] = {}
    for host in hosts:
        state = observation.seen.get(Ref(host.name, Survey.kind, Survey.label))
        rootless = {"without root": True} if host.name in observation.warnings else {}
        found[host.name] = {**(state if isinstance(state, Mapping) else {}), **rootless}
    return found
