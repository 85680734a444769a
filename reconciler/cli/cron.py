"""`reconcile cron`: the crontab line, or the systemd units, that run it unattended."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import files
from reconciler.cli.exit import Code
from reconciler.cli.flags import Env, Json
from reconciler.cli.selection import open_environment
from reconciler.cli.workplace import Workplace
from reconciler.journal.journal import folder
from reconciler.kinds.cron import crontab_command
from reconciler.model import quote
from reconciler.output.documents.results import files_document
from reconciler.printable import printable


@dataclass(frozen=True)
class Schedule:
    """How often something runs: every so many minutes, after waiting at most so many seconds."""

    minutes: int
    jitter: int


def cron(
    context: typer.Context,
    env: Env,
    auto: Annotated[bool, typer.Option("--auto", help="Run `apply --auto` instead of `drift`.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="Print systemd units.")] = False,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="N", min=1, max=1440, help="Run every N minutes.")
    ] = 15,
    jitter: Annotated[
        int,
        typer.Option("--jitter", metavar="S", min=0, max=3600, help="Wait up to S random seconds first."),
    ] = 120,
    json: Json = False,
) -> int:
    """Returns 0; prints only, and installs nothing. Raises `CommandError`."""
    workplace: Workplace = context.obj
    schedule = Schedule(minutes, jitter)
    environment = open_environment(env, workplace)
    file = str(Path(environment.file).resolve())
    found = shutil.which("reconcile")
    program = [found] if found else [sys.executable, "-m", "reconciler"]
    command = [*program, *(("apply", "--auto") if auto else ("drift",)), file]
    state = folder() if "RECONCILE_STATE" in os.environ else None
    if systemd:
        made = _units(environment.name, command, state, schedule)
    else:
        made = {"crontab": _line(environment.name, file, command, state, schedule)}
    if json:
        files.print_json(files_document(environment.name, made))
    elif systemd:
        print("\n".join(f"# {path}\n{text}" for path, text in made.items()), end="")
    else:
        print(made["crontab"], end="")
    return Code.OK


def _line(name: str, file: str, words: list[str], state: Path | None, schedule: Schedule) -> str:
    command = " ".join(map(quote, words))
    setting = f"RECONCILE_STATE={quote(str(state))} " if state else ""
    lock = quote(str(folder() / f"cron-{name}.lock"))
    minutes, jitter = schedule.minutes, schedule.jitter
    often = f"*/{minutes} * * * *" if minutes < 60 else f"0 */{minutes // 60} * * *"
    wait = f"sleep $(( $(od -An -N2 -tu2 /dev/urandom) % {jitter} )); " if jitter else ""
    about = f"cron mails what goes wrong; notices go where `notices:` of {printable(file)} says"
    run = f"{setting}flock -n {lock} {command} >/dev/null"
    whole = crontab_command(f"mkdir -p {quote(str(folder()))}; {wait}{run}")
    return f"# {name}: {about}\n{often} {whole}\n"


def _word(text: str, dollar: str = "$$") -> str:
    """A word of a unit file (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers"); `dollar`
    is how a `$` is written there: in a command it begins a variable."""
    text = text.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./%=:@+-]+", text):
        return text
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", dollar)):
        text = text.replace(char, escaped)
    return f'"{text}"'


def _units(name: str, words: list[str], state: Path | None, schedule: Schedule) -> dict[str, str]:
    command = " ".join(map(_word, words))
    # 2 and 3 are verdicts, not failures: notices report them.
    service = (
        f"[Unit]\nDescription=reconcile {name}\nWants=network-online.target\nAfter=network-online.target\n\n"
        "[Service]\nType=oneshot\n"
        + (f"Environment={_word(f'RECONCILE_STATE={state}', dollar='$')}\n" if state else "")
        + f"ExecStart={command}\nSuccessExitStatus=2 3\n"
    )
    timer = (
        f"[Unit]\nDescription=reconcile {name}, every {schedule.minutes} minutes\n\n"
        f"[Timer]\nOnBootSec=5min\nOnUnitActiveSec={schedule.minutes}min\n"
        f"RandomizedDelaySec={schedule.jitter}\n\n[Install]\nWantedBy=timers.target\n"
    )
    unit = f"/etc/systemd/system/reconcile-{name}"
    return {f"{unit}.service": service, f"{unit}.timer": timer}
