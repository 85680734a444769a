"""What all commands share: codes, flags, opening an environment, looking, printing, files."""

from __future__ import annotations

import enum
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.blueprint import resources as blueprint_resources
from reconciler.environment.load import InvalidEnvironment, check_whole, find, load
from reconciler.environment.settings import Environment
from reconciler.fleet.fleet import Fleet
from reconciler.journal import commit as checkout
from reconciler.journal import undo
from reconciler.journal.journal import Journal, JournalEntry, NoJournal
from reconciler.model import Observation, Plan, Resource
from reconciler.output import documents
from reconciler.output import text as report


class Code(enum.IntEnum):
    """The exit codes of the contract."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    INCOMPLETE = 3
    FAILED = 4
    PARTIAL = 5
    STALE = 6
    LOCKED = 7
    NOT_APPROVED = 8
    USAGE = 64
    INTERRUPTED = 130


REPLACEABLE = "certificate"


class CommandError(Exception):
    """Ends a command with a code and lines for stderr."""

    def __init__(self, code: Code, *lines: str) -> None:
        self.code, self.lines = code, lines
        super().__init__(*lines)


@dataclass(frozen=True)
class Options:
    """The flags that most commands share."""

    host: list[str] | None = None
    only: list[str] | None = None
    replace: list[str] | None = None
    rollback: list[str] | None = None
    json: bool = False
    parallel: int = 32
    timeout: int | None = None
    no_color: bool = False
    verbose: bool = False

    @property
    def scope(self) -> dict[str, list[str]]:
        """What a plan was narrowed to; goes with a saved plan."""
        given = {"host": self.host, "only": self.only, "replace": self.replace, "rollback": self.rollback}
        return {name: sorted(values or ()) for name, values in given.items()}

    @property
    def narrowed(self) -> bool:
        """Whether only a part of the environment is looked at."""
        return bool(self.host or self.only)

    @property
    def paper(self) -> report.Style:
        plain = self.no_color or "NO_COLOR" in os.environ or not sys.stdout.isatty()
        return report.Style(not plain)

    def say(self, line: str) -> None:
        """Tells of progress, on stderr."""
        sys.stderr.write(f"{report.printable(line)}\n")
        sys.stderr.flush()


def open_environment(env: str) -> Environment:
    """The environment that ENV names; raises `CommandError` with every problem."""
    try:
        return load(find(env))
    except InvalidEnvironment as error:
        raise CommandError(Code.USAGE, *map(str, error.problems)) from None


def chosen(environment: Environment, options: Options) -> list[Resource]:
    """The resources of the environment that the flags leave; raises `CommandError`.

    Those of a rollback are what would undo a run, and nothing else.
    """
    if options.rollback:
        return list(inverse(environment, int(options.rollback[0])).resources)
    everything = blueprint_resources(environment)
    try:
        check_whole(environment, everything)
    except InvalidEnvironment as error:
        raise CommandError(Code.USAGE, *map(str, error.problems)) from None
    names = {host.name for host in (*environment.hosts, *environment.retired)}
    for host in options.host or ():
        if host not in names:
            raise CommandError(Code.USAGE, f"--host {host}: no such host; known: {', '.join(sorted(names))}")
    chosen = [r for r in everything if not options.host or r.host in options.host]
    if not options.only:
        return chosen
    found = [r for r in chosen if any(_matches(r, text) for text in options.only)]
    if not found:
        kinds = ", ".join(sorted({r.kind for r in everything}))
        raise CommandError(
            Code.USAGE, f"--only {' '.join(options.only)}: nothing is called so; kinds: {kinds}"
        )
    return found


def inverse(environment: Environment, run: int) -> undo.Inverse:
    """What would undo a run, by the journal of this machine; raises `CommandError`."""
    try:
        with Journal(write=False) as journal:
            entries = journal.entries(run)
            begun = journal.entries(None, environment.name, "begin")
            earlier = [each for each in begun if each.run < run]
            then = _as_it_was(journal, environment, entries[0] if entries else None)
            before = _as_it_was(journal, environment, earlier[-1] if earlier else None)
    except NoJournal as error:
        raise CommandError(Code.ERROR, str(error)) from None
    return undo.inverse(documents.done(entries), then, before)


def _as_it_was(journal: Journal, environment: Environment, begin: JournalEntry | None) -> list[Resource]:
    """The resources that the environment file asked for when a run began; none before any run."""
    if begin is None:
        return []
    text = journal.text(str(begin.body["file_digest"]))
    if not text:
        why = "the environment file was changed while it began, and how it was is not known"
        raise CommandError(Code.USAGE, f"run {begin.run}: {why}")
    try:
        return blueprint_resources(load(environment.file, text))
    except InvalidEnvironment as error:
        why = "what the environment file held then cannot be read any more"
        raise CommandError(Code.USAGE, f"run {begin.run}: {why}", *map(str, error.problems)) from None


def _matches(resource: Resource, text: str) -> bool:
    kind, _, name = text.partition(":")
    return resource.kind == kind and name in ("", resource.name)


def fleet_of(environment: Environment, resources: list[Resource], options: Options) -> Fleet:
    """The hosts of these resources, not connected yet."""
    from reconciler.fleet.host import RemoteHost  # noqa: PLC0415 - paramiko is slow to load
    from reconciler.fleet.ssh import ConnectionFactory  # noqa: PLC0415

    ssh = environment.ssh
    if options.timeout:
        ssh = replace(ssh, timeout=options.timeout)
    doors = ConnectionFactory(ssh)
    wanted = {resource.host for resource in resources}
    hosts = [
        RemoteHost(host, doors) for host in (*environment.hosts, *environment.retired) if host.name in wanted
    ]
    return Fleet(
        environment.name,
        resources,
        hosts,
        parallel=options.parallel,
        seconds=ssh.timeout,
        listen=options.say,
    )


def print_lines(lines: Iterable[str]) -> None:
    """To stdout."""
    for line in lines:
        print(line)


def print_json(document: Any) -> None:
    """To stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def save(path: Path, document: Any) -> None:
    """Saves a document; raises `CommandError`."""
    write(path, json.dumps(document, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Writes a file whole or not at all; raises `CommandError`."""
    try:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise CommandError(Code.ERROR, f"{path}: cannot be written ({error.strerror})") from None


def read(path: Path) -> Any:
    """The JSON in a file; raises `CommandError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(Code.USAGE, f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        saved = "expected what `plan -o`, `rollback -o` or `observe -o` saved"
        raise CommandError(Code.USAGE, f"{path}: is not JSON ({error}); {saved}") from None


def warn(fleet: Fleet, options: Options) -> None:
    """Tells where a host was looked at without root."""
    for host, warning in sorted(fleet.sight.warnings.items()):
        options.say(f"{host}: looked without root ({warning})")


def document_of(made: Plan, environment: Environment, options: Options) -> dict[str, Any]:
    """A plan as a document."""
    at, commit = datetime.now(UTC), checkout.commit(Path(environment.file))
    return documents.plan_document(
        made,
        file=environment.file,
        file_digest=environment.digest,
        commit=None if commit is None else {"id": commit.id, "dirty": commit.dirty},
        made=at,
        expires=at + timedelta(hours=environment.policy.expires),
        scope=options.scope,
    )


def expiry(document: Mapping[str, Any]) -> datetime:
    """Until when a saved plan counts; the beginning of time where it does not say so."""
    try:
        return datetime.fromisoformat(str(document.get("expires")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def explain(journal: Journal, environment: Environment, options: Options) -> None:
    """Tells of runs that broke off, once, and closes them in the journal. Raises `NoJournal`."""
    for run in journal.broken(environment.name):
        entries = journal.entries(run)
        left = documents.unfinished(entries)
        begin = entries[0]
        what = ", ".join(left) or "nothing that it had begun is without an outcome"
        options.say(f"run {run} ({begin.body.get('who')}) broke off; it is looked at again: {what}")
        journal.end(run, environment.name, {"code": None, "unfinished": left})


def plan_of(environment: Environment, resources: list[Resource], options: Options) -> Plan:
    """Looks, and plans."""
    with fleet_of(environment, resources, options) as fleet:
        look(fleet, options)
        return fleet.plan()


def look(fleet: Fleet, options: Options) -> None:
    """Looks at all hosts, and takes --replace into account."""
    fleet.look()
    warn(fleet, options)
    for kind in options.replace or ():
        if kind != REPLACEABLE:
            raise CommandError(Code.USAGE, f"--replace {kind}: only `--replace {REPLACEABLE}` makes sense")
        fleet.replace(kind)


def saved_plan(file: Path, document: Any) -> Plan:
    """The plan in a document; raises `CommandError`."""
    try:
        return documents.plan_from(document)
    except documents.NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None


def saved_observation(file: Path, document: Any) -> Observation:
    """What the observation in a document holds; raises `CommandError`."""
    try:
        return documents.observation_from(document)
    except documents.NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None
