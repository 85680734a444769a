"""The commands `init` and `import`: a first environment file, by asking somebody or the hosts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.discovery import environment as adoption
from reconciler.discovery.environment import ImportInput, Undetermined
from reconciler.discovery.survey import Survey
from reconciler.environment import yaml_writer
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Certificate, Environment, Host, Services, Ssh
from reconciler.model import Ref, State
from reconciler.output import differences, documents
from reconciler.output.text import printable


@dataclass(frozen=True)
class Flags:
    """What the command line says of the environment; what it does not is None or empty."""

    name: str | None = None
    router: str | None = None
    hosts: Sequence[str] = ()
    primary: str | None = None
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    known_hosts: str | None = None
    jump: str | None = None
    roots: str | None = None
    administrators: str | None = None
    postgresql: str | None = None
    tomcat: str | None = None


def init(flags: Flags, output: Path | None, options: Options) -> int:
    """`reconcile init`: asks for what no flag gives, and writes the file; raises `CommandError`."""
    if output:
        _free(output, "")  # before anybody is asked for anything
    asked = _asked(flags)
    path = _free(output, asked.name or "")
    hosts = _hosts(asked)
    primary = asked.primary or hosts[0].name
    if primary not in {host.name for host in hosts}:
        raise CommandError(Code.USAGE, f"--primary {primary}: is none of the hosts given")
    environment = Environment(
        name=asked.name or "",
        router=asked.router or "",
        hosts=tuple(replace(host, primary=host.name == primary) for host in hosts),
        ssh=_beside(path, _ssh(asked)),
        certificate=Certificate(administrators=asked.administrators),
        services=Services(postgresql=asked.postgresql, tomcat=asked.tomcat),
    )
    _write(path, environment, {})
    try:
        load(str(path))
    except InvalidEnvironment as error:
        path.unlink()
        raise CommandError(
            Code.USAGE, "nothing is written:", *(each.message for each in error.problems)
        ) from None
    if options.json:
        session.print_json(documents.files_document(environment.name, {str(path): path.read_text("utf-8")}))
    options.say(f"{path} is written; next: `reconcile validate {path}`, then `reconcile plan {path}`")
    return Code.OK


def adopt(flags: Flags, output: Path | None, options: Options) -> int:
    """`reconcile import`: 0, or 3 where something could not be judged; raises `CommandError`."""
    if not flags.hosts:
        raise CommandError(Code.USAGE, "at least one --host NAME[=ADDRESS] is needed")
    if output or flags.name:
        _free(output, flags.name or "")  # before any host is asked for anything
    hosts = _hosts(flags)
    if flags.primary not in {None, *(host.name for host in hosts)}:
        raise CommandError(Code.USAGE, f"--primary {flags.primary}: is none of the hosts given")
    if flags.roots and not Path(flags.roots).expanduser().is_file():
        raise CommandError(Code.USAGE, f"--roots {flags.roots}: is no file; expected the CA's roots as PEM")
    surveys = _surveys(flags, hosts, options)
    try:
        name = flags.name or adoption.named(surveys)
        path = _free(output, name)
        roots = _relative(path, flags.roots) if flags.roots else None
        given = ImportInput(name, hosts, _beside(path, _ssh(flags)), flags.primary, flags.router, roots)
        made, remarks = adoption.environment(given, surveys)
    except Undetermined as error:
        raise CommandError(Code.USAGE, f"{error}; nothing is written") from None
    _write(path, made, remarks)
    try:
        environment = load(str(path))
    except InvalidEnvironment as error:
        problems = (str(each) for each in error.problems)
        why = f"{path} is written with what the hosts show, and that is not valid yet; correct it there:"
        raise CommandError(Code.USAGE, why, *problems) from None
    plan = session.plan_of(environment, session.chosen(environment, Options()), options)
    if options.json:
        session.print_json(differences.document(environment, plan, remarks))
    else:
        session.print_lines(_said(remarks))
        session.print_lines(differences.lines(environment, plan))
    return Code.OK if plan.complete else Code.INCOMPLETE


def _said(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        printable(f"# {about}: {text}" if about else f"# {text}")
        for about, texts in sorted(remarks.items())
        for text in texts
    ]


def _surveys(flags: Flags, hosts: Sequence[Host], options: Options) -> dict[str, State]:
    """What every host shows, in one exchange with each; raises `CommandError` where one is away."""
    ssh = _with_files(_ssh(flags), os.path.expanduser)
    looked = Environment(name=flags.name or "", router="", hosts=tuple(hosts), ssh=ssh)
    resources = [Survey(host=host.name, router=flags.router) for host in hosts]
    with session.fleet_of(looked, list(resources), options) as fleet:
        sight = fleet.look()
        session.warn(fleet, options)
    if sight.unreachable:
        away = (f"{host} could not be looked at: {why}" for host, why in sorted(sight.unreachable.items()))
        raise CommandError(Code.INCOMPLETE, *away, "nothing is written: an environment is taken over whole")
    found: dict[str, State] = {}
    for host in hosts:
        state = sight.seen.get(Ref(host.name, Survey.kind, Survey.label))
        rootless = {"without root": True} if host.name in sight.warnings else {}
        found[host.name] = {**(state if isinstance(state, Mapping) else {}), **rootless}
    return found


def _hosts(flags: Flags) -> tuple[Host, ...]:
    """The hosts as `NAME` or `NAME=ADDRESS`, each once."""
    pairs = dict(each.partition("=")[::2] for each in flags.hosts)
    return tuple(Host(name=name.strip(), address=address.strip() or None) for name, address in pairs.items())


def _ssh(flags: Flags) -> Ssh:
    usual = Ssh()
    return replace(
        usual,
        user=flags.user or usual.user,
        port=flags.port or usual.port,
        identity=flags.identity,
        known_hosts=flags.known_hosts or usual.known_hosts,
        jump=flags.jump,
    )


def _with_files(ssh: Ssh, spell: Callable[[str], str]) -> Ssh:
    identity = spell(ssh.identity) if ssh.identity else None
    return replace(ssh, identity=identity, known_hosts=spell(ssh.known_hosts))


def _beside(path: Path, ssh: Ssh) -> Ssh:
    """The same, with paths as the environment file says them: relative to its own folder."""
    return _with_files(ssh, lambda file: _relative(path, file))


def _relative(path: Path, file: str) -> str:
    return file if file.startswith(("~", "/")) else os.path.relpath(file, path.parent)


def _free(output: Path | None, name: str) -> Path:
    """Where the file goes; raises `CommandError` where there is one already."""
    path = output or Path("environments") / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        why = "exists already, and is never overwritten; move it away, or name another with -o"
        raise CommandError(Code.USAGE, f"{path}: {why}")
    return path


def _schema(path: Path) -> str:
    """Where editors find the schema, as seen from a file: by the shortest way in our own folder."""
    package, name = Path(__file__).resolve().parent.parent, "environment.schema.json"
    schema = package.parent / "schemas" / name
    if not schema.exists():  # there is no checkout: the wheel carries it
        schema = package / name
    folder = path.resolve().parent
    near = package.parent in (folder, *folder.parents)
    return os.path.relpath(schema, folder) if near else str(schema)


def _write(path: Path, environment: Environment, remarks: Mapping[str, Sequence[str]]) -> None:
    text = yaml_writer.text(environment, _schema(path), remarks)
    try:
        if path.parent == Path("environments"):
            path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(Code.ERROR, f"{path}: cannot be written ({error.strerror})") from None


def _asked(flags: Flags) -> Flags:
    """The flags, and on a terminal the answers to what they leave open; raises `CommandError`."""
    questions: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("name", "What is the environment called? ", str),
        ("router", "The name in front of all hosts (the router)? ", str),
        ("hosts", "The hosts, with a blank between (NAME or NAME=ADDRESS)? ", str.split),
        ("primary", "The host on which certbot runs (empty: the first)? ", str),
        ("user", "Who logs in there with ssh (empty: root)? ", str),
        ("administrators", "The mail address to be told of a renewal (empty: none)? ", str),
        ("postgresql", "The major version of PostgreSQL (empty: there is none)? ", str),
        ("tomcat", "The major version of Tomcat (empty: there is none)? ", str),
    )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    for name, question, read in questions:
        if getattr(flags, name) in (None, ()) and terminal:
            answer: dict[str, Any] = {name: read(_answer(question)) or None}
            flags = replace(flags, **answer)
    for name in ("name", "router", "hosts"):
        if not getattr(flags, name):
            flag = "--host" if name == "hosts" else f"--{name}"
            raise CommandError(
                Code.USAGE, f"{flag} is needed" + ("" if terminal else ": there is no terminal to ask on")
            )
    return flags


def _answer(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline().strip()
