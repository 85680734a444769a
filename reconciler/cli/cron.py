"""`reconcile cron`: the crontab entry, or the systemd units, that run it unattended."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Env, Json, Yes
from reconciler.cli.install import install_entry, install_units
from reconciler.cli.options import say
from reconciler.cli.selection import open_environment
from reconciler.cli.workplace import Workplace
from reconciler.journal.place import folder
from reconciler.output import unattended
from reconciler.output.documents.results import files_document

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment


def cron(
    context: typer.Context,
    env: Env,
    auto: Annotated[bool, typer.Option("--auto", help="Run `apply --auto` instead of `drift`.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Print systemd units.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Show what would change, ask, and write it there.")
    ] = False,
    yes: Yes = False,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="NAME", help="The account that the units run as; by default, the one that asks."
        ),
    ] = None,
    on_failure: Annotated[
        str | None,
        typer.Option("--on-failure", metavar="UNIT", help="The unit to start for drift and for errors."),
    ] = None,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="N", min=1, max=1440, help="Run every N minutes.")
    ] = 15,
    jitter: Annotated[
        int,
        typer.Option("--jitter", metavar="S", min=0, max=3600, help="Wait up to S random seconds first."),
    ] = 120,
    json: Json = False,
) -> int:
    """Returns 0; without --install it prints only. Raises `CommandError`."""
    workplace: Workplace = context.obj
    if not systemd and (user or on_failure):
        raise CommandError(Code.USAGE, "--user, --on-failure: are for units; add --systemd")
    if json and install and not yes:
        raise CommandError(Code.NOT_APPROVED, "not installed: --json never asks; add --yes")
    environment = open_environment(env, workplace)
    job = _job(environment, user, on_failure, minutes, jitter, auto=auto)
    units = unattended.units(job) if systemd else {}
    entry = unattended.crontab_entry(job)
    made = {str(workplace.units / name): text for name, text in units.items()} or {"crontab": entry}
    if install:
        _install(job, units, entry, workplace, yes=yes)
    if json:
        files.print_json(files_document(environment.name, made))
    elif not install:
        shown = (f"# {path}\n{text}" if systemd else text for path, text in made.items())
        print("\n".join(shown), end="")
    return Code.OK


def _install(
    job: unattended.Job, units: dict[str, str], entry: str, workplace: Workplace, *, yes: bool
) -> None:
    what = " and ".join(units) or "the entry in the crontab"
    if units:
        changed = install_units(units, workplace, yes=yes)
    else:
        changed = install_entry(job, entry, workplace, yes=yes)
    say(f"{what}: {'installed' if changed else 'as it should be already; nothing was changed'}")


def _job(
    environment: Environment,
    user: str | None,
    on_failure: str | None,
    minutes: int,
    jitter: int,
    *,
    auto: bool,
) -> unattended.Job:
    me = pwd.getpwuid(os.geteuid()).pw_name
    state = str(folder().absolute())
    try:
        home = pwd.getpwnam(user or me).pw_dir
    except KeyError:
        raise CommandError(Code.USAGE, f"--user {user}: there is no such account here") from None
    if user not in (None, me) and "RECONCILE_STATE" not in os.environ:
        state = f"{home}/.local/state/reconcile"
    file, notices = str(Path(environment.file).resolve()), environment.notices
    return unattended.Job(
        environment=environment.name,
        file=file,
        command=[*_program(), *(("apply", "--auto") if auto else ("drift",)), file],
        state=state,
        state_is_set="RECONCILE_STATE" in os.environ,
        minutes=minutes,
        jitter=jitter,
        user=user or me,
        sendmail=bool(notices.mail and not notices.smtp),
        on_failure=on_failure,
    )


def _program() -> list[str]:
    """This program by the path that is likely to stay: a link to it outside of its virtual environment."""
    found = shutil.which("reconcile")
    if found is None:
        return [sys.executable, "-m", "reconciler"]
    folders = (Path("/usr/local/bin"), Path("/usr/bin"), Path.home() / ".local/bin")
    links = (each / "reconcile" for each in folders)
    stays = next((str(link) for link in links if link.exists() and link.samefile(found)), None)
    if stays is None and (Path(found).parent.parent / "pyvenv.cfg").exists():
        say(f"{found} is of a virtual environment; `ln -s {found} /usr/local/bin/` gives it a lasting path")
    return [stays or found]
