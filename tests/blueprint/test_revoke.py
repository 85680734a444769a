"""`certificate.sh revoke`: the certificate is found by its number, revoked once, and noted, with a certbot that says
what a CA may answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.blueprint.certificate import issued
from reconciler.blueprint.managed import managed
from reconciler.blueprint.revocation import compromised, revoked
from reconciler.environment.certificate import Certificate, Fallback
from reconciler.environment.settings import Environment, Host, Paths
from reconciler.kinds.certificate.compromised import serial
from reconciler.x509 import chain, public_key_sum
from tests.kinds.certificate.pairs import INTERMEDIATE, KEY, NAMES
from tests.support.forged import key_pem, pem, signed

CERTBOT = """#!/bin/sh
echo "$*" >>"$HOME/called"
fails() { {
  echo "Arguments: ['-n', '--cert-path', '$5', '--reason']"
  echo "\"type\": \"urn:ietf:params:acme:error:$1\","
} >"$HOME/letsencrypt.log"; echo "AttributeError: can't set attribute"; exit 1; }
case $*-$SIGNER in
revoke*--key-path*-account) fails unauthorized "$@" ;;
*-already) fails alreadyRevoked "$@" ;;
*-nobody) fails unauthorized "$@" ;;
*-silent) exit 1 ;;
esac
"""


class Primary:
    """What `revoke` finds below a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.state, self.certbot = folder, folder / "state", folder / "letsencrypt"
        self.called = folder / "called"
        self.more: dict[str, Any] = {}
        (folder / "certbot").write_text(CERTBOT)
        (folder / "certbot").chmod(0o755)

    def put(self, file: str, *, key: bool = True, days: tuple[float, float] = (-1, 89)) -> str:
        """A certificate in a file and its key beside it: its number."""
        path = self.home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        made = signed(NAMES[0], KEY, INTERMEDIATE, names=NAMES, days=days)
        path.write_text(pem(made))
        if key:
            path.with_name(path.name.replace("cert", "privkey")).write_text(key_pem(KEY))
        return serial(made)

    def run(self, *words: str, signer: str = "key") -> tuple[int, str]:
        """The script with these words: how it ended, and what it said."""
        text = self.script()
        environ = {**os.environ, "HOME": str(self.home), "SIGNER": signer}
        ended = subprocess.run(
            ["sh", "-s", *words], input=text, text=True, capture_output=True, check=False, env=environ
        )
        return ended.returncode, ended.stderr

    def environment(self, *serials: str) -> Environment:
        """One whose certbot is below that folder, with `more` settings, where these are declared compromised."""
        return Environment(
            name="e",
            router="r",
            hosts=(Host(name="h", primary=True),),
            paths=Paths(letsencrypt=str(self.certbot)),
            certificate=Certificate(trusted=b"", server="https://ca/dir", compromised=serials, **self.more),
        )

    def script(self) -> str:
        """The script as it is written, with the folder for what is kept below that of the test, too."""
        env = self.environment()
        made = {each.name: each for each in issued(env, env.primary)}
        text = self.moved(made[f"{self.certbot}/renewal/certificate.sh"].content)
        return text.replace("\nPATH=", f"\nPATH={self.home}:").replace("/var/log/letsencrypt", str(self.home))

    def moved(self, text: str) -> str:
        """Shell, for what is kept below the folder of the test."""
        assert "state=/var/lib/reconciler" in text
        return text.replace("state=/var/lib/reconciler", f"state={self.state}")

    @property
    def record(self) -> list[list[str]]:
        """What is noted: words of each line, without the time and the run."""
        path = self.state / "revoked"
        return [line.split()[1::2] for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self) -> list[str]:
        """How certbot was called."""
        return self.called.read_text().splitlines() if self.called.exists() else []


@pytest.fixture
def primary(tmp_path: Path) -> Primary:
    return Primary(tmp_path)


PLACES = (
    "letsencrypt/archive/r/cert12.pem",
    "state/former-20260101-000000/archive/r/cert1.pem",
    "state/certificate/releases/20260101-000000-x/cert.pem",
    "state/certificates/web/releases/20260101-000000-x/cert.pem",
)


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_by_its_number_and_signed_by_its_own_key(primary: Primary, place: str) -> None:
    for other in PLACES:
        primary.put(other)
    number = primary.put(place)
    assert primary.run("revoke", number) == (0, "")
    (call,) = primary.calls()
    at = primary.home / place
    key = at.with_name(at.name.replace("cert", "privkey"))
    assert call == (
        f"revoke -n --cert-path {at} --reason keycompromise --no-delete-after-revoke --server https://ca/dir"
        f" --key-path {key} --config-dir {primary.certbot}"
    )
    assert primary.record == [["revoked", number]]
    assert primary.run("revoke", number) == (0, "")
    assert len(primary.calls()) == 1, "what is noted is not asked for again"


def test_without_its_key_or_where_the_ca_takes_that_not_the_account_signs(primary: Primary) -> None:
    keyless = primary.put("letsencrypt/archive/r/cert1.pem", key=False)
    assert primary.run("revoke", keyless) == (0, "")
    assert "--key-path" not in primary.calls()[-1]
    number = primary.put("letsencrypt/archive/r/cert2.pem")
    status, said = primary.run("revoke", number, signer="account")
    assert (status, "signed by the key:" in said) == (0, True)
    assert ["--key-path" in call for call in primary.calls()[1:]] == [True, False]
    assert primary.record == [["revoked", keyless], ["revoked", number]]


def test_one_that_is_revoked_already_is_noted(primary: Primary) -> None:
    number = primary.put("letsencrypt/archive/r/cert1.pem")
    assert primary.run("revoke", number, signer="already") == (0, "")
    assert primary.record == [["revoked", number]]


def test_what_the_ca_refuses_is_told_and_not_noted(primary: Primary) -> None:
    number = primary.put("letsencrypt/archive/r/cert1.pem")
    status, said = primary.run("revoke", number, signer="nobody")
    assert status == 1
    for signer in ("key", "account"):
        assert f"signed by the {signer}: urn:ietf:params:acme:error:unauthorized\n" in said
    assert primary.record == []
    # What certbot's log says of another certificate is nothing that was said of this one.
    other = primary.put("letsencrypt/archive/r/cert2.pem")
    assert primary.run("revoke", other, signer="already") == (0, "")
    status, said = primary.run("revoke", number, signer="silent")
    assert (status, said.count("the CA said nothing")) == (1, 2)
    assert primary.record == [["revoked", other]]


def test_one_that_is_nowhere_is_not_revoked(primary: Primary) -> None:
    primary.put("letsencrypt/archive/r/cert1.pem")
    status, said = primary.run("revoke", "0AFF")
    assert (status, "[not-held]" in said) == (1, True)
    assert primary.calls() == []
    assert primary.run("revoke")[0] != 0


def test_a_revocation_and_an_order_are_not_made_at_the_same_time(primary: Primary) -> None:
    number = primary.put("letsencrypt/archive/r/cert1.pem")
    script = primary.script()
    assert "patience=300" in script
    primary.script = lambda: script.replace("patience=300", "patience=1")  # type: ignore[method-assign]
    primary.state.mkdir()
    lock = primary.state / "order.lock"
    lock.write_text("order-1-2\n")
    with subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE) as holder:
        subprocess.run(["sh", "-c", f"until ! flock -n {lock} true; do sleep 0.01; done"], check=True)
        status, said = primary.run("revoke", number)
        holder.communicate()
    assert (status, "[another-order]" in said, primary.calls()) == (75, True, [])


def test_a_look_finds_it_and_the_sum_of_its_public_key(primary: Primary) -> None:
    number = primary.put(PLACES[2])
    env = primary.environment(number.lower(), "0AFF")
    first, second = revoked(env, env.primary)

    def look(command: str) -> tuple[int, list[str]]:
        ended = subprocess.run(
            ["sh", "-c", primary.moved(command)], text=True, capture_output=True, check=False
        )
        return ended.returncode, ended.stdout.split()

    assert look(first.held) == (0, [str(primary.home / PLACES[2])])
    assert look(second.held) == (1, [])
    leaf = chain((primary.home / PLACES[2]).read_text())[0]
    (own,) = managed(env)
    over = primary.environment(primary.put(PLACES[0], days=(-90, -1)))
    (expired,) = revoked(over, over.primary)
    assert look(expired.held) == (0, ["expired"])
    assert look(compromised(own).look) == (0, [public_key_sum(leaf)])


def test_one_that_the_second_ca_has_issued_is_revoked_there_and_noted_in_the_same_place(
    primary: Primary,
) -> None:
    primary.more = {"profile": "shortlived", "fallback": Fallback(server="https://second/dir")}
    of_first, of_second = (primary.put(f"letsencrypt/archive/r/cert{number}.pem") for number in (1, 2))
    primary.state.mkdir()
    (primary.state / "orders.second").write_text(f"1700000000 issued order-1-1 {of_second}\n")
    assert primary.run("revoke", of_first) == (0, "")
    assert primary.run("revoke", of_second) == (0, "")
    assert [call.split(" --server ")[1].split()[0] for call in primary.calls()] == [
        "https://ca/dir", "https://second/dir",
    ]  # fmt: skip
    assert "profile" not in "".join(primary.calls())
    assert primary.record == [["revoked", of_first], ["revoked", of_second]]
