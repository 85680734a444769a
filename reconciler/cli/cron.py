"""`reconcile cron` and `reconcile unlock`: what runs unwatched, and what stands in its way."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.fleet.reply import HostError
from reconciler.journal.journal import folder
from reconciler.model import quote
from reconciler.output import documents

HOLDERS = """
[ -e "$lock" ] || exit 0
flock -n "$lock" true && exit 0
printf 'held %s\n' "$(tail -n 1 "$lock")"
for link in /proc/[0-9]*/fd/9; do
  if [ "$(readlink "$link")" = "$lock" ]; then p=${link#/proc/}; echo "pid ${p%%/*}"; fi
done
"""
"""Says who holds a host's lock, and which processes there do."""


@dataclass(frozen=True)
class Every:
    """How often something runs: every so many minutes, after a wait of at most so many seconds."""

    minutes: int
    jitter: int


def cron(env: str, every: Every, options: Options, *, auto: bool, systemd: bool) -> int:
    """Prints the line for a crontab, or the units for systemd, that run it unwatched."""
    environment = session.open_environment(env)
    file = str(Path(environment.file).resolve())
    program = shutil.which("reconcile") or f"{sys.executable} -m reconciler"
    command = f"{program} {'apply --auto' if auto else 'drift'} {quote(file)}"
    state = f"RECONCILE_STATE={quote(str(folder()))}" if "RECONCILE_STATE" in os.environ else ""
    if systemd:
        files = _units(environment.name, command, state, every)
    else:
        files = {"crontab": _line(environment.name, file, command, state, every)}
    if options.json:
        session.print_json(documents.files_document(environment.name, files))
    elif systemd:
        print("\n".join(f"# {path}\n{text}" for path, text in files.items()), end="")
    else:
        print(files["crontab"], end="")
    return Code.OK


def _line(name: str, file: str, command: str, state: str, every: Every) -> str:
    lock = quote(str(folder() / f"cron-{name}.lock"))
    often = f"*/{every.minutes} * * * *" if every.minutes < 60 else f"0 */{every.minutes // 60} * * *"
    wait = f"sleep $(( $(od -An -N2 -tu2 /dev/urandom) \\% {every.jitter} )); " if every.jitter else ""
    told = f"what goes wrong is mailed by cron; what is told, by `notices:` of {file}"
    run = f"{state + ' ' if state else ''}flock -n {lock} {command} >/dev/null"
    return f"# {name}: {told}\n{often} mkdir -p {quote(str(folder()))}; {wait}{run}\n"


def _units(name: str, command: str, state: str, every: Every) -> dict[str, str]:
    # 2 and 3 are verdicts, not failures: the notices tell of them.
    service = (
        f"[Unit]\nDescription=reconcile {name}\nWants=network-online.target\nAfter=network-online.target\n\n"
        "[Service]\nType=oneshot\n"
        + (f"Environment={state}\n" if state else "")
        + f"ExecStart={command}\nSuccessExitStatus=2 3\n"
    )
    timer = (
        f"[Unit]\nDescription=reconcile {name}, every {every.minutes} minutes\n\n"
        f"[Timer]\nOnBootSec=5min\nOnUnitActiveSec={every.minutes}min\n"
        f"RandomizedDelaySec={every.jitter}\n\n[Install]\nWantedBy=timers.target\n"
    )
    unit = f"/etc/systemd/system/reconcile-{name}"
    return {f"{unit}.service": service, f"{unit}.timer": timer}


def unlock(env: str, options: Options, *, end: bool) -> int:
    """Shows who holds the lock of each host; ends those processes only when told to."""
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    locks: list[dict[str, Any]] = []
    away: dict[str, str] = {}
    with session.fleet_of(environment, resources, options) as fleet:
        for name, host in sorted(fleet.hosts.items()):
            try:
                lock = {"host": name, **_holder(host, fleet.seconds), "ended": False}
                locks.append(lock)
                if end and lock["processes"]:
                    host.run(f"kill {' '.join(map(quote, lock['processes']))}", fleet.seconds)
                    lock["ended"] = True
            except HostError as error:
                away[name] = error.reason
    if options.json:
        session.print_json(documents.locks_document(environment.name, locks, away))
    else:
        session.print_lines(line for lock in locks for line in _told(lock))
        for name, reason in away.items():
            options.say(f"{name}: {reason}")
    held = [lock for lock in locks if lock["held_by"] is not None and not lock["ended"]]
    if held and not end:
        raise CommandError(
            Code.LOCKED, "to end those processes: `reconcile unlock ENV --break`; ask their owner first"
        )
    return Code.LOCKED if held else Code.INCOMPLETE if away else Code.OK


def _holder(host: Any, seconds: float) -> dict[str, Any]:
    from reconciler.fleet.host import LOCK  # noqa: PLC0415 - paramiko is slow to load

    said = host.run(f"lock={quote(LOCK)}\n{HOLDERS}", seconds).output.decode("utf-8", "replace").splitlines()
    return {
        "held_by": next((line.removeprefix("held ") for line in said if line.startswith("held ")), None),
        "processes": [line.removeprefix("pid ") for line in said if line.startswith("pid ")],
    }


def _told(lock: Mapping[str, Any]) -> Iterator[str]:
    if lock["held_by"] is None:
        yield f"{lock['host']}: not locked"
        return
    processes = " ".join(lock["processes"]) or "that cannot be seen"
    yield f"{lock['host']}: locked by {lock['held_by']}; processes {processes}"
    if lock["ended"]:
        yield f"{lock['host']}: ended; a step that was under way may be half done: plan, and look"
