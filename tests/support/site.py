"""A site in a folder: its machines are processes (`site_program`), and whoever asks it is one too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.approval.test_signatures import key
from tests.support.faults import Ended

PATIENCE = 40.0
"""Seconds until what a test waits for must have come."""


class Site:
    """A controlling machine, and a site with its own copies and journal; Ada may approve."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.folder, self.log = folder, folder / "log"
        self.file, self.plans, self.hold = folder / "e.yaml", folder / "plans", folder / "hold"
        self.plans.mkdir()
        self.log.touch()
        self.file.write_text("environment: e\n", encoding="utf-8")
        public = key(folder, "ada").with_suffix(".pub").read_text()
        (folder / "signers").write_text(f"ada@example.org {public}", encoding="utf-8")
        self.describe(**given)
        self.processes: list[subprocess.Popen[str]] = []

    def describe(self, **given: Any) -> None:
        """What the environment says of the site."""
        (self.folder / "site.json").write_text(json.dumps(given), encoding="utf-8")

    def environ(self, *, there: bool) -> dict[str, str]:
        mine = {
            "RECONCILE_STATE": str(self.folder / ("there" if there else "here")),
            "FOLDER": str(self.folder),
        }
        if there:
            mine["RECONCILE_SITE"] = "s"
        return {name: value for name, value in os.environ.items() if name != "RECONCILE_SITE"} | mine

    def start(self, *words: str, there: bool = False) -> subprocess.Popen[str]:
        """A command that runs on, in a process group of its own."""
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.support.site_program", *words],
            cwd=ROOT, env=self.environ(there=there), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.processes.append(started)
        return started

    def run(self, *words: str, there: bool = False) -> Ended:
        return ended(self.start(*words, there=there))

    def plan(self, name: str = "p", *, sign: bool = True, bring: bool = True, there: bool = False) -> str:
        """Makes a plan of all that is at the site, signs it, and brings it there. Returns its file."""
        file = self.folder / f"{name}.json"
        made = self.run("plan", "e", "-o", str(file), there=there)
        assert made.code == 0, made.err
        if sign:
            signed = self.run("approve", str(file), "--key", str(self.folder / "ada"), "-q")
            assert signed.code == 0, signed.err
        if bring:
            for each in self.folder.glob(f"{name}.json*"):
                shutil.copy(each, self.plans)
        return str(file)

    def logged(self) -> list[str]:
        """Every step that was taken, in order."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def until(self, what: Callable[[], object], why: str) -> None:
        """Waits until something is so."""
        end = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < end, f"{why}: {self.logged()}"
            time.sleep(0.02)

    def close(self) -> None:
        """Ends what is left of its processes."""
        self.hold.unlink(missing_ok=True)
        for each in self.processes:
            if each.poll() is None:
                kill(each)


def ended(process: subprocess.Popen[str]) -> Ended:
    """How a process ends, that is left alone until then."""
    out, err = process.communicate(timeout=90)
    return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """Ends a process and all that it has started, at once."""
    os.killpg(process.pid, 9)
    process.communicate(timeout=20)


def each_once(*hosts: str) -> list[str]:
    """What the log has, sorted, where all is done on these hosts, and nothing twice."""
    return sorted(
        f"{what} {host} {label}" for what in ("begin", "end") for host in hosts for label in ("/x", "/y")
    )
