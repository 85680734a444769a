"""Two certificates that are delivered to one host: sealed, carried by the account, and staged by a real shell."""

from __future__ import annotations

import copy
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import x509
from reconciler.model import Ref
from tests.blueprint.test_accounts_folders import Root, Staging
from tests.blueprint.test_ordered import NODE, SECOND, TOOL, WEB, made

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root does, and another account")

TOOLS = {"own": TOOL.removesuffix("-web"), "web": TOOL}
FILES = {"own": "delivery.cms", "web": "delivery-web.cms"}


def with_script(root: Root, text: str, store: str) -> Root:
    """The same root, with a script of the blueprint's, and a store."""
    other = copy.copy(root)
    other.store = root.store.with_name(store)
    settings = {"store": other.store, "group": "root", "keys": root.keys, "forms": "''"}
    for name, value in settings.items():
        text = re.sub(f"(?m)^{name}=.*$", f"{name}={value}", text, count=1)
    other.script = text
    return other


class Two:
    """A primary that has sealed two certificates for a replica, and what the account carries there."""

    def __init__(self, folder: Path, texts: dict[str, str]) -> None:
        staging = Staging(folder)
        self.incoming, self.release = staging.incoming, {}
        self.replica = {which: with_script(staging.replica, texts[which], f"r-{which}") for which in texts}
        roots = [staging.primary, staging.replica]
        for which, (root, issuer) in {"own": roots, "web": roots[::-1]}.items():
            leaf, chain = ((each.keys / "delivery.pem").read_text() for each in (root, issuer))
            key = (root.keys / "delivery-key.pem").read_text()
            primary = with_script(staging.primary, texts[which], f"p-{which}")
            folder = primary.store / "staged"
            folder.mkdir(parents=True)
            for name, text in {
                "cert": leaf,
                "chain": chain,
                "fullchain": leaf + chain,
                "privkey": key,
            }.items():
                (folder / f"{name}.pem").write_text(text, encoding="ascii")
            assert primary.run("seal", "cn-2").returncode == 0
            sealed = primary.store / "outgoing" / "cn-2" / FILES[which]
            self.delivered(which).write_bytes(sealed.read_bytes())
            self.release[which] = x509.identity(x509.chain(leaf + chain))

    def delivered(self, which: str) -> Path:
        """Where it is delivered."""
        return self.incoming / FILES[which]

    def stage(self, which: str) -> str:
        """What the release script complains of; nothing where it was staged."""
        done = self.replica[which].run("stage", self.release[which], self.incoming, "bin", "cn-1")
        assert (self.replica[which].store / "staged").exists() is (done.returncode == 0)
        return done.stderr.replace("CMS Verification successful\n", "")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    found = made(tmp_path, NODE + WEB)
    texts = {which: found[Ref(SECOND, "file", path)].content for which, path in TOOLS.items()}
    with tempfile.TemporaryDirectory(dir="/var/lib") as folder:
        yield Two(Path(folder), texts)


def test_one_that_is_staged_takes_nothing_of_the_other_away(two: Two) -> None:
    assert two.stage("own") == ""
    assert [each.name for each in two.incoming.iterdir()] == ["delivery-web.cms"]
    assert two.stage("web") == ""
    assert list(two.incoming.iterdir()) == []


def test_one_is_not_taken_for_the_other_although_both_are_the_primarys(two: Two) -> None:
    own, web = two.delivered("own").read_bytes(), two.delivered("web").read_bytes()
    two.delivered("own").write_bytes(web)
    two.delivered("web").write_bytes(own)
    for which in FILES:
        assert "is another certificate than" in two.stage(which)
