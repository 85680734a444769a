"""Hosts that redirect challenges to the primary instead of holding copies of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.blueprint import resources
from reconciler.blueprint.node import PROBE_URL, REDIRECTED_URL
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.kinds.certificate.answer import Answer
from reconciler.model import Ref

FIRST, SECOND = "cn-1.example.org", "cn-2.example.org"
NODE = (
    f"environment: e\nrouter: cn.example.org\nhosts: [{{name: {FIRST}, primary: true}}, {{name: {SECOND}}}]\n"
)
VHOST = "/etc/apache2/sites-available/cn-port80.conf"
RENEWAL = "/etc/letsencrypt/renewal"


def made(tmp_path: Path, text: str = "certificate: {challenge_at: primary}\n") -> dict[Ref, Any]:
    file = tmp_path / "e.yaml"
    file.write_text(NODE + text, encoding="utf-8")
    return {each.ref: each for each in resources(load(str(file)))}


def test_all_but_the_primary_redirect_what_is_not_their_own_probe(tmp_path: Path) -> None:
    plain, found = made(tmp_path, ""), made(tmp_path)
    assert found[Ref(FIRST, "file", VHOST)].content == plain[Ref(FIRST, "file", VHOST)].content
    text = found[Ref(SECOND, "file", VHOST)].content
    assert (
        f'RedirectMatch temp "^/\\.well-known/acme-challenge/(?!reconcile-probe$)(?:redirected-)?(.+)$"'
        f' "http://{FIRST}/.well-known/acme-challenge/$1"\n'
    ) in text
    assert "redirected" not in plain[Ref(SECOND, "file", VHOST)].content


def test_each_is_proven_to_lead_there_before_an_order_and_gets_no_copy(tmp_path: Path) -> None:
    found = made(tmp_path)
    (answer,) = (each for each in found.values() if isinstance(each, Answer) and each.redirected)
    assert (answer.host, answer.path, answer.text) == (SECOND, REDIRECTED_URL, f"e {FIRST}")
    assert Ref(FIRST, "answer", PROBE_URL) in answer.needs
    commands = [str(each) for name, each in answer.ask().items() if name in answer.names]
    assert all(" -L --max-redirs 3 --proto-redir =http " in each for each in commands)
    lineage = found[Ref(FIRST, "certificate", "cn.example.org")]
    assert answer.ref in lineage.for_order
    assert not [ref for ref in lineage.for_order if ref.kind == "ssh_access"]
    for hook in ("auth", "cleanup"):
        assert "\npeers=''\n" in found[Ref(FIRST, "file", f"{RENEWAL}/manual-{hook}-hook.sh")].content


def test_the_preflight_does_not_send_the_primarys_name_in_circles(tmp_path: Path) -> None:
    script = made(tmp_path)[Ref(FIRST, "file", f"{RENEWAL}/certificate.sh")].content
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    (line,) = (each.strip() for each in script.splitlines() if "then fetch" in each)
    asked = []
    for name, address in ((FIRST, "192.0.2.1"), (FIRST, "192.0.2.2"), (SECOND, "192.0.2.1")):
        stand_in = "fetch() { echo asked; }\nwhose=x\nfound='192.0.2.1\n192.0.2.9'\n"
        values = f"name={name}\naddress={address}\n"
        said = subprocess.run(
            ["sh", "-uc", f"{stand_in}{values}{line}\nwait"], text=True, capture_output=True, check=True
        ).stdout
        asked.append(said == "asked\n")
    assert asked == [True, False, True]
    assert "then fetch" not in made(tmp_path, "")[Ref(FIRST, "file", f"{RENEWAL}/certificate.sh")].content


def test_it_is_for_port_80(tmp_path: Path) -> None:
    with pytest.raises(InvalidEnvironment, match="it is for `challenge: http-01`"):
        made(tmp_path, "certificate: {challenge: dns-01, dns_hook: /x, challenge_at: primary}\n")
