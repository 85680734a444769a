"""In folders of the sync account the scripts of the blueprint act as that account; run here."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.blueprint import templates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads as another account: needs root")

NAMES = ("cert", "chain", "fullchain", "privkey")


class Staging:
    """The script with a store of its own, and a folder of the account `bin` with what it says was delivered."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.store, self.incoming = folder / "store", folder / "home" / "incoming"
        self.incoming.mkdir(parents=True)
        settings = {"store": str(self.store), "group": "root", "complaint": "{ print }"}
        self.script = templates.script("release.sh", "e", settings)
        for name in NAMES:
            self.file(name).write_text(name)
        for each in (self.incoming.parent, self.incoming):
            os.chown(each, 2, 2)

    def file(self, name: str) -> Path:
        return self.incoming / f"{name}.pem"

    def stage(self) -> tuple[bool, int, float]:
        """Whether it was staged, how many bytes the store has, and how many seconds it took."""
        start = time.monotonic()
        command = ["sh", "-s", "--", "stage", "0" * 16, str(self.incoming), "bin"]
        done = subprocess.run(
            command, input=self.script, text=True, capture_output=True, timeout=40, check=False
        )
        size = sum(each.stat().st_size for each in self.store.rglob("*.pem"))
        return done.returncode == 0 and (self.store / "staged").is_dir(), size, time.monotonic() - start


@pytest.fixture
def staging() -> Iterator[Staging]:
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        yield Staging(Path(folder))


def test_what_was_delivered_is_staged_and_gone(staging: Staging) -> None:
    assert staging.stage()[0]
    assert {each.stem: each.read_text() for each in (staging.store / "staged").iterdir()} == {
        name: name for name in NAMES
    }


def test_a_link_to_a_file_of_roots_is_not_staged(staging: Staging) -> None:
    (staging.store.parent / "secret").write_text("root's own")
    (staging.store.parent / "secret").chmod(0o600)
    staging.file("cert").unlink()
    staging.file("cert").symlink_to(staging.store.parent / "secret")
    assert staging.stage()[:2] == (False, 0)


def test_a_pipe_and_what_never_ends_are_no_delivery(staging: Staging) -> None:
    staging.file("cert").unlink()
    os.mkfifo(staging.file("cert"), 0o666)
    staged, size, seconds = staging.stage()
    assert (staged, size) == (False, 0)
    assert seconds < 15
    staging.file("cert").unlink()
    staging.file("cert").symlink_to("/dev/zero")
    assert staging.stage()[:2] == (False, 0)
    # A regular file may be as long.
    staging.file("cert").unlink()
    staging.file("cert").touch()
    os.truncate(staging.file("cert"), 100_000_000)
    assert staging.stage()[1] <= 64 * 1024 + 100


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
    settings |= {"account": "bin", "identity": "/none", "known_hosts": "/none", "port": 22}
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
