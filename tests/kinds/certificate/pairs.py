"""Pairs of key and certificate made up for the tests, and the plan for one resource."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from reconciler import x509
from reconciler.kinds.certificate.pair import Trust
from reconciler.model import Plan, Ref, Resource, Seen
from reconciler.plan.planner import plan
from reconciler.questions.system import CommandResult
from tests.support.forged import Key, authority, pem, rsa_key, signed

NOW = datetime.now(UTC)
NO_KEY = CommandResult(1, "Could not read key from /x/privkey.pem")
NAMES = ("cn.example.org", "a.example.org", "b.example.org")
ROOT, INTERMEDIATE = authority()
TRUST = Trust(NAMES, pem(ROOT.certificate).encode())
KEY = rsa_key()
LINEAGE = Ref("a", "certificate", NAMES[0])


def fullchain(key: Key = KEY, names: tuple[str, ...] = NAMES, days: tuple[float, float] = (-1, 89)) -> str:
    return pem(signed(names[0], key, INTERMEDIATE, names=names, days=days), INTERMEDIATE.certificate)


WHOLE = fullchain()
ID = x509.identity(x509.chain(WHOLE))


def public(text: str) -> CommandResult:
    return CommandResult(0, x509.public_key_pem(x509.chain(text)[0]).strip())


def planned(resource: Resource, seen: Seen, **others: Mapping[Ref, Seen]) -> Plan:
    states: dict[Ref, Seen] = {resource.ref: seen}
    for each in others.values():
        states |= each
    return plan("e", [resource], states, {})


def commands(made: Plan) -> str:
    return "\n".join(step.command for action in made.actions for step in action.steps)
