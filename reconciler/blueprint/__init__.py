"""What a coordinating node is: an environment in, resources out. Pure.

Reads like the published procedure, row by row; the numbers are those of docs/procedure.md.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.blueprint import (
    brought,
    certificate,
    distribution,
    effective,
    mesh,
    node,
    revocation,
    rollout,
    services,
)
from reconciler.blueprint.parts import Row
from reconciler.environment.settings import Environment
from reconciler.model import Ref, Resource


def resources(environment: Environment) -> list[Resource]:
    """Every resource of the environment: the blueprint's, then the YAML's own.

    One that the YAML declares replaces the blueprint's with the same ref.
    """
    found: dict[Ref, Resource] = {}
    for host in environment.hosts:
        for row in rows(environment):
            for resource in row(environment, host):
                found[resource.ref] = replace(resource, place=resource.place or host.place)
    if environment.blueprint:
        for host in environment.retired:
            found |= {r.ref: r for r in mesh.retired(environment, host)}
    return list((found | {r.ref: r for r in environment.resources}).values())


def rows(environment: Environment) -> list[Row]:
    """The rows of the procedure that this environment has, and those of what it has beside them."""
    found = _node(environment) if environment.blueprint else []
    if environment.consumers:
        found.append(services.consumers)
    if environment.certificates:
        found += [brought.held, brought.served, brought.proven_outside]
    return found


def _node(environment: Environment) -> list[Row]:
    """The rows of a coordinating node."""
    found: list[Row] = [node.packages, node.node_properties, mesh.sync_account, mesh.mesh]
    found += [node.challenge_directory, node.hooks, node.notice, effective.clock]
    found += [effective.commands, effective.sync_account, mesh.former]
    if environment.services.apache:
        found += [node.port_80, services.apache, effective.apache]
    if environment.services.postgresql:
        found.append(services.postgresql)
    if environment.services.tomcat:
        found.append(services.tomcat)
    if environment.certificate.manage:
        found += [certificate.issued, certificate.renewed, distribution.distributed]
        found += [distribution.delivered, rollout.served, rollout.proven_outside]
        found.append(revocation.revoked)
        if environment.services.apache:
            found += [node.challenge_answer, services.port_443]
        if environment.services.postgresql:
            found += [services.postgresql_certificate, effective.postgresql]
        if environment.services.tomcat:
            found.append(effective.tomcat)
        if environment.services.portal:
            found.append(services.portal)
    return found
