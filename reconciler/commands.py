"""What each command does: load, look, plan, and what then becomes of the plan."""

from __future__ import annotations

import enum
import getpass
import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler import approval, documents, executor, report
from reconciler.blueprint import resources as blueprint_resources
from reconciler.declared import Environment
from reconciler.environment import InvalidEnvironment, check_whole, find, load
from reconciler.executor import Report
from reconciler.look import Fleet
from reconciler.model import Plan, Resource
from reconciler.planner import plan as make_plan
from reconciler.replies import HostError, Locked


class Code(enum.IntEnum):
    """The exit codes of the contract."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    INCOMPLETE = 3
    FAILED = 4
    NEITHER = 5
    STALE = 6
    LOCKED = 7
    NOT_APPROVED = 8
    USAGE = 64
    INTERRUPTED = 130


class Stop(Exception):
    """Ends a command with a code and lines for stderr."""

    def __init__(self, code: Code, *lines: str) -> None:
        self.code, self.lines = code, lines
        super().__init__(*lines)


@dataclass(frozen=True)
class Options:
    """The flags that most commands share."""

    host: list[str] | None = None
    only: list[str] | None = None
    json: bool = False
    parallel: int = 32
    timeout: int | None = None
    no_color: bool = False
    verbose: bool = False

    @property
    def scope(self) -> dict[str, list[str]]:
        """What a plan was narrowed to; goes with a saved plan."""
        return {"host": sorted(self.host or ()), "only": sorted(self.only or ())}

    @property
    def paper(self) -> report.Paper:
        plain = self.no_color or "NO_COLOR" in os.environ or not sys.stdout.isatty()
        return report.Paper(not plain)

    def say(self, line: str) -> None:
        """Tells of progress, on stderr."""
        sys.stderr.write(f"{report.printable(line)}\n")
        sys.stderr.flush()


def _load(env: str) -> Environment:
    try:
        return load(find(env))
    except InvalidEnvironment as error:
        raise Stop(Code.USAGE, *map(str, error.problems)) from None


def _resources(environment: Environment, options: Options) -> list[Resource]:
    everything = blueprint_resources(environment)
    try:
        check_whole(environment, everything)
    except InvalidEnvironment as error:
        raise Stop(Code.USAGE, *map(str, error.problems)) from None
    names = {host.name for host in (*environment.hosts, *environment.retired)}
    for host in options.host or ():
        if host not in names:
            raise Stop(Code.USAGE, f"--host {host}: no such host; known: {', '.join(sorted(names))}")
    chosen = [r for r in everything if not options.host or r.host in options.host]
    if not options.only:
        return chosen
    found = [r for r in chosen if any(_matches(r, text) for text in options.only)]
    if not found:
        kinds = ", ".join(sorted({r.kind for r in everything}))
        raise Stop(Code.USAGE, f"--only {' '.join(options.only)}: nothing is called so; kinds: {kinds}")
    return found


def _matches(resource: Resource, text: str) -> bool:
    kind, _, name = text.partition(":")
    return resource.kind == kind and name in ("", resource.name)


def _fleet(environment: Environment, resources: list[Resource], options: Options) -> Fleet:
    from reconciler.hosts import Host  # noqa: PLC0415 - paramiko is slow to load
    from reconciler.ssh import Doors  # noqa: PLC0415

    ssh = environment.ssh
    if options.timeout:
        ssh = replace(ssh, timeout=options.timeout)
    doors = Doors(ssh)
    wanted = {resource.host for resource in resources}
    hosts = [Host(host, doors) for host in (*environment.hosts, *environment.retired) if host.name in wanted]
    return Fleet(
        environment.name,
        resources,
        hosts,
        parallel=options.parallel,
        seconds=ssh.timeout,
        listen=options.say,
    )


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _save(path: Path, document: Any) -> None:
    try:
        new = path.with_name(f".{path.name}.new")
        new.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise Stop(Code.ERROR, f"{path}: cannot be written ({error.strerror})") from None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(Code.USAGE, f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise Stop(Code.USAGE, f"{path}: is not JSON ({error})") from None


def validate(envs: list[str], *, as_json: bool) -> int:
    """`reconcile validate`: 0, or 64 with every problem of every file."""
    problems: list[str] = []
    for env in envs:
        try:
            environment = load(find(env))
            resources = blueprint_resources(environment)
            check_whole(environment, resources)
        except InvalidEnvironment as error:
            problems += map(str, error.problems)
        else:
            if not as_json:
                hosts, count = len(environment.hosts), len(resources)
                print(f"{environment.file}: valid: {hosts} hosts, {count} resources")
    if as_json:
        _print_json({"version": 1, "document": "validation", "problems": problems})
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
    return Code.USAGE if problems else Code.OK


def observe(env: str, options: Options, output: Path | None) -> int:
    """`reconcile observe`: 0, or 3 where a host could not be looked at."""
    environment = _load(env)
    with _fleet(environment, _resources(environment, options), options) as fleet:
        sight = fleet.look()
    document = documents.observation_document(
        environment.name, sight, file=environment.file, looked=datetime.now(UTC)
    )
    if output:
        _save(output, document)
    if options.json:
        _print_json(document)
    elif not output:
        _print(report.observation_lines(sight))
    _warn(fleet, options)
    if options.json or output:
        for host, reason in sight.unreachable.items():
            options.say(f"{host}: {reason}")
    return Code.INCOMPLETE if sight.unreachable else Code.OK


def _warn(fleet: Fleet, options: Options) -> None:
    for host, warning in sorted(fleet.sight.warnings.items()):
        options.say(f"{host}: looked without root ({warning})")


def plan(env: str, options: Options, output: Path | None, seen: Path | None, *, detailed: bool) -> int:
    """`reconcile plan`: 0, 3 where it is incomplete, 2 for changes with --detailed-exitcode."""
    environment = _load(env)
    resources = _resources(environment, options)
    made = _plan_from_file(environment, resources, seen) if seen else _plan(environment, resources, options)
    document = _document(made, environment, options)
    if output:
        _save(output, document)
    if options.json:
        _print_json(document)
    else:
        _print(report.plan_lines(made, options.paper))
    if not made.complete:
        return Code.INCOMPLETE
    return Code.CHANGES if detailed and made.actions else Code.OK


def _document(made: Plan, environment: Environment, options: Options) -> dict[str, Any]:
    return documents.plan_document(
        made,
        file=environment.file,
        file_digest=environment.digest,
        made=datetime.now(UTC),
        scope=options.scope,
    )


def _plan(environment: Environment, resources: list[Resource], options: Options) -> Plan:
    with _fleet(environment, resources, options) as fleet:
        fleet.look()
        _warn(fleet, options)
        return fleet.plan()


def _plan_from_file(environment: Environment, resources: list[Resource], seen: Path) -> Plan:
    try:
        sight = documents.sight_from(_read(seen))
    except documents.NotADocument as error:
        raise Stop(Code.USAGE, f"{seen}: {error}") from None
    return make_plan(environment.name, resources, sight.seen, sight.unreachable)


def show(file: Path, options: Options) -> int:
    """`reconcile show`: prints a saved plan."""
    document = _read(file)
    saved = _saved(file, document)
    if options.json:
        _print_json(document)
        return Code.OK
    _print(report.plan_lines(saved, options.paper))
    print(f"Made {document['made']} from {document['file']}; digest {document['digest']}.")
    return Code.OK


def _saved(file: Path, document: Any) -> Plan:
    try:
        return documents.plan_from(document)
    except documents.NotADocument as error:
        raise Stop(Code.USAGE, f"{file}: {error}") from None


def drift(env: str, options: Options) -> int:
    """`reconcile drift`: 0 in sync, 2 drift, 3 where some of it could not be looked at."""
    environment = _load(env)
    made = _plan(environment, _resources(environment, options), options)
    if options.json:
        _print_json(_document(made, environment, options))
    else:
        _print(report.plan_lines(made, options.paper))
    if not made.complete:
        return Code.INCOMPLETE
    return Code.CHANGES if made.actions else Code.OK


def apply(env: str, options: Options, *, yes: bool) -> int:
    """`reconcile apply`: see the exit codes of the contract."""
    saved: Plan | None = None
    if env.endswith(".json") or (Path(env).is_file() and _begins_like_json(Path(env))):
        document = _read(Path(env))
        saved = _saved(Path(env), document)
        env = str(document["file"])
        options = replace(options, **document["scope"])
    environment = _load(env)
    resources = _resources(environment, options)
    with _fleet(environment, resources, options) as fleet:
        return _Apply(environment, fleet, options).run(saved, yes)


def _begins_like_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


class _Apply:
    """One `reconcile apply`, from the first look to the report."""

    def __init__(self, environment: Environment, fleet: Fleet, options: Options) -> None:
        self.environment, self.fleet, self.options = environment, fleet, options

    def run(self, saved: Plan | None, yes: bool) -> int:
        if saved is not None:
            self.fleet.look()
            return self._carry_out(saved)
        shown = self._shown()
        if not shown.actions:
            return self._end(None, Code.OK if shown.complete else Code.INCOMPLETE)
        if not yes:
            self._ask()
        return self._carry_out(shown)

    def _shown(self) -> Plan:
        self.fleet.look()
        _warn(self.fleet, self.options)
        made = self.fleet.plan()
        if not self.options.json:
            _print(report.plan_lines(made, self.options.paper))
        return made

    def _ask(self) -> None:
        if self.options.json:
            raise Stop(
                Code.NOT_APPROVED, "not approved: with --json nothing is asked; use --yes or a saved plan"
            )
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise Stop(
                Code.NOT_APPROVED,
                "not approved: there is no terminal to ask on; look at the plan, then use --yes,"
                " or `plan -o FILE` and `apply FILE`",
            )
        print("Carry this out? Only `yes` is taken for an answer: ", end="", flush=True)
        if sys.stdin.readline().strip() != "yes":
            raise Stop(Code.NOT_APPROVED, "not approved; nothing was done")

    def _carry_out(self, approved: Plan) -> int:
        try:
            self.fleet.lock(self._who())
        except Locked as error:
            raise Stop(
                Code.LOCKED,
                f"{error.host} is locked: {error.reason}",
                "wait until that run has ended; nothing was done",
            ) from None
        except HostError as error:
            raise Stop(Code.FAILED, f"{error.host}: {error.reason}", "nothing was done") from None
        self.fleet.look()
        changed = approval.changes_since(approved, self.fleet.plan())
        if changed:
            raise Stop(Code.STALE, *self._stale(changed), "nothing was done; make a new plan")
        try:
            result = executor.apply(self.fleet, approved)
        except approval.Stale as stale:
            code = Code.FAILED if stale.begun else Code.STALE
            raise Stop(code, *self._stale(stale.lines), "make a new plan") from None
        return self._end(result, self._code(result))

    @staticmethod
    def _stale(lines: list[str]) -> list[str]:
        return ["the plan is stale:", *(f"  {report.printable(line)}" for line in lines)]

    def _who(self) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return (
            f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}),"
            f" since {now}, for {self.environment.name}"
        )

    @staticmethod
    def _code(result: Report) -> Code:
        results = {each.result for each in result.outcomes}
        if result.neither:
            return Code.NEITHER
        if results & {"failed", "unsettled", "lost"} or any(action.blocked for action in result.left.actions):
            return Code.FAILED
        return Code.OK if result.left.complete and not result.left.actions else Code.INCOMPLETE

    def _end(self, result: Report | None, code: Code) -> int:
        if self.options.json:
            _print_json(documents.apply_document(self.environment.name, result, code=code))
        elif result is not None:
            _print(report.outcome_lines(result, self.options.paper))
        return code
