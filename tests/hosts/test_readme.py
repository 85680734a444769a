"""The README from its top to its bottom, in a copy of the checkout: every command in it is pasted and run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from lab import Fleet
from reconciler.environment.load import load
from tests import ROOT
from tests.support.browser import Browser
from tests.support.running import bare_hosts

pytestmark = pytest.mark.fleet

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_RUN = ("make test",)
"""What runs this test itself."""
NOT_THEIRS = {
    "RECONCILE_STATE",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "SSH_AUTH_SOCK",
    "NO_COLOR",
    "MAKEFLAGS",
    "MAKELEVEL",
}
"""What whoever runs the tests has set, and a newcomer has not."""
OURS = shutil.ignore_patterns(".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "dist", "site")


def blocks() -> list[str]:
    """The commands of the README: each indented block, without what is not run."""
    found = re.findall(
        r"(?:^    .*\n)+", re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    kept = (
        [line for line in block.splitlines() if line.partition("#")[0].strip() not in NOT_RUN]
        for block in found
    )
    return ["".join(f"{line.strip()}\n" for line in block) for block in kept]


@dataclass
class Newcomer:
    """Somebody with a fresh checkout, a home of their own, and two hosts for the README's names."""

    checkout: Path
    home: Path
    fleet: Fleet

    def paste(self, block: str) -> str:
        """Runs a block on a terminal on which `yes` is the answer to everything."""
        script = self.home / "pasted"
        script.write_text(f"mount --bind {self.home}/hosts /etc/hosts\nset -e\n{block}", encoding="utf-8")
        environ = {
            "PIP_CONFIG_FILE": str(Path.home() / ".config" / "pip" / "pip.conf"),
            **{name: value for name, value in os.environ.items() if name not in NOT_THEIRS},
            "HOME": str(self.home),
            "PATH": f"{self.home}/.local/bin:{os.environ['PATH']}",
            "LAB": self.fleet.name + "-play",
            "DEMO": self.fleet.name + "-demo",
            "TERM": "dumb",
            "PIP_NO_COMPILE": "no",  # which is pip's way to say yes: only what runs is compiled, once
        }
        command = f"unshare -m bash {shlex.quote(str(script))}"
        ended = subprocess.run(
            ["script", "-qec", command, "/dev/null"], cwd=self.checkout, env=environ,
            input="yes\n", capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert ended.returncode == 0, f"{block}\n{ended.stdout[-4000:]}"
        return ended.stdout.replace("\r\n", "\n")

    def save(self) -> None:
        """Saves the README's environment as it says: with these hosts' names, and with the lab's CA in
        place of Let's Encrypt, which no test may ask."""
        (text,) = [
            t
            for t in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
            if "\nenvironment:" in t
        ]
        ours = f"  server: {self.fleet.ca.directory}\n  roots: {self.fleet.ca.roots}\n"
        text = re.sub(r"(?m)^  email: .*\n", rf"\g<0>{ours}  resolver: {self.fleet.ca.address}\n", text)
        (self.checkout / "environments" / "mine.yaml").write_text(self.named(text), encoding="utf-8")

    def named(self, text: str) -> str:
        """The README's names exchanged for those of the hosts."""
        for theirs, ours in zip(("cn-1", "cn-2"), self.fleet.hosts, strict=False):
            text = text.replace(f"{theirs}.example.org", ours.name)
        return text.replace("cn.example.org", self.fleet.router)


@pytest.fixture(scope="module")
def newcomer(
    fleet: Fleet, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Newcomer]:
    bare_hosts(fleet, pytestconfig)
    checkout, home = tmp_path_factory.mktemp("new") / "reconcile", tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT, checkout, ignore=OURS)
    (home / ".ssh").mkdir(mode=0o700)
    shutil.copy(fleet.identity, home / ".ssh" / "id_ed25519")
    shutil.copy(fleet.known_hosts, home / ".ssh" / "known_hosts")
    names = "".join(f"{host.address} {host.name}\n" for host in fleet.hosts)
    (home / "hosts").write_text(f"127.0.0.1 localhost\n{names}", encoding="ascii")
    try:
        yield Newcomer(checkout, home, fleet)
    finally:
        for name in ("play", "demo"):
            Fleet.clear(f"{fleet.name}-{name}", orderly=False)


def sampled() -> Iterator[ParameterSet]:
    """Each block; `make demo`, which takes minutes and is a test of its own, is left to `make gate`."""
    for block in blocks():
        name = block.partition("\n")[0].partition("#")[0].strip()
        yield pytest.param(block, id=name, marks=[pytest.mark.gate] if name == "make demo" else [])


@pytest.mark.parametrize("block", list(sampled()))
def test_every_command_of_the_readme_is_pasted_and_run(
    newcomer: Newcomer, browser: Browser, block: str
) -> None:
    if "reconcile validate mine" in block:
        newcomer.save()
    newcomer.paste(newcomer.named(block))
    if "reconcile apply mine" in block:
        page = newcomer.checkout / "mine.html"
        for width, dark in ((360, True), (1400, False)):
            browser.show(page, width, dark=dark)
            assert browser.complaints() == []
            assert browser.axe() == []
        assert "all well" in page.read_text(encoding="utf-8")
        assert "Nothing to do: mine is as declared." in newcomer.paste("reconcile plan mine\n")
    if "reconcile import" in block:
        assert load(str(newcomer.checkout / "adopted.yaml")).name == "mine"


def test_nothing_is_left_out() -> None:
    everything = "".join(blocks())
    for words in ("make demo", "make lab", "make setup", "make dist", "pipx install", "reconcile import"):
        assert words in everything
    assert all(f"    {words}" in TEXT for words in NOT_RUN)
