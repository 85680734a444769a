"""What was delivered is read as the account that owns the folder, and ends: the script that stages it, run here."""

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
