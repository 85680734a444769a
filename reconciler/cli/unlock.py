"""`reconcile unlock`: who holds the lock of each host?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from reconciler.cli import files
from reconciler.cli.exit import UNCHANGED, Code, CommandError
from reconciler.cli.flags import (
    Env,
    Hosts,
    Json,
    LogFormat,
    Parallel,
    Quiet,
    Timeout,
)
from reconciler.cli.look import connected
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.fleet.fleet import HostConnection
from reconciler.fleet.reply import HostError, Refused
from reconciler.model import quote
from reconciler.output.documents.results import locks_document

HOLDERS = """
[ -e "$lock" ] || exit 0
flock -n "$lock" true
case $? in 0) exit 0 ;; 1) ;; *) echo unknown; exit 0 ;; esac
printf 'held %s\\n' "$(tail -n 1 "$lock")"
for link in /proc/[0-9]*/fd/9; do
  if [ "$(readlink "$link")" = "$lock" ]; then p=${link#/proc/}; echo "pid ${p%%/*}"; fi
done
"""
"""Says who holds a host's lock, and which processes there do: they have it open as 9."""


def unlock(
    context: typer.Context,
    env: Env,
    end: Annotated[bool, typer.Option("--break", help="End the processes that hold it.")] = False,
    host: Hosts = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0 where no lock is held (any more), 7 where one is, 3 where a host is unreachable.

    Raises `CommandError`.
    """
    workplace: Workplace = context.obj
    options = Options(
        host=host, json=json, parallel=parallel, timeout=timeout, quiet=quiet, log_format=log_format
    )
    environment = open_environment(env, workplace)
    resources = select(environment, options, workplace)
    locks: list[dict[str, Any]] = []
    unreachable: dict[str, str] = {}
    with connected(environment, resources, options, workplace) as fleet:
        for name, connection in sorted(fleet.hosts.items()):
            try:
                lock = {"host": name, **_holder(connection, fleet.seconds), "ended": False}
                locks.append(lock)
                if end and lock["processes"]:
                    connection.run(f"kill {' '.join(map(quote, lock['processes']))}", fleet.seconds)
                    lock["ended"] = True
            except HostError as error:
                unreachable[name] = error.reason
            except KeyboardInterrupt:
                more = f"interrupted; what is locked still: `reconcile unlock {quote(env)}`"
                raise CommandError(Code.INTERRUPTED, *([more] if end else [UNCHANGED])) from None
    if json:
        files.print_json(locks_document(environment.name, locks, unreachable))
    else:
        files.print_lines(line for lock in locks for line in _lines(lock, quiet=quiet))
        for name, reason in unreachable.items():
            say(f"{name}: {reason}")
    held = [lock for lock in locks if lock["held_by"] is not None and not lock["ended"]]
    if held and not end:
        raise CommandError(
            Code.LOCKED, "to end those processes: `reconcile unlock ENV --break`; ask their owner first"
        )
    return Code.LOCKED if held else Code.INCOMPLETE if unreachable else Code.OK


def _holder(connection: HostConnection, seconds: float) -> dict[str, Any]:
    from reconciler.fleet.host import LOCK

    reply = connection.run(f"lock={quote(LOCK)}\n{HOLDERS}", seconds)
    lines = reply.output.decode("utf-8", "replace").splitlines()
    if "unknown" in lines:
        raise Refused(connection.name, "`flock` (util-linux) cannot be run there; is it installed?")
    return {
        "held_by": next((line.removeprefix("held ") for line in lines if line.startswith("held ")), None),
        "processes": [line.removeprefix("pid ") for line in lines if line.startswith("pid ")],
    }


def _lines(lock: Mapping[str, Any], *, quiet: bool) -> Iterator[str]:
    if lock["held_by"] is None:
        if not quiet:
            yield f"{lock['host']}: not locked"
        return
    processes = " ".join(lock["processes"]) or "not visible"
    yield f"{lock['host']}: locked by {lock['held_by']}; processes: {processes}"
    if lock["ended"]:
        yield f"{lock['host']}: ended; a step may be half done: run `reconcile plan` and check"
