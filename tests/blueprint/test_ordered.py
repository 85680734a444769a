"""Further certificates that are ordered, beside the environment's own, and what of an environment uses them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.blueprint import resources
from reconciler.environment.load import load
from reconciler.model import Ref, Resource
from reconciler.refs import flat

FIRST, SECOND, THIRD = (f"cn-{n}.example.org" for n in (1, 2, 3))
NODE = f"""environment: e
router: cn.example.org
hosts:
  - {{name: {FIRST}, primary: true}}
  - {{name: {SECOND}}}
  - {{name: {THIRD}}}
"""
WEB = f"""certificates:
  - name: web
    names: [web.example.org, "www.example.org"]
    server: https://ca.example.com/dir
    key_type: ecdsa-p384
    max_failed: 0
    hosts: [primary, {SECOND}]
consumers:
  - {{unit: nginx, port: 8444, certificate: web, form: pem, user: www-data, hosts: [{SECOND}]}}
"""
STORE = "/var/lib/reconciler/certificates/web"
SCRIPT, TOOL = "/etc/letsencrypt/renewal/certificate-web.sh", "/var/lib/reconciler/bin/release-web"


def made(tmp_path: Path, text: str) -> dict[Ref, Any]:
    file = tmp_path / "e.yaml"
    file.write_text(text, encoding="utf-8")
    return {each.ref: each for each in resources(load(str(file)))}


@pytest.fixture
def both(tmp_path: Path) -> dict[Ref, Any]:
    return made(tmp_path, NODE + WEB)


def told(each: Resource) -> tuple[object, ...]:
    """What a plan can show of a resource, but the script that takes deliveries."""
    text = getattr(each, "content", None)
    if isinstance(text, str):
        text = text.replace('rm -f -- "$2/delivery.cms"', 'rm -rf -- "$2"')
    return text, each.needs, each.follows, dict(each.ask()), list(each.provides()), list(each.watches())


def test_the_environments_own_is_as_it_is_without_another(tmp_path: Path, both: dict[Ref, Any]) -> None:
    alone = made(tmp_path, NODE)
    assert {ref: told(each) for ref, each in both.items() if ref in alone} == {
        ref: told(each) for ref, each in alone.items()
    }
    more = {ref for ref in both if ref not in alone}
    named = [
        ref for ref in more if "web" not in ref.name and ref.kind not in ("service", "account", "directory")
    ]
    assert named == []


def test_each_has_its_own_lineage_script_ledger_and_cron_job_and_one_lock(both: dict[Ref, Any]) -> None:
    lineage = both[Ref(FIRST, "certificate", "web")]
    assert lineage.trust.names == ("web.example.org", "www.example.org")
    assert (lineage.trust.key, lineage.server) == ("ECDSA secp384r1", "https://ca.example.com/dir")
    assert (lineage.script, lineage.ari) == (SCRIPT, "/var/lib/reconciler/ari-web")
    assert "ledger=/var/lib/reconciler/orders-web\n" in lineage.limits
    assert both[Ref(FIRST, "cron", "reconcile-certificate-web")].command == f"sh {SCRIPT} renew 1800"
    script = both[Ref(FIRST, "file", SCRIPT)].content
    for line in ("router=web", "ledger=/var/lib/reconciler/orders-web", "server=https://ca.example.com/dir"):
        assert f"\n{line}\n" in script
    assert "/var/lib/reconciler/ari-web" in script
    assert "$state/ari" not in script
    assert "$state/order.lock" in script, "certbot does one thing at a time"
    # Port 80 answers for both, by the same hooks; and no other host has it.
    assert "auth_hook=/etc/letsencrypt/renewal/manual-auth-hook.sh\n" in script
    assert both[Ref(SECOND, "certificate", "web")].absent
    assert both[Ref(SECOND, "cron", "reconcile-certificate-web")].absent


def test_it_goes_to_its_hosts_in_a_delivery_of_its_own(both: dict[Ref, Any]) -> None:
    assert {ref.host for ref in both if ref.kind == "release" and ref.name == "web"} == {FIRST, SECOND}
    delivery = both[Ref(FIRST, "delivery", f"{SECOND} web")]
    assert delivery.arrival == Ref(SECOND, "arrival", "/home/rsync_user/incoming web")
    assert delivery.arrival in both
    assert Ref(FIRST, "delivery", f"{SECOND} web") in both[Ref(SECOND, "release", "web")].needs
    tool = both[Ref(SECOND, "file", TOOL)].content
    assert f"\nstore={STORE}\n" in tool
    assert "/delivery-web.cms" in tool
    assert "delivery.cms" not in tool.replace("delivery-web.cms", "")
    for text in (tool, both[Ref(SECOND, "file", TOOL.removesuffix("-web"))].content):
        assert 'rm -rf -- "$2"' not in text, "what another certificate was delivered in stays"
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_its_consumers_use_it_and_its_rollout_waits_for_no_other(both: dict[Ref, Any]) -> None:
    serving = both[Ref(SECOND, "serving", "web")]
    assert [(one.unit, one.port, one.names) for one in serving.endpoints] == [
        ("nginx", 8444, ("web.example.org", "www.example.org"))
    ]
    assert serving.max_failed == 0
    for ref, each in both.items():
        if ref.kind == "serving":
            assert {other.name for other in flat(each.follows)} == {ref.name}
    assert Ref(SECOND, "serving", "web") in flat(both[Ref(FIRST, "serving", "web")].follows)
    current = Ref(SECOND, "current", f"{STORE}/current")
    form = Ref(SECOND, "certificate_file", f"{STORE}/current/bundle.pem")
    assert {current, form} <= set(both[Ref(SECOND, "service", "nginx")].needs)
    assert both[Ref(SECOND, "release", "web")].users == ("www-data",)
    assert "nginx" not in {one.unit for one in both[Ref(SECOND, "serving", "cn.example.org")].endpoints}
    # The chain counts, not the leaf alone as of one that somebody brings.
    assert both[Ref(THIRD, "outside", f"{SECOND} web")].leaf is False
    assert Ref(SECOND, "reachable", f"{THIRD} web") in both


def test_records_in_the_dns_are_made_by_hooks_of_its_own(tmp_path: Path) -> None:
    dns = WEB.replace('"www.example.org"', '"*.web.example.org"').replace(
        "    max_failed: 0\n", "    challenge: dns-01\n    dns_hook: /etc/dns-hook\n"
    )
    found = made(tmp_path, NODE + dns)
    hook = found[Ref(FIRST, "file", "/etc/letsencrypt/renewal/manual-auth-hook-web.sh")]
    assert "\nprogram=/etc/dns-hook\n" in hook.content
    lineage = found[Ref(FIRST, "certificate", "web")]
    assert (lineage.hook, lineage.for_order) == ("/etc/dns-hook", ())
    assert hook.ref in lineage.needs
    assert found[Ref(SECOND, "serving", "web")].endpoints[0].names == ("web.example.org",)


def test_one_that_is_declared_absent_is_renewed_no_more_and_used_by_nobody(tmp_path: Path) -> None:
    gone = WEB.partition("consumers:")[0] + "    absent: true\n"
    found = made(tmp_path, NODE + gone)
    named = {ref.kind: each for ref, each in found.items() if "web" in ref.name and ref.host == FIRST}
    assert {kind: each.absent for kind, each in named.items()} == dict.fromkeys(
        ("certificate", "cron", "file"), True
    )
    assert all(each.needs == () for each in named.values())
    # What the environment's own needs is as it is alone, to the letter.
    alone = made(tmp_path, NODE)
    assert {ref: told(found[ref]) for ref in alone} == {ref: told(each) for ref, each in alone.items()}
