"""`reconcile doctor`: what is missing, on this machine and for an environment, and what mends it?

It changes nothing: hosts are looked at as by `drift`, and of the CA only its directory is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code
from reconciler.cli.flags import Json, LogFormat, NoColor, Parallel, Quiet, Timeout
from reconciler.cli.look import authors_of, connected
from reconciler.cli.options import Options
from reconciler.cli.selection import declared
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.diagnosis.checks import HealthCheck
    from reconciler.diagnosis.hosts import HostLook
    from reconciler.diagnosis.machine import AcmeResult, Addresses, Machine
    from reconciler.environment.load import InvalidEnvironment
    from reconciler.environment.settings import Environment
    from reconciler.fleet.routes import Route
    from reconciler.model import Resource


def doctor(
    context: typer.Context,
    env: Annotated[
        str | None,
        typer.Argument(metavar="[ENV]", help="Without it: this machine and its journal alone."),
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    quiet: Quiet = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns 0 where nothing is to be mended; 2 for a problem; 3 for none, but something that could not be
    judged; 64 where the file is not valid. A warning alone is 0."""
    from reconciler.environment.load import InvalidEnvironment

    workplace: Workplace = context.obj
    options = Options(
        json=json, parallel=parallel, timeout=timeout, no_color=no_color, quiet=quiet, log_format=log_format
    )
    invalid = None
    environment: Environment | None = None
    resources: Sequence[Resource] = ()
    if env is not None:
        try:
            loaded = workplace.load(env)
            resources, environment = declared(loaded), loaded
        except InvalidEnvironment as error:
            invalid = error
    checks = _in_order(_checks(environment, resources, invalid, options, workplace))
    code = _code(checks, is_valid=invalid is None)
    if json:
        from reconciler.output.documents.health import doctor_document

        files.print_json(doctor_document(env, checks, workplace.clock(), code))
    else:
        from reconciler.diagnosis.checks import OK
        from reconciler.output.health import health_lines

        shown = [each for each in checks if not (quiet and each.verdict == OK)]
        if shown or not quiet:
            files.print_lines(health_lines(shown, formats.style(options, workplace)))
    return code


def _in_order(checks: Iterable[HealthCheck]) -> list[HealthCheck]:
    from reconciler.diagnosis.checks import GROUPS

    return sorted(checks, key=lambda each: GROUPS.index(each.group))


def _code(checks: Sequence[HealthCheck], *, is_valid: bool) -> Code:
    from reconciler.diagnosis.checks import PROBLEM, UNCLEAR

    verdicts = {each.verdict for each in checks}
    if not is_valid:
        return Code.USAGE
    return Code.CHANGES if PROBLEM in verdicts else Code.INCOMPLETE if UNCLEAR in verdicts else Code.OK


def _checks(
    environment: Environment | None,
    resources: Sequence[Resource],
    invalid: InvalidEnvironment | None,
    options: Options,
    workplace: Workplace,
) -> Iterable[HealthCheck]:
    from reconciler.diagnosis import checks, here, journal
    from reconciler.diagnosis import routes as how
    from reconciler.journal.place import folder

    machine = workplace.machine()
    yield here.python(machine.python())
    yield here.ssh_keygen(machine.output_of(["ssh", "-V"]), environment)
    yield here.git(machine.output_of(["git", "--version"]), environment)
    if invalid is not None:
        problems = [(each.place.file, each.place.line, each.message) for each in invalid.problems]
        missing = {file for file, _, _ in problems if not Path(file).exists()}
        yield from here.file_problems(problems, missing)
        yield from here.without_a_file(
            (checks.SSH, checks.KEYS, checks.KNOWN_HOSTS, checks.HOSTS, checks.DNS, checks.CA)
        )
    if environment is not None:
        yield from _file(environment, resources)
        routes, refused = _routes(environment)
        yield from how.judge(environment, routes, refused)
        found, blocked = _keys(environment, routes, refused, machine, workplace)
        yield from found
        yield from _outside(environment, resources, routes, blocked, options, workplace)
    name, file = (environment.name, environment.file) if environment else (None, "")
    yield from journal.checks(folder(), workplace.journal_to_read, name, file)


def _file(environment: Environment, resources: Sequence[Resource]) -> Iterable[HealthCheck]:
    from reconciler.diagnosis import here
    from reconciler.diagnosis.checks import FILE, HealthCheck
    from reconciler.diagnosis.machine import unset_variables
    from reconciler.journal import commit
    from reconciler.monitor.delivery import SENDMAIL

    found = f"valid: {len(environment.hosts)} hosts, {len(resources)} resources"
    yield HealthCheck(group=FILE, subject=environment.file, found=found)
    notices, is_in_git = environment.notices, commit.commit(Path(environment.file)) is not None
    yield from here.authors(environment, authors_of(environment), in_git=is_in_git)
    urls = [*notices.webhooks, *notices.apprise, *([notices.heartbeat] if notices.heartbeat else [])]
    yield from here.notices(
        environment,
        sendmail=any(Path(each).exists() for each in SENDMAIL),
        apprise=find_spec("apprise") is not None,
        unset=unset_variables(urls),
    )


def _routes(environment: Environment) -> tuple[dict[str, Route], dict[str, str]]:
    """How each host is reached, and why that cannot be told of the others."""
    from reconciler.fleet.reply import Refused
    from reconciler.fleet.routes import Routes

    made, found, refused = Routes(environment.ssh), {}, {}
    for host in environment.all_hosts:
        try:
            found[host.name] = made.of(host)
        except Refused as error:
            refused[host.name] = error.reason
    return found, refused


def _keys(
    environment: Environment,
    routes: Mapping[str, Route],
    refused: Mapping[str, str],
    machine: Machine,
    workplace: Workplace,
) -> tuple[Sequence[HealthCheck], dict[str, str]]:
    """The checks of keys and known hosts, and by host why nobody can log in, if so."""
    from reconciler.diagnosis import keys
    from reconciler.diagnosis.machine import read_file
    from reconciler.fleet.ssh import login_keys

    ssh, signers = environment.ssh, environment.policy.allowed_signers
    faults = login_keys(ssh, routes.values())
    files = {path: fault for route, fault in faults.items() for path in route.identities[:1] if fault != ""}
    found = [
        keys.identity("ssh.identity" if path == ssh.identity else path, path, read_file(path), fault)
        for path, fault in files.items()
    ]
    asked = any(fault == "" for fault in faults.values())
    agent = machine.output_of(["ssh-add", "-l"]) if asked else None
    known_hosts = read_file(ssh.known_hosts)
    found += [keys.agent(agent)] if asked else []
    found += keys.allowed_signers(environment, read_file(signers) if signers else None, workplace.clock())
    found += keys.pinned(ssh, routes, refused, known_hosts)
    blocked = dict.fromkeys(refused, "how it is reached cannot be told (see ssh)")
    for host, route in routes.items():
        fault = faults[route]
        if known_hosts.fault:
            blocked[host] = "known_hosts cannot be read (see known hosts)"
        elif fault or (fault == "" and agent is not None and agent.status != 0):
            blocked[host] = "there is no key to log in with (see keys)"
    return found, blocked


def _outside(
    environment: Environment,
    declared: Sequence[Resource],
    routes: Mapping[str, Route],
    blocked: Mapping[str, str],
    options: Options,
    workplace: Workplace,
) -> Iterable[HealthCheck]:
    """DNS and the CA from here, then the hosts: none whose name does not resolve in time, and none of which
    it is known why nobody can log in."""
    from reconciler.diagnosis import here, hosts, names

    addresses, directories = _asked(environment, routes, workplace.machine(), options)
    yield from names.judge(environment, routes, addresses)
    reached = {host: route for host, route in routes.items() if host not in blocked}
    left_out = HostsLeftOut(blocked, names.lost(reached, addresses))
    look = _look(environment, declared, routes, left_out, options, workplace)
    yield here.clock(directories, *hosts.clocks(look), workplace.clock())
    yield from hosts.judge(look)
    from_primary = list(hosts.ca_from_primary(look))
    yield from from_primary
    if any(hosts.not_asked(each) for each in from_primary):
        yield from names.ca_from_here(environment, directories)


@dataclass(frozen=True)
class HostsLeftOut:
    """Hosts that are not asked, by name, with the reason: another check's, or one of their own."""

    blocked: Mapping[str, str]
    lost: Mapping[str, str]


def _asked(
    environment: Environment, routes: Mapping[str, Route], machine: Machine, options: Options
) -> tuple[Mapping[str, Addresses], Mapping[str, AcmeResult]]:
    from reconciler.diagnosis import hosts, names
    from reconciler.diagnosis.machine import SECONDS, NoAcmeAnswer, Unresolved, bounded

    seconds = min(options.timeout or SECONDS, SECONDS)
    late = f"no answer within {seconds} s"
    servers, wanted = hosts.servers(environment), names.looked_up(environment, routes)
    calls: dict[tuple[str, str], partial[Any]] = {
        **{("name", each): partial(machine.resolve, each) for each in wanted},
        **{("CA", each): partial(machine.fetch_directory, each) for each in servers},
    }
    found = bounded(calls, seconds, None)
    addresses = {each: found["name", each] or Unresolved(late, certain=False) for each in wanted}
    directories = {each: found["CA", each] or NoAcmeAnswer(late) for each in servers}
    return addresses, directories


def _look(
    environment: Environment,
    declared: Sequence[Resource],
    routes: Mapping[str, Route],
    left_out: HostsLeftOut,
    options: Options,
    workplace: Workplace,
) -> HostLook:
    from reconciler.diagnosis import hosts

    blocked, lost = left_out.blocked, left_out.lost
    wanted = hosts.asked(environment, declared)
    reached = [each for each in wanted if each.host not in {**blocked, **lost}]
    with connected(environment, reached, options, workplace) as fleet:
        seen = fleet.look()
        plan = fleet.plan()
    return hosts.HostLook(
        environment=environment,
        resources=wanted,
        seen=seen.seen,
        unreachable={**lost, **seen.unreachable},
        without_root=seen.warnings,
        plan=plan,
        blocked=blocked,
        routes=routes,
    )
