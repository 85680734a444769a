"""The renewal script where a second CA is declared: when it is asked, with which ledger, and what certbot's renewal
file says afterwards. `order` and `renew` are stand-ins here; tests/hosts/test_fallback.py has the real ones."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.blueprint import templates
from reconciler.environment.certificate import Fallback
from tests.blueprint.lineage_and_script import made
from tests.kinds.certificate.pairs import fullchain

FIRST, SECOND = "https://first/dir", "https://second/dir"
FUNCTIONS = (
    "second", "second_has_issued", "moment", "urgent", "conf_server", "account", "registered", "home", "at_home",
    "mine", "either",
)  # fmt: skip
CONF = f"[renewalparams]\naccount = 0a\nserver = {FIRST}\nauthenticator = manual\n"
STAND_INS = """\
PATH=$folder/bin:$PATH
run=order-1-1
log=
release() { echo none; }
order() { echo "order at $server, ledger $ledger, profile '$profile', bundle '${CURL_CA_BUNDLE-none}'"; sh -c "$order"; }
renew() { echo "renew at $server"; sh -c "$renew"; }
"""
ISSUES = f"printf '%s\\n' '[renewalparams]' 'account = ff' 'server = {SECOND}' >$conf"


class Script:
    """What is there of the primary, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "renewal" / "r.conf"
        self.conf.parent.mkdir()
        (folder / "order.lock").write_text("order-1-1\n", encoding="utf-8")

    def leaves(self, days: tuple[float, float] | None) -> None:
        """The certificate began and ends so many days from now."""
        if days:
            (self.folder / "cert.pem").write_text(fullchain(days=days), encoding="utf-8")

    def account(self, server: str, *names: str) -> None:
        for name in names:
            at = self.folder / "accounts" / server.removeprefix("https://") / name
            at.mkdir(parents=True)
            for file in ("regr", "meta", "private_key"):
                (at / f"{file}.json").write_text(json.dumps({}), encoding="utf-8")

    def run(self, command: str, **more: str) -> tuple[int, str]:
        settings = {
            "router": "r", "folder": str(self.folder), "server": FIRST, "email": "", "profile": "",
            "fallback_server": SECOND, "fallback_email": "", "fallback_ca_bundle": "", "overdue": "25",
            "first": FIRST, "first_email": "", "first_profile": "", "conf": str(self.conf),
            "kept": str(self.folder / "kept"), "state": str(self.folder), "ledger": str(self.folder / "orders"),
            "cert": str(self.folder / "cert.pem"), "order": "true", "renew": "true", "rehearsal": "x", **more,
        }  # fmt: skip
        functions = templates.functions("fallback.sh", FUNCTIONS, settings)
        say = templates.functions("certificate.sh", ("say",), {})
        script = f"{functions}\n{say}\nexport conf order renew\n{STAND_INS}\n{command}"
        ended = subprocess.run(
            ["sh", "-uc", script], text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return ended.returncode, ended.stdout


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


FRESH, OVERDUE = (-60, 30), (-80, 10)


@pytest.mark.parametrize(
    ("days", "renew", "asked"),
    [
        (OVERDUE, "true", False),
        (FRESH, "false", False),
        (OVERDUE, "false", True),
        (OVERDUE, "exit 75", True),
        ((-5, 1.2), "false", True),
        ((-4.9, 1.7), "false", False),
        (None, "false", True),
    ],
    ids=[
        "it worked",
        "time is left",
        "overdue",
        "at its limit",
        "the last of six days",
        "six days",
        "there is none",
    ],
)
def test_the_second_is_asked_once_the_first_has_failed_and_time_is_short(
    script: Script, days: tuple[float, float] | None, renew: str, asked: bool
) -> None:
    script.leaves(days)
    status, said = script.run("either renew 0", renew=renew, profile="tlsserver")
    assert (f"order at {SECOND}" in said) == asked
    assert (status == 0) == (asked or renew == "true")
    if asked:
        short = "less than 25 % of the time of the last one is left" if days else "there is none yet"
        assert (
            f"no certificate came from {FIRST}, and {short}: it is ordered at the second CA, {SECOND}" in said
        )
        assert f"ledger {script.folder}/orders.second, profile '', bundle 'none'" in said


def test_another_run_that_is_ordering_is_no_failure_of_the_ca(script: Script) -> None:
    script.leaves(OVERDUE)
    (script.folder / "order.lock").write_text("renew-7-7\n", encoding="utf-8")
    status, said = script.run("either order x", order="exit 75")
    assert (status, said.count("order at")) == (75, 1)


def test_the_second_has_its_own_file_of_roots_for_its_server(script: Script) -> None:
    _, said = script.run("either renew", renew="false", fallback_ca_bundle="/ca.pem")
    assert "bundle '/ca.pem'" in said


@pytest.mark.parametrize("issues", [ISSUES, "exit 1", f"{ISSUES}; exit 1"], ids=["issued", "not", "cut off"])
def test_the_renewal_file_goes_on_to_name_the_first(script: Script, issues: str) -> None:
    script.leaves(OVERDUE)
    script.conf.write_text(CONF, encoding="utf-8")
    script.run("either renew", renew="false", order=issues)
    assert script.conf.read_text(encoding="utf-8") == CONF
    assert not (script.folder / "kept").exists()


def test_where_there_was_none_it_names_the_first_with_its_account(script: Script) -> None:
    script.account(FIRST, "0b", "0c")
    (script.folder / "accounts" / "first" / "dir" / "0c" / "regr.json").write_text("{", encoding="utf-8")
    script.conf.write_text(f"[renewalparams]\naccount = ff\nserver = {SECOND}\n", encoding="utf-8")
    assert script.run("home", first_profile="p")[0] == 0
    assert script.conf.read_text(encoding="utf-8") == (
        f"[renewalparams]\nrequired_profile = p\naccount = 0b\nserver = {FIRST}\n"
    )


def test_before_a_renewal_an_account_is_made_at_the_first_where_none_is_there(script: Script) -> None:
    script.conf.write_text(f"[renewalparams]\naccount = ff\nserver = {SECOND}\n", encoding="utf-8")
    program = script.folder / "bin" / "certbot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho it is down\n", encoding="utf-8")
    program.chmod(0o755)
    status, said = script.run("at_home")
    assert (status, f"{FIRST} gives no account, so nothing can be renewed there" in said) == (1, True)
    assert "it is down" in said
    at = script.folder / "accounts" / "first" / "dir" / "0d"
    files = " ".join(f"{at}/{name}.json" for name in ("regr", "meta", "private_key"))
    program.write_text(
        f"#!/bin/sh\necho \"$*\" >{script.folder}/called\nmkdir -p {at}; for f in {files}; do printf %s '{{}}' >$f; done\n",
        encoding="utf-8",
    )
    assert script.run("at_home", first_email="a@example.org")[0] == 0
    assert (script.folder / "called").read_text(encoding="utf-8") == (
        f"register -n --agree-tos --config-dir {script.folder} --server {FIRST} -m a@example.org\n"
    )
    assert f"account = 0d\nserver = {FIRST}\n" in script.conf.read_text(encoding="utf-8")


def test_what_one_ca_has_issued_is_not_noted_as_the_others(script: Script) -> None:
    (script.folder / "orders.second").write_text("1 begun a none\n2 issued a 0A\n", encoding="utf-8")
    assert script.run("second_has_issued 0A")[0] == 0
    assert script.run("second_has_issued 0B")[0] != 0
    assert script.run("second; second_has_issued 0A")[0] != 0


def test_only_a_script_with_a_second_ca_says_anything_of_one() -> None:
    lineage, plain = made(email="a@example.org")
    assert "fallback" not in plain
    assert "either order" not in plain
    assert (lineage.second, lineage.trust.roots) == (None, b"A")
    second = Fallback(server=SECOND, trusted=b"B")
    lineage, script = made(email="a@example.org", profile="x", fallback=second)
    assert lineage.second is not None
    assert (lineage.second.server, lineage.second.ledger) == (SECOND, "/var/lib/reconciler/orders.second")
    assert lineage.trust.roots.split() == [b"A", b"B"]
    head = "profile=x\nfallback_server=https://second/dir\nfallback_email=a@example.org\nfallback_ca_bundle=''\noverdue=25\n\n"
    assert head in script
    for text in (
        "order) either order",
        "renew) either renew",
        "at_home || return 1",
        "!= second ] || second; begun",
    ):
        assert text in script
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    _, script = made(fallback=replace(second, email="b@example.org"))
    assert "\nfallback_email=b@example.org\n" in script
