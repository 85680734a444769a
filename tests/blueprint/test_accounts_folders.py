"""In folders of the sync account the scripts of the blueprint act as that account; run here."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import x509
from reconciler.blueprint import templates
from reconciler.kinds.certificate.delivery_key import DeliveryKey
from reconciler.model import Change

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads as another account: needs root")


class Root:
    """Root on a host of its own: its store, its key for deliveries, and the script."""

    def __init__(self, folder: Path) -> None:
        self.store, self.keys = folder / "store", folder / "delivery"
        self.keys.mkdir(parents=True, mode=0o700)
        key = DeliveryKey(
            host="h", path=f"{self.keys}/delivery-key.pem", certificate=f"{self.keys}/delivery.pem"
        )
        for step in key.steps(Change({}, None, {})):
            subprocess.run(["sh", "-c", step.command], check=True, capture_output=True)
        settings = {
            "store": str(self.store),
            "group": "root",
            "keys": str(self.keys),
            "forms": "",
            "complaint": "{ print }",
            "rsa": "",
            "ecdsa": "",
        }
        self.script = templates.script("release.sh", "e", settings)

    def knows(self, host: str, other: Root) -> None:
        """Is told the key of another host's root."""
        (chain,) = x509.chain((other.keys / "delivery.pem").read_bytes())
        with (self.keys / "delivery-pins").open("a", encoding="ascii") as pins:
            pins.write(f"{host} {x509.base64_der(chain)} reconciler e {host}\n")

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-s", "--", *map(str, words)]
        return subprocess.run(
            command, input=self.script, text=True, capture_output=True, timeout=40, check=False
        )


def some_pair(root: Root) -> dict[str, str]:
    """A certificate with its key and an issuer, by certbot's names; it takes root's own for both."""
    leaf, key = ((root.keys / f"delivery{name}.pem").read_text() for name in ("", "-key"))
    return {"cert": leaf, "chain": leaf, "fullchain": leaf + leaf, "privkey": key}


class Staging:
    """A primary with a staged pair, and a replica with a folder of the account `bin` for deliveries."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.primary, self.replica = Root(folder / "cn-1"), Root(folder / "cn-2")
        self.primary.knows("cn-2", self.replica)
        self.replica.knows("cn-1", self.primary)
        self.pair = some_pair(self.primary)
        for name, text in self.pair.items():
            file = self.primary.store / "staged" / f"{name}.pem"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.incoming = folder / "home" / "incoming"
        self.incoming.mkdir(parents=True)
        for each in (self.incoming.parent, self.incoming):
            os.chown(each, 2, 2)
        self.delivered = self.incoming / "delivery.cms"

    @property
    def sealed(self) -> Path:
        return self.primary.store / "outgoing" / "cn-2" / "delivery.cms"

    def deliver(self, sender: Root | None = None) -> None:
        """The account carries what root has sealed for the replica."""
        sender = sender or self.primary
        assert sender.run("seal", "cn-2").returncode == 0
        self.delivered.write_bytes((sender.store / "outgoing" / "cn-2" / "delivery.cms").read_bytes())

    def stage(self) -> tuple[bool, int, float]:
        """Whether it was staged, how many bytes the store has, and how many seconds it took."""
        start = time.monotonic()
        release = x509.identity(x509.chain(self.pair["fullchain"]))
        done = self.replica.run("stage", release, self.incoming, "bin", "cn-1")
        store = self.replica.store
        size = sum(each.stat().st_size for each in store.rglob("*.pem"))
        return done.returncode == 0 and (store / "staged").is_dir(), size, time.monotonic() - start


@pytest.fixture
def staging() -> Iterator[Staging]:
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        yield Staging(Path(folder))


def test_what_was_delivered_is_staged_and_gone(staging: Staging) -> None:
    staging.deliver()
    assert staging.stage()[0]
    staged = staging.replica.store / "staged"
    assert {each.stem: each.read_text() for each in staged.iterdir()} == staging.pair
    assert (staged / "privkey.pem").stat().st_mode & 0o777 == 0o640
    assert not staging.incoming.exists()


def test_the_account_can_neither_read_nor_change_what_it_carries(staging: Staging) -> None:
    staging.deliver()
    carried = staging.delivered.read_bytes()
    assert b"PRIVATE" not in carried
    assert staging.pair["privkey"].split()[3].encode() not in carried
    assert {each.name for each in staging.sealed.parent.iterdir()} == {"delivery.cms"}, "nothing else to read"
    for at in range(0, len(carried), 97):
        staging.delivered.write_bytes(carried[:at] + bytes([carried[at] ^ 1]) + carried[at + 1 :])
        assert staging.stage()[:2] == (False, 0), f"byte {at} was changed"
    staging.delivered.write_bytes(carried)
    assert staging.stage()[0]


def test_a_delivery_of_somebody_elses_is_none(staging: Staging) -> None:
    """Encrypting to the replica is for everybody to do who was told its key; signing is not."""
    other = Root(staging.incoming.parents[1] / "cn-3")
    other.knows("cn-2", staging.replica)
    other.store.mkdir()
    (staging.primary.store / "staged").rename(other.store / "staged")
    staging.deliver(other)
    assert staging.stage()[:2] == (False, 0)
    said = staging.replica.run("stage", "0" * 32, staging.incoming, "bin", "cn-1").stderr
    assert f"what is in {staging.incoming} was not signed by cn-1" in said


def test_a_delivery_to_somebody_else_is_none(staging: Staging) -> None:
    third = Root(staging.incoming.parents[1] / "cn-3")
    third.knows("cn-1", staging.primary)
    staging.deliver()
    staging.replica = third
    assert staging.stage()[:2] == (False, 0)


def test_a_key_of_another_certificate_is_not_staged(staging: Staging) -> None:
    other = (staging.replica.keys / "delivery-key.pem").read_text()
    (staging.primary.store / "staged" / "privkey.pem").write_text(other)
    staging.deliver()
    assert staging.stage()[0] is False
    assert not (staging.replica.store / "staged").exists()


def test_a_look_tells_the_chain_and_the_public_key(staging: Staging) -> None:
    key = staging.primary.keys / "delivery-key.pem"
    assert staging.replica.run("inspect", staging.incoming, "bin", "cn-1").returncode == 1
    staging.deliver()
    seen = staging.replica.run("inspect", staging.incoming, "bin", "cn-1")
    public = subprocess.run(["openssl", "pkey", "-pubout", "-in", key], capture_output=True, text=True)
    assert seen.stdout == staging.pair["fullchain"] + public.stdout
    assert staging.delivered.exists()


def test_a_link_to_a_file_of_roots_is_not_staged(staging: Staging) -> None:
    staging.deliver()
    secret = staging.incoming.parents[1] / "secret"
    staging.delivered.rename(secret)
    secret.chmod(0o600)
    staging.delivered.symlink_to(secret)
    assert staging.stage()[:2] == (False, 0)


def test_a_pipe_and_what_never_ends_are_no_delivery(staging: Staging) -> None:
    os.mkfifo(staging.delivered, 0o666)
    staged, size, seconds = staging.stage()
    assert (staged, size) == (False, 0)
    assert seconds < 15
    staging.delivered.unlink()
    staging.delivered.symlink_to("/dev/zero")
    assert staging.stage()[:2] == (False, 0)
    # A regular file may be as long.
    staging.delivered.unlink()
    staging.delivered.touch()
    os.truncate(staging.delivered, 100_000_000)
    assert staging.stage()[:2] == (False, 0)


@pytest.fixture
def challenges() -> Iterator[Path]:
    """A folder of challenges, of the account `bin`."""
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        Path(folder).chmod(0o755)
        made = Path(folder) / "challenges"
        made.mkdir()
        os.chown(made, 2, 2)
        yield made


def challenge(folder: Path, verb: str) -> int:
    """The status of the hook."""
    settings: dict[str, str | int] = {"verb": verb, "host": "cn-1", "peers": "", "challenge": str(folder)}
    settings |= {"account": "bin", "identity": "/none", "known_hosts": "/none"}
    script = templates.script("challenge-hook.sh", "e", settings)
    environ = {**os.environ, "CERTBOT_TOKEN": "token", "CERTBOT_VALIDATION": "token.thumb print"}
    return subprocess.run(["sh", "-s"], input=script, text=True, env=environ, check=False).returncode


def test_a_challenge_is_put_and_removed_as_the_account(challenges: Path) -> None:
    assert challenge(challenges, "put") == 0
    assert (challenges / "token").read_text() == "token.thumb print"
    assert (challenges / "token").stat().st_uid == 2
    assert challenge(challenges, "remove") == 0
    assert list(challenges.iterdir()) == []


def test_a_challenge_is_written_through_no_link_of_the_accounts(challenges: Path) -> None:
    """The CA gives the token of an order that failed once more, so the account may know it."""
    (challenges / "token").symlink_to(challenges.parent / "new")
    assert challenge(challenges, "put") == 1
    assert not (challenges.parent / "new").exists()
