"""A forked process is like a started one: tests that use one prove the same."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.program import Forked, start

MIRROR = "tests.support.mirror"
HOW = pytest.mark.parametrize("anew", [False, True], ids=["forked", "started"])


def seen(anew: bool, *words: str, **options: Any) -> dict[str, Any]:
    process = start(words, module=MIRROR, anew=anew, **options)
    assert isinstance(process, Forked) != anew
    out, err = process.communicate("given" if "stdin" in options else None, timeout=30)
    assert (process.returncode, err) == (0, "it is there\n")
    found = json.loads(out)
    assert found.pop("pid", process.pid) == process.pid
    return found


def test_a_forked_process_sees_what_a_started_one_sees(tmp_path: Path) -> None:
    environ = {"RECONCILE_STATE": "/elsewhere", "é": "ü"}
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for folder in (ROOT, tmp_path):
        options = {"folder": folder, "environ": environ, "stdin": subprocess.PIPE}
        forked, started = (seen(anew, "read", "a b", **options) for anew in (False, True))
        assert forked.pop("path") == str(ROOT)
        assert started.pop("path") == str(folder)
        if folder != ROOT:
            forked["argv"][0] = started["argv"][0]
        assert forked == started
        assert (forked["read"], forked["folder"]) == ("given", str(folder))


def test_a_forked_process_takes_nothing_of_the_one_before() -> None:
    first = start(["waits"], module=MIRROR, environ={"ONCE": "yes"})
    second = seen(False, "0")
    assert "ONCE" not in second["environ"]
    assert second == seen(True, "0")
    first.kill()
    assert first.communicate(timeout=10)[0].startswith("{")
    assert first.returncode == -signal.SIGKILL


@HOW
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it_and_its_end_is_told(anew: bool, number: signal.Signals) -> None:
    process = start(["waits"], module=MIRROR, anew=anew)
    assert process.stdout.readline()
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)


@HOW
def test_its_exit_code_is_told(anew: bool) -> None:
    process = start(["64"], module=MIRROR, anew=anew)
    process.communicate(timeout=20)
    assert process.returncode == 64


@HOW
def test_a_mistake_in_it_is_a_traceback(anew: bool) -> None:
    process = start(["fails"], module=MIRROR, anew=anew)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.splitlines()[-1]) == (1, "ValueError: a mistake")


@HOW
def test_it_is_on_the_terminal_it_is_given(anew: bool) -> None:
    ours, theirs = pty.openpty()
    process = start(["0"], module=MIRROR, anew=anew, stdin=theirs, stdout=theirs, stderr=theirs)
    assert process.wait(20) == 0
    streams = json.loads(os.read(ours, 1 << 16).decode().splitlines()[0])["streams"]
    os.close(theirs)
    os.close(ours)
    buffered = "PYTHONUNBUFFERED" not in os.environ
    assert [(by_line, terminal) for _, _, by_line, terminal, _ in streams] == [(buffered, True)] * 3


def test_another_program_or_another_python_is_started(tmp_path: Path) -> None:
    (tmp_path / "reconciler").mkdir()
    for options in ({"folder": tmp_path}, {"environ": {"PYTHONHASHSEED": "0"}}, {"anew": True}):
        process = start(["0"], module="this", **options)
        assert not isinstance(process, Forked)
        process.communicate(timeout=20)
