"""The checks of verify and of the report: services are asked from this machine, as clients ask."""

from __future__ import annotations

from reconciler.cli.options import Options
from reconciler.cli.selection import hosts
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.model import Observation
from reconciler.tls import verify as verification


def run_checks(
    environment: Environment, options: Options, observation: Observation, workplace: Workplace
) -> list[verification.Check]:
    """Every check of the environment, of the hosts that --host names.

    `observation` holds what each host's services serve to the host itself. Raises `CommandError`.
    """
    release = verification.wanted(environment, observation)
    named = hosts(environment, options)
    asked = [each for each in verification.endpoints(environment) if not options.host or each.host in named]
    seconds = options.timeout or environment.ssh.timeout
    answers = workplace.probe_tls(asked, seconds, options.parallel, environment.certificate.ping)
    checks = [
        *verification.outside(environment, answers, release, workplace.clock()),
        *verification.inside(environment, observation, release),
    ]
    return [each for each in checks if not options.host or each.endpoint.host in named]
