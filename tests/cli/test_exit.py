"""Every exit code: what it means is documented, and a case ends with it; a bug of ours is told as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.cli.exit import MEANINGS, Code, worst
from reconciler.cli.workplace import Workplace
from reconciler.fleet.reply import NoAnswer
from tests import ROOT
from tests.support.workplace import Scene, two_hosts

EXAMPLE = ["examples/three-hosts.yaml", "--seen", "examples/three-hosts.observation.json"]


def failing(error: BaseException) -> Workplace:
    """A workplace whose environment files end in an error that no command expects."""

    def load(_: str) -> Any:
        raise error

    return Workplace(load=load)


def stale(world: Scene, folder: Path) -> int:
    world.run(["plan", "e", "-o", str(folder / "p.json")])
    world["a"].things["/x"] = "older"
    return world.run(["apply", str(folder / "p.json")])


def unreachable(world: Scene, _: Path) -> int:
    world["b"].error = NoAnswer("b", "down")
    return world.run(["drift", "e"])


def failed(world: Scene, _: Path) -> int:
    world["a"].fails = {"set /x 'new'"}
    return world.run(["apply", "e", "--yes"])


def partial(world: Scene, _: Path) -> int:
    world["a"].lost_after = 1
    return world.run(["apply", "e", "--yes"])


def locked(world: Scene, _: Path) -> int:
    world["a"].held_by = "eve"
    return world.run(["apply", "e", "--yes"])


CASES: Mapping[Code, Callable[[Scene, Path], int]] = {
    Code.OK: lambda world, _: world.run(["plan", "e"]),
    Code.BUG: lambda _, __: run(["plan", "e"], failing(KeyError("x"))),
    Code.CHANGES: lambda world, _: world.run(["drift", "e"]),
    Code.INCOMPLETE: unreachable,
    Code.FAILED: failed,
    Code.PARTIAL: partial,
    Code.STALE: stale,
    Code.LOCKED: locked,
    Code.NOT_APPROVED: lambda world, _: world.run(["apply", "e"]),
    Code.USAGE: lambda world, _: world.run(["plan", "e", "--host", "nowhere"]),
    Code.LOCAL: lambda world, folder: world.run(["plan", "e", "-o", str(folder / "no" / "p")]),
    Code.INTERRUPTED: lambda _, __: run(["plan", "e"], failing(KeyboardInterrupt())),
}


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_each_code_is_reached_and_documented(code: Code, tmp_path: Path) -> None:
    assert CASES[code](two_hosts(), tmp_path) == code
    assert f"\n| {int(code)} | {MEANINGS[code]} |\n" in (ROOT / "docs/commands.md").read_text("utf-8")
    assert f"\n.TP\n{int(code)}\n" in (ROOT / "docs/reconcile.1").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f" {int(code)} " in readme[readme.index("Exit codes: ") : readme.index("## Your first")]


@pytest.mark.parametrize("has_state", [True, False])
def test_a_bug_is_told_as_ours_with_what_to_send(
    has_state: bool, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state" / ("" if has_state else "none")))
    (tmp_path / "state").mkdir()
    assert run(["plan", "e"], failing(KeyError("x\x1b[2J"))) == 1
    err = capsys.readouterr().err
    assert err.startswith("internal error: KeyError: ")
    assert "a bug in reconcile, not a mistake of yours" in err
    assert "Traceback" not in err
    assert "\x1b" not in err
    (file,) = tmp_path.rglob("*.txt")
    assert (file.parent == tmp_path / "state") == has_state
    assert str(file) in err
    assert "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o77 == 0
    for verbose in (["-vv"], ["-v", "--verbose"]):
        assert run(["plan", "e", *verbose], failing(KeyError("x"))) == 1
        assert "Traceback" in capsys.readouterr().err
    assert list(tmp_path.rglob("*.txt")) == [file]


def test_what_the_system_refuses_is_no_bug(capsys: pytest.CaptureFixture) -> None:
    assert run(["plan", "e"], failing(FileNotFoundError(2, "No such file or directory", "git"))) == 71
    assert capsys.readouterr().err == "this machine: git: No such file or directory\n"


@pytest.mark.parametrize(("target", "said"), [("> /dev/full", "No space left on device\n"), ("| true", "")])
def test_an_output_that_cannot_be_written(target: str, said: str) -> None:
    line = f"set -o pipefail; '{sys.executable}' -m reconciler plan {' '.join(EXAMPLE)} --commands {target}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.endswith(said)) == (71, True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_fault_of_this_machine_hides_no_drift() -> None:
    assert worst([Code.LOCAL, Code.CHANGES, Code.OK]) == Code.CHANGES
    assert worst([Code.OK, Code.LOCAL]) == Code.LOCAL
