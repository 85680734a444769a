"""`cron`: what it prints holds, and what it installs is asked for, ours alone, and there once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.environment.rules import Notices
from tests.support.workplace import Scene, two_hosts

FAKES = {
    "crontab": 'if [ "$1" = -l ]; then [ -e $T ] || { echo "no crontab for me" >&2; exit 1; }; cat $T; else cat >$T; fi',
    "systemctl": 'echo "$*" >>$T.systemctl',
    "reconcile": 'echo out "$*"; echo wrong >&2; exit 2',
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in FAKES.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("T", str(tmp_path / "tab"))
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "my state"))
    (tmp_path / "units").mkdir()
    return two_hosts(units=tmp_path / "units")


def test_the_entry_is_installed_once_and_only_after_yes(
    world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    tab = tmp_path / "tab"
    assert world.run(["cron", "e", "--install"]) == 8
    assert "+*/15 * * * *" in capsys.readouterr().out
    world.answers = ["no"]
    assert world.run(["cron", "e", "--install"]) == 8
    assert not tab.exists()
    tab.write_text("MAILTO=x\n1 1 * * * mine")
    world.answers = ["yes"]
    assert world.run(["cron", "e", "--install"]) == 0
    first = tab.read_text()
    assert first.startswith("MAILTO=x\n1 1 * * * mine\n# reconcile e:")
    capsys.readouterr()
    world.answers = None
    assert world.run(["cron", "e", "--install"]) == 0
    assert "nothing was changed" in capsys.readouterr().err
    assert world.run(["cron", "e", "--install", "--yes", "--minutes", "5", "--auto"]) == 0
    assert tab.read_text().count("\n") == first.count("\n") == 4
    assert "apply --auto" in tab.read_text()


def test_what_is_not_ours_stays(world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "tab").write_text("# reconcile e: my own\n1 1 * * * mine\n")
    assert world.run(["cron", "e", "--install", "--yes"]) == 64
    assert "crontab, line 1" in capsys.readouterr().err
    assert (tmp_path / "tab").read_text().endswith("mine\n")
    timer = tmp_path / "units" / "reconcile-e.timer"
    timer.write_text("[Timer]\n")
    assert world.run(["cron", "e", "--systemd", "--install", "--yes"]) == 64
    assert str(timer) in capsys.readouterr().err
    assert [each.name for each in timer.parent.iterdir()] == [timer.name]


def test_units_are_installed_and_started(world: Scene, tmp_path: Path) -> None:
    for _ in range(2):
        assert world.run(["cron", "e", "--systemd", "--install", "--yes"]) == 0
    assert (tmp_path / "tab.systemctl").read_text().splitlines() == [
        "daemon-reload", "enable --now reconcile-e.timer", "enable --now reconcile-e.timer",
    ]  # fmt: skip


def test_the_printed_line_keeps_its_last_run(
    world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert world.run(["cron", "e", "--jitter", "0"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    command = re.sub(r"^(\S+ ){5}", "", line).replace("\\%", "%")
    for _ in range(2):
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "wrong\n")
    state = tmp_path / "my state"
    assert (state / "cron-e.log").read_text().startswith("out drift ")
    assert (state / "cron-e.err").read_text() == "wrong\n"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("sendmail", [True, False])
def test_systemd_takes_the_units(
    sendmail: bool, world: Scene, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert world.environment is not None
    notices = Notices(mail=("me@example.org",) if sendmail else ())
    world.environment = replace(world.environment, notices=notices)
    more = ["--on-failure", "reconcile-e.timer"]
    assert world.run(["cron", "e", "--systemd", "--install", "--yes", *more]) == 0
    service = (tmp_path / "units" / "reconcile-e.service").read_text()
    assert ("ProtectSystem=full" in service, "NoNewPrivileges" in service) == (sendmail, not sendmail)
    assert "SuccessExitStatus" not in service
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / "units").iterdir()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "reconcile-e" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_flags_that_do_not_fit(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["cron", "e", "--user", "root"]) == 64
    assert world.run(["cron", "e", "--systemd", "--user", "no-such-account"]) == 64
    assert world.run(["cron", "e", "--install", "--json"]) == 8
    assert "--json never asks" in capsys.readouterr().err
