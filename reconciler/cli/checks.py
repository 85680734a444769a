"""The checks of verify and of the report: services are asked from this machine, as clients ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.blueprint.managed import managed
from reconciler.cli.options import Options
from reconciler.cli.selection import hosts
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.model import Observation
from reconciler.tls import brought
from reconciler.tls import verify as verification
from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer


def run_checks(
    environment: Environment, options: Options, observation: Observation, workplace: Workplace
) -> list[verification.Check]:
    """Every check of the environment, of the hosts that --host names.

    `observation` holds what each host's services serve to the host itself. Raises `CommandError`.
    """
    named = hosts(environment, options)

    def probe(endpoints: Iterable[Endpoint], ping: str | None) -> Mapping[Endpoint, TlsAnswer | NoHandshake]:
        asked = [each for each in endpoints if not options.host or each.host in named]
        return workplace.probe_tls(asked, options.timeout or environment.ssh.timeout, options.parallel, ping)

    checks: list[verification.Check] = []
    if environment.owns_certificate:
        for each in managed(environment):
            release = verification.wanted(environment, observation, each)
            answers = probe(verification.endpoints(environment, each), each.settings.ping)
            checks += verification.outside(environment, answers, release, workplace.clock(), each)
            checks += verification.inside(environment, observation, release, each)
    if theirs := brought.endpoints(environment):
        checks += brought.outside(theirs, probe(theirs, None), observation, workplace.clock())
        checks += brought.inside(environment, observation)
    return [each for each in checks if not options.host or each.endpoint.host in named]
