"""What each command does: load, look, plan, and what then becomes of the plan."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from reconciler.blueprint import resources as blueprint_resources
from reconciler.cli import formats, session
from reconciler.cli.formats import Formats
from reconciler.cli.session import Code, CommandError, Options
from reconciler.environment.load import InvalidEnvironment, check_whole, find, load
from reconciler.environment.settings import Environment
from reconciler.model import Observation, Plan, Resource
from reconciler.output import documents, text
from reconciler.plan.planner import plan as make_plan
from reconciler.tls import verify as verification


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
        session.print_json({"version": 1, "document": "validation", "problems": problems})
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
    return Code.USAGE if problems else Code.OK


def observe(env: str, options: Options, output: Path | None) -> int:
    """`reconcile observe`: 0, or 3 where a host could not be looked at."""
    environment = session.open_environment(env)
    with session.fleet_of(environment, session.chosen(environment, options), options) as fleet:
        sight = fleet.look()
    document = documents.observation_document(
        environment.name, sight, file=environment.file, looked=datetime.now(UTC)
    )
    if output:
        session.save(output, document)
    if options.json:
        session.print_json(document)
    elif not output:
        session.print_lines(text.observation_lines(sight))
    session.warn(fleet, options)
    if options.json or output:
        for host, reason in sight.unreachable.items():
            options.say(f"{host}: {reason}")
    return Code.INCOMPLETE if sight.unreachable else Code.OK


def plan(
    env: str, options: Options, output: Path | None, seen: Path | None, told: Formats, *, detailed: bool
) -> int:
    """`reconcile plan`: 0, 3 where it is incomplete, 2 for changes with --detailed-exitcode."""
    formats.check(options, told)
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    made = (
        _plan_from_file(environment, resources, seen)
        if seen
        else session.plan_of(environment, resources, options)
    )
    document = session.document_of(made, environment, options)
    if output:
        session.save(output, document)
    formats.write_plan("plan", made, told, environment)
    if options.json:
        session.print_json(document)
    else:
        formats.tell_plan(made, options, told)
    if not made.complete:
        return Code.INCOMPLETE
    return Code.CHANGES if detailed and made.actions else Code.OK


def _plan_from_file(environment: Environment, resources: list[Resource], seen: Path) -> Plan:
    sight = session.saved_observation(seen, session.read(seen))
    return make_plan(environment.name, resources, sight.seen, sight.unreachable)


def show(file: Path, options: Options, told: Formats) -> int:
    """`reconcile show`: prints a saved plan."""
    formats.check(options, told)
    document = session.read(file)
    saved = session.saved_plan(file, document)
    if options.json:
        session.print_json(document)
        return Code.OK
    formats.tell_plan(saved, options, told)
    if told.markdown or told.github:
        return Code.OK
    print(f"Made {document['made']} from {document['file']}; digest {document['digest']}.")
    return Code.OK


def verify(env: str, options: Options, told: Formats) -> int:
    """`reconcile verify`: 0, 2 where something is not as wanted, 3 where it cannot be judged."""
    formats.check(options, told)
    environment = session.open_environment(env)
    if not environment.certificate.manage:
        why = "there is nothing to verify: `manage` of its certificate is false"
        raise CommandError(Code.USAGE, f"{environment.file}: {why}")
    resources = [r for r in session.chosen(environment, options) if r.kind in verification.KINDS]
    with session.fleet_of(environment, resources, options) as fleet:
        sight = fleet.look()
    release = verification.wanted(environment, sight)
    checks = ask(environment, options, sight)
    formats.write_checks(checks, told, environment)
    if options.json:
        session.print_json(documents.verify_document(environment.name, release, checks))
    else:
        session.print_lines(text.check_lines(checks, options.paper))
        print(verification.summary(environment, checks))
    verdicts = {each.verdict for each in checks}
    return Code.CHANGES if "wrong" in verdicts else Code.INCOMPLETE if "unknown" in verdicts else Code.OK


def ask(environment: Environment, options: Options, sight: Observation) -> list[verification.Check]:
    """Every check of the environment: its services are asked from here, and what they showed
    the hosts themselves is in `sight`."""
    release = verification.wanted(environment, sight)
    answers = _answers(environment, options)
    checks = [
        *verification.outside(environment, answers, release, datetime.now(UTC)),
        *verification.inside(environment, sight, release),
    ]
    return [each for each in checks if not options.host or each.asked.host in options.host]


def _answers(
    environment: Environment, options: Options
) -> dict[verification.Asked, verification.ShownProtocol | Exception]:
    from reconciler.tls import handshake  # noqa: PLC0415 - pyOpenSSL is slow to load

    asked = {
        handshake.Endpoint(each.host, each.address, each.port, each.protocol, each.name): each
        for each in verification.questions(environment)
        if not options.host or each.host in options.host
    }
    seconds = options.timeout or environment.ssh.timeout
    answers = handshake.probe_all_tls(asked, seconds, options.parallel, environment.certificate.ping)
    return {asked[endpoint]: answer for endpoint, answer in answers.items()}
