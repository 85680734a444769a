"""`reconcile init`: writes a first environment file from flags and answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.asking import HOSTS, NAME, ROUTER, USER, Prompt, asked
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
from reconciler.cli.next_steps import say_next
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.output.documents.results import files_document

QUESTIONS = (
    NAME,
    ROUTER,
    HOSTS,
    Prompt(field="primary", text="Host on which certbot runs (empty: the first): "),
    USER,
    Prompt(field="administrators", text="Mail address to notify of renewals (empty: none): "),
    Prompt(field="postgresql", text="Major version of PostgreSQL (empty: not used): "),
    Prompt(field="tomcat", text="Major version of Tomcat (empty: not used): "),
)
"""What is asked for each flag that is not given."""

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
    environment = new.environment(partial(relative, path))
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
        say_next(path, "validate", "doctor", "plan")
    return Code.OK


def _asked(new: NewEnvironment, path: Path, workplace: Workplace) -> NewEnvironment:
    """The flags, and on a terminal the answers to what they leave open. Raises `CommandError`."""
    terminal = workplace.is_terminal()
    if terminal:
        new = asked(new, QUESTIONS, path, workplace)
    for question in QUESTIONS:
        if question.needed and not getattr(new, question.field):
            more = "" if terminal else ": there is no terminal to ask on"
            raise CommandError(Code.USAGE, f"{question.flag} is required{more}")
    return new
