"""The rows about whether what is declared counts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reconciler.blueprint import resources, tools
from reconciler.environment.certificate import Certificate
from reconciler.environment.settings import Environment, Host
from reconciler.fleet.needed import NEEDED
from reconciler.model import Plan, Ref
from reconciler.plan.planner import plan
from tests import ROOT

HOSTS = (Host(name="h1", primary=True), Host(name="h2"))
CLOCK = Ref("h1", "clock", "system")
RIGHT = {"agrees": True}
WRONG = {"agrees": "no: 400 days behind"}


def environment(**more: Any) -> Environment:
    return Environment(name="e", router="r", hosts=HOSTS, certificate=Certificate(trusted=b""), **more)


def planned(env: Environment, **clocks: dict[str, Any]) -> Plan:
    """The plan for bare hosts with these clocks."""
    everyone = resources(env)
    seen: dict[Ref, Any] = dict.fromkeys((each.ref for each in everyone), None)
    judged = {each.ref: {} for each in everyone if each.kind in ("answer", "arrival", "delivery", "serving")}
    seen |= judged | {Ref(host, "clock", "system"): clock for host, clock in clocks.items()}
    seen[Ref("h1", "certificate", "r")] = {"lineage": "absent", "release": "none"}
    return plan("e", everyone, seen, {})


def test_nothing_is_ordered_where_the_clock_is_wrong() -> None:
    actions = {each.ref: each for each in planned(environment(), h1=WRONG, h2=RIGHT).actions}
    assert "set the clock of h1" in str(actions[CLOCK].blocked)
    assert CLOCK in actions[Ref("h1", "certificate", "r")].after


def test_the_clock_of_another_host_keeps_nobody_from_ordering() -> None:
    actions = {each.ref: each for each in planned(environment(), h1=RIGHT, h2=WRONG).actions}
    assert {ref for ref in actions if ref.kind == "clock"} == {Ref("h2", "clock", "system")}
    assert not {ref for ref in actions[Ref("h1", "certificate", "r")].after if ref.kind == "clock"}


VOID = {"answers r on 443": "no: /etc/apache2/sites-enabled/000-aaa.conf:2 (x) answers"}


@pytest.mark.parametrize(("running", "held"), [(True, True), (False, False)])
def test_a_service_that_runs_does_not_load_a_configuration_that_is_void_and_one_that_is_down_is_started(
    running: bool, held: bool
) -> None:
    env = environment()
    service, judged = Ref("h1", "service", "apache2"), Ref("h1", "apache_config", "apache2")
    some = [each for each in resources(env) if each.ref in (service, judged)]
    ports = {"port 80": running, "port 443": running}
    loaded = {"loaded": "older than on disk", "configuration": "valid"}
    seen = {service: {"enabled": True, "running": running, **ports, **loaded}, judged: VOID}
    actions = {each.ref: each for each in plan("e", some, seen, {}).actions}
    assert str(actions[judged].blocked).startswith("take the name out of the vhost")
    assert (judged in actions[service].after) is held


def test_a_missing_command_is_named_before_the_order_unless_its_package_is_about_to_come() -> None:
    env = environment()
    commands, order = Ref("h1", "commands", "needed"), Ref("h1", "certificate", "r")
    everyone = resources(env)
    (one,) = [each for each in everyone if each.ref == commands]
    there = dict.fromkeys(one.wanted(), True)  # type: ignore[attr-defined]
    seen: dict[Ref, Any] = dict.fromkeys((each.ref for each in everyone), None)
    seen |= {each.ref: {} for each in everyone if each.kind in ("answer", "arrival", "delivery", "serving")}
    seen |= {CLOCK: RIGHT, Ref("h2", "clock", "system"): RIGHT, Ref("h2", "commands", "needed"): there}
    seen |= {order: {"lineage": "absent", "release": "none"}}
    # The packages are yet to be installed: openssl comes with its own, flock's nobody declares.
    seen[commands] = {**there, "openssl": "missing", "dig": "missing", "flock": "missing"}
    actions = {each.ref: each for each in plan("e", everyone, seen, {}).actions}
    assert [delta.field for delta in actions[commands].deltas] == ["flock"]
    assert actions[commands].blocked == "flock is missing: `apt-get install --reinstall util-linux`"
    assert commands in actions[order].after


def test_the_docs_have_the_one_list_of_what_hosts_need() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| `([a-z0-9-]+)` \|", text))
    assert listed == {**tools.EVERYWHERE, **tools.ON_THE_PRIMARY}
    assert f"`{NEEDED}`" in text
