"""`reconcile cron` and `reconcile unlock`: what runs unwatched, and what stands in its way."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from reconciler import session
from reconciler.journal import folder
from reconciler.model import quote
from reconciler.replies import HostError
from reconciler.session import Code, Options, Stop

HOLDERS = """
[ -e "$lock" ] || exit 0
flock -n "$lock" true && exit 0
printf 'held %s\n' "$(tail -n 1 "$lock")"
for link in /proc/[0-9]*/fd/9; do
  if [ "$(readlink "$link")" = "$lock" ]; then p=${link#/proc/}; echo "pid ${p%%/*}"; fi
done
"""
"""Says who holds a host's lock, and which processes there do."""


def cron(env: str, *, auto: bool, systemd: bool, minutes: int, jitter: int) -> int:
    """Prints the line for a crontab, or the units for systemd, that run it unwatched."""
    environment = session.open_environment(env)
    file = str(Path(environment.file).resolve())
    program = shutil.which("reconcile") or f"{sys.executable} -m reconciler"
    command = f"{program} {'apply --auto' if auto else 'drift'} {quote(file)}"
    lock = quote(str(folder() / f"cron-{environment.name}.lock"))
    state = f"RECONCILE_STATE={quote(str(folder()))} " if "RECONCILE_STATE" in os.environ else ""
    if systemd:
        _units(environment.name, command, state, minutes, jitter)
        return Code.OK
    every = f"*/{minutes} * * * *" if minutes < 60 else f"0 */{minutes // 60} * * *"
    wait = f"sleep $(( $(od -An -N2 -tu2 /dev/urandom) \\% {jitter} )); " if jitter else ""
    run = f"{state}flock -n {lock} {command} >/dev/null"
    print(f"# {environment.name}: what goes wrong is mailed by cron; what is told, by `notices:` of {file}")
    print(f"{every} mkdir -p {quote(str(folder()))}; {wait}{run}")
    return Code.OK


def _units(name: str, command: str, state: str, minutes: int, jitter: int) -> None:
    print(f"# /etc/systemd/system/reconcile-{name}.service")
    print(f"[Unit]\nDescription=reconcile {name}\nWants=network-online.target\nAfter=network-online.target\n")
    print("[Service]\nType=oneshot")
    if state:
        print(f"Environment={state.strip()}")
    # 2 and 3 are verdicts, not failures: the notices tell of them.
    print(f"ExecStart={command}\nSuccessExitStatus=2 3\n")
    print(f"# /etc/systemd/system/reconcile-{name}.timer")
    print(f"[Unit]\nDescription=reconcile {name}, every {minutes} minutes\n")
    print(f"[Timer]\nOnBootSec=5min\nOnUnitActiveSec={minutes}min\nRandomizedDelaySec={jitter}\n")
    print("[Install]\nWantedBy=timers.target")


def unlock(env: str, options: Options, *, end: bool) -> int:
    """Shows who holds the lock of each host; ends those processes only when told to."""
    from reconciler.hosts import LOCK  # noqa: PLC0415 - paramiko is slow to load

    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    ask = f"lock={quote(LOCK)}\n{HOLDERS}"
    worst = Code.OK
    with session.fleet_of(environment, resources, options) as fleet:
        for name, host in sorted(fleet.hosts.items()):
            try:
                held = host.run(ask, fleet.seconds).output.decode("utf-8", "replace").splitlines()
                who = next((line.removeprefix("held ") for line in held if line.startswith("held ")), None)
                pids = [line.removeprefix("pid ") for line in held if line.startswith("pid ")]
                if who is None:
                    print(f"{name}: not locked")
                    continue
                print(f"{name}: locked by {who}; processes {' '.join(pids) or 'that cannot be seen'}")
                worst = Code.LOCKED
                if end and pids:
                    host.run(f"kill {' '.join(map(quote, pids))}", fleet.seconds)
                    print(f"{name}: ended; a step that was under way may be half done: plan, and look")
                    worst = Code.OK
            except HostError as error:
                options.say(f"{name}: {error.reason}")
                worst = Code.INCOMPLETE
    if worst == Code.LOCKED and not end:
        raise Stop(worst, "to end those processes: `reconcile unlock ENV --break`; ask their owner first")
    return worst
