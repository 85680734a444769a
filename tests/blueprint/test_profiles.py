"""The renewal script where a profile is declared, with a stand-in for certbot that tells a version and what it was
called with; and without one, where the script is as it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.blueprint import renewal, templates
from reconciler.environment.certificate import Certificate
from tests.blueprint.lineage_and_script import made

CERTBOT = """\
#!/bin/sh
case $* in --version) echo "certbot {version}" ;; *) echo "$*" ;; esac
"""


def shell(
    tmp_path: Path, command: str, version: str = "5.8.0", server: str = "https://ca/dir"
) -> tuple[int, str]:
    """How a command ends below the functions for a profile, and what it says."""
    program = tmp_path / "certbot"
    program.write_text(CERTBOT.format(version=version), encoding="utf-8")
    program.chmod(0o755)
    settings = {"server": server, "profile": "shortlived"}
    script = templates.functions("profile.sh", ("certbot", "profile_can_be_had"), settings)
    say = templates.functions("certificate.sh", ("say",), {})
    ended = subprocess.run(
        ["sh", "-uc", f"PATH={tmp_path}:$PATH\n{script}\n{say}\n{command}"], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return ended.returncode, ended.stdout


def test_without_one_the_script_and_the_renewal_file_say_nothing_of_it() -> None:
    lineage, script = made()
    assert "profile" not in script
    assert lineage.profile is None
    assert "certbot" not in lineage.ask()
    assert renewal.optional(Certificate()) == {}


def test_a_script_has_it_and_looks_before_each_order() -> None:
    lineage, script = made(profile="tlsserver")
    assert lineage.profile == "tlsserver"
    assert "\nprofile=tlsserver\n" in script
    assert "\n  allowed && profile_can_be_had || return 1\n" in script
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("call", "asks"),
    [
        (
            "certbot renew -n -q --config-dir /x",
            "renew -n -q --config-dir /x --required-profile shortlived\n",
        ),
        ("certbot certonly -n --dry-run --server y", "--dry-run --server y --preferred-profile shortlived\n"),
        ("certbot certonly -d a -d b", "certonly -d a -d b --required-profile shortlived\n"),
        ("profile=; certbot renew -n", "renew -n\n"),
    ],
)
def test_every_order_asks_for_it_and_a_rehearsal_where_it_can(tmp_path: Path, call: str, asks: str) -> None:
    status, said = shell(tmp_path, call)
    assert (status, said.endswith(asks)) == (0, True)


@pytest.mark.parametrize(
    ("version", "can"), [("2.1.0", False), ("3.3.0", False), ("4.0.0", True), ("10.1", True)]
)
def test_a_certbot_that_cannot_ask_places_no_order(tmp_path: Path, version: str, can: bool) -> None:
    status, said = shell(tmp_path, "profile_can_be_had", version, f"file://{tmp_path}/none")
    assert (status == 0) == can
    assert ("[certbot-too-old]" in said, f"certbot is {version}" in said) == (not can, not can)


@pytest.mark.parametrize(
    ("meta", "offered"),
    [
        ({"profiles": {"classic": "https://ca/docs#c", "shortlived": "six days, {and} no more"}}, None),
        ({"profiles": {"shortlived": "the one, and only: it"}, "website": "https://ca"}, None),
        (
            {"profiles": {"classic": "x", "shortlived2": "y"}, "termsOfService": "shortlived"},
            "classic shortlived2",
        ),
        ({"website": "https://ca"}, "none"),
    ],
)
def test_a_ca_that_does_not_offer_it_gets_no_order(
    tmp_path: Path, meta: dict[str, Any], offered: str | None
) -> None:
    directory = tmp_path / "directory"
    directory.write_text(
        json.dumps({"newOrder": "https://ca/order", "meta": meta}, indent=2), encoding="utf-8"
    )
    status, said = shell(tmp_path, "profile_can_be_had", server=f"file://{directory}")
    assert status == (0 if offered is None else 1)
    if offered:
        assert f"(there: {offered}): nothing was ordered [profile-not-offered]" in said
