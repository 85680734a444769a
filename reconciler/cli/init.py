"""`reconcile init`: writes a first environment file from flags and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import files, formats, offers
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    HostAddresses,
    Identity,
    Json,
    Jump,
    Known,
    Output,
    Port,
    Primary,
    Quiet,
    Router,
    User,
)
from reconciler.cli.formats import Formats
from reconciler.cli.new_file import NewEnvironment, free_path, relative, write_new
from reconciler.cli.options import Options, say
from reconciler.cli.workplace import Workplace
from reconciler.environment import yaml_writer
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Certificate, Environment, Services
from reconciler.model import quote
from reconciler.output.documents.results import files_document

QUESTIONS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("name", "Name of the environment: ", str),
    ("router", "Name in front of all hosts (the router): ", str),
    ("hosts", offers.HOSTS, str.split),
    ("primary", "Host on which certbot runs (empty: the first): ", str),
    ("user", "Account to log in with by ssh (empty: root): ", str),
    ("administrators", "Mail address to notify of renewals (empty: none): ", str),
    ("postgresql", "Major version of PostgreSQL (empty: not used): ", str),
    ("tomcat", "Major version of Tomcat (empty: not used): ", str),
)
"""What is asked for each flag that is not given, and how an answer is read."""
NEEDED = ("name", "router", "hosts")
TRIES = 5
"""How often one question is asked."""

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The name of the environment.")]
Administrators = Annotated[
    str | None,
    typer.Option("--administrators", metavar="MAIL", help="The mail address to notify of renewals."),
]
Postgresql = Annotated[str | None, typer.Option("--postgresql", metavar="N", help="Its major version.")]
Tomcat = Annotated[str | None, typer.Option("--tomcat", metavar="N", help="Its major version.")]


def init(
    context: typer.Context,
    output: Output = None,
    name: Name = None,
    router: Router = None,
    host: HostAddresses = None,
    primary: Primary = None,
    user: User = None,
    port: Port = None,
    identity: Identity = None,
    known_hosts: Known = None,
    jump: Jump = None,
    administrators: Administrators = None,
    postgresql: Postgresql = None,
    tomcat: Tomcat = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Returns 0; the file is written only if it is valid. Raises `CommandError`."""
    formats.check(Options(json=json, quiet=quiet), Formats(), output)
    if output:
        free_path(output, "")  # before anybody is asked for anything
    given = NewEnvironment(
        name=name, router=router, hosts=tuple(host or ()), primary=primary, user=user, port=port,
        identity=identity, known_hosts=known_hosts, jump=jump,
        administrators=administrators, postgresql=postgresql, tomcat=tomcat,
    )  # fmt: skip
    new = _asked(given, output or Path("environments/new.yaml"), context.obj)
    path = free_path(output, new.name or "")
    environment = _environment(new, partial(relative, path))
    text = write_new(path, environment, {})
    try:
        load(str(path), text.encode())
    except InvalidEnvironment as error:
        if path != files.STDOUT:
            path.unlink()
        messages = (each.message for each in error.problems)
        raise CommandError(Code.USAGE, "nothing was written:", *messages) from None
    if json:
        files.print_json(files_document(environment.name, {str(path): text}))
    if path == files.STDOUT:
        files.write(path, text)
    elif not quiet:
        name = quote(str(path))
        say(
            f"{path}: written; next: `reconcile validate {name}`, `reconcile doctor {name}`,"
            f" then `reconcile plan {name}`"
        )
    return Code.OK


def _environment(new: NewEnvironment, spell: Callable[[str], str]) -> Environment:
    hosts = new.all_hosts()
    primary = new.primary or hosts[0].name
    return Environment(
        name=new.name or "",
        router=new.router or "",
        hosts=tuple(replace(host, primary=host.name == primary) for host in hosts),
        ssh=new.ssh(spell),
        certificate=Certificate(administrators=new.administrators),
        services=Services(postgresql=new.postgresql, tomcat=new.tomcat),
    )


def _asked(new: NewEnvironment, path: Path, workplace: Workplace) -> NewEnvironment:
    """The flags, and on a terminal the answers to what they leave open; a bad answer is asked for again, and
    the others stay. Raises `CommandError`."""
    terminal = workplace.is_terminal()
    for name, question, read in QUESTIONS:
        if getattr(new, name) in (None, ()) and terminal:
            if name == "hosts":
                new = _hosts_answered(new, path, workplace)
            else:
                new = _answered(new, name, question, read, path, workplace)
    for name in NEEDED:
        if not getattr(new, name):
            more = "" if terminal else ": there is no terminal to ask on"
            raise CommandError(Code.USAGE, f"{_flag(name)} is required{more}")
    return new


def _hosts_answered(new: NewEnvironment, path: Path, workplace: Workplace) -> NewEnvironment:
    question, offered = offers.hosts_question(new)

    def read(answer: str) -> Sequence[str]:
        return answer.split() or offered

    new = _answered(new, "hosts", question, read, path, workplace)
    offers.say_addresses(new, workplace)
    return new


def _answered(
    new: NewEnvironment,
    name: str,
    question: str,
    read: Callable[[str], Any],
    path: Path,
    workplace: Workplace,
) -> NewEnvironment:
    """With the answer to one question. A terminal that is closed answers nothing for ever, so the tries
    have an end."""
    for _ in range(TRIES):
        answer: dict[str, Any] = {name: read(workplace.ask(question)) or None}
        answered = replace(new, **answer)
        if answer[name] is None and name in NEEDED:
            problems = ["an answer is needed"]
        elif answer[name] is None:
            return answered
        else:
            before = _problems(new, path)
            problems = [each for each in _problems(answered, path) if each not in before]
        if not problems:
            return answered
        for each in problems:
            say(each)
    raise CommandError(Code.USAGE, f"{_flag(name)}: no valid answer in {TRIES} tries; nothing was written")


def _flag(name: str) -> str:
    return "--host" if name == "hosts" else f"--{name}"


def _problems(new: NewEnvironment, path: Path) -> list[str]:
    """What is wrong with the answers so far, with something valid in place of those that are missing."""
    try:
        whole = replace(
            new, name=new.name or "new", router=new.router or "router.example.org",
            hosts=new.hosts or (new.primary or "host.example.org",),
        )  # fmt: skip
        text = yaml_writer.text(_environment(whole, partial(relative, path)), "", {})
        load(str(path), text.encode())
    except InvalidEnvironment as error:
        return [each.message for each in error.problems]
    except CommandError as error:
        return list(error.lines)
    return []
