"""What somebody sees while a command waits for hosts: on a terminal, in a file, in a log; and after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.schemas import hold
from tests.support.terminal import Terminal

ONE, TWO = "cn-1.example.org", "cn-2.example.org"
SET_X = "set /x 'new'"
PROGRAM = [sys.executable, "-m", "tests.support.scripted_program"]
SECONDS = re.compile(r"\d+(\.\d)? s\b")


def scene(one: Any = None, two: Any = None, **more: Any) -> dict[str, str]:
    """Two hosts: `/x` on the first, then on the second, and `/y` on the second; as variables."""
    things = [
        {"host": ONE, "label": "/x"},
        {"host": TWO, "label": "/x", "follows": [[ONE, "thing", "/x"]]},
        {"host": TWO, "label": "/y"},
    ]
    hosts = {ONE: one or {}, TWO: two or {}}
    return {"SCENE": json.dumps({"hosts": hosts, "things": things}), **more}


@pytest.fixture(autouse=True)
def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))


def timeless(lines: list[str]) -> list[str]:
    """The lines, without how long things took."""
    return [SECONDS.sub("N s", line) for line in lines]


@pytest.mark.parametrize(
    ("columns", "more"), [(80, {}), (120, {"NO_COLOR": "1"})], ids=["80 with colour", "120 without"]
)
def test_apply_on_a_terminal(columns: int, more: dict[str, str]) -> None:
    world = scene({"paces": {SET_X: 1.5}}, {"fails": ["set /y 'new'"], "paces": {SET_X: 1.5}}, **more)
    with Terminal([*PROGRAM, "apply", "e", "--yes", "--summary"], world, columns=columns) as terminal:
        screen = terminal.until("round 1: 1 of 3 actions, 1 failed", "cn-1    0/1", "cn-2    1/1")
        assert timeless(screen)[-3:] == [
            "round 1: 1 of 3 actions, 1 failed, N s",
            "  cn-1    0/1       N s  create thing /x",
            "  cn-2    1/1              answered after N s",
        ]
        colours = (terminal.colours("create thing /x"), terminal.colours("failed after"))
        assert colours == (({"default"}, {"default"}) if more else ({"cyan"}, {"red"}))
        screen = terminal.until("round 2:", "cn-2    0/1")
        assert timeless(screen)[-3:] == [
            "round 2: 2 of 3 actions, 1 failed, N s; rollout: 1 of 2 hosts",
            "  cn-1    1/1              has nothing to do now",
            "  cn-2    0/1       N s  create thing /x",
        ]
        assert terminal.end() == 4
        said = timeless(terminal.all_lines())
        at = said.index(f"{ONE} thing /x: done after N s (2 of 3)")
        assert (
            said[at:-1]
            == [
                f"{ONE} thing /x: done after N s (2 of 3)",
                "rollout of thing /x: 1 of 2 hosts",
                f"{TWO} thing /x: done after N s (3 of 3)",
                "rollout of thing /x: 2 of 2 hosts",
                f"failed: {TWO} thing /y: it says why (status 1 of: set /y 'new')",
                "Apply: 1 failed, 2 done.",
            ]
            or columns == 80
        )
        assert not any(line.startswith(("round", "looking", "  cn-")) for line in said), "what moved is gone"
        end = "run 1 took N s; `reconcile history 1` says what it did, `reconcile plan e.yaml` what is left"
        assert "".join(said[-2:]).endswith(end)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_look_says_who_is_still_waited_for(columns: int) -> None:
    world = scene({}, {"look": 2.5})
    with Terminal([*PROGRAM, "drift", "e", "--summary"], world, columns=columns) as terminal:
        screen = terminal.until("looking: 1 of 2 hosts", "cn-1              answered after")
        assert timeless(screen) == [
            "looking: 1 of 2 hosts, N s",
            "  cn-1              answered after N s",
            "  cn-2       N s  is asked",
        ]
        assert terminal.end() == 2
        assert terminal.all_lines()[0] == "pending: 3 declared, but not applied yet"


def test_a_host_that_is_lost_is_left_behind() -> None:
    world = scene({"lost_after": 1}, {})
    with Terminal([*PROGRAM, "apply", "e", "--yes", "--summary"], world, columns=120) as terminal:
        assert terminal.end() == 5
        said = timeless(terminal.all_lines())
        at = said.index(f"{ONE}: left behind: the connection was lost")
        lost = rf"{ONE} thing /x: lost after N s \([12] of 3\): the connection was lost, during: {SET_X}"
        assert any(re.fullmatch(lost, line) for line in said[:at])


def test_a_pager_has_the_terminal_for_itself() -> None:
    """Where stdout is a pipe nothing moves, for whoever reads it may draw on the same terminal."""
    world = scene({}, {"look": 2.5})
    with Terminal([*PROGRAM, "plan", "e"], world, stdout=subprocess.PIPE) as terminal:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.raw
        assert timeless(terminal.lines()) == [f"after N s still waiting for {TWO}"]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    with Terminal([*PROGRAM, "apply", "e", "--yes"], scene(TERM="dumb")) as terminal:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.raw
        assert f"{ONE} thing /x: create" in terminal.all_lines()


def test_quiet_shows_nothing_that_moves() -> None:
    with Terminal([*PROGRAM, "apply", "e", "--yes", "--quiet"], scene()) as terminal:
        assert terminal.end() == 0
        assert terminal.raw == b""


# -- Ctrl-C --------------------------------------------------------------------

UNCHANGED = "interrupted; no host was changed"
EXAMPLE = "examples/three-hosts.yaml --seen examples/three-hosts.observation.json"


def interrupted(terminal: Terminal, times: int = 1) -> list[str]:
    """What stands there after Ctrl-C, from the words that say so on."""
    for _ in range(times):
        terminal.interrupt()
        time.sleep(0.05)
    began = time.monotonic()
    assert terminal.end() == 130
    assert time.monotonic() - began < 10
    assert b"Traceback" not in terminal.raw
    lines = [line.replace("^C", "") for line in timeless(terminal.all_lines()) if line.strip("^C")]
    (at,) = [number for number, line in enumerate(lines) if "interrupted; " in line]
    return lines[at:]


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_during_a_look(times: int) -> None:
    with Terminal([*PROGRAM, "plan", "e"], scene({}, {"look": 60})) as terminal:
        terminal.until("looking: 1 of 2 hosts")
        assert interrupted(terminal, times) == [UNCHANGED]
        assert not any("cn-2" in line for line in terminal.all_lines())


def test_ctrl_c_at_the_prompt() -> None:
    with Terminal([*PROGRAM, "apply", "e", "--summary"], scene()) as terminal:
        terminal.until("Only 'yes' will be accepted:")
        assert interrupted(terminal) == [UNCHANGED]


ACTING = "interrupted; a host finishes the step it is in, and starts no other"
GO_ON = "to go on: `reconcile plan e` looks at what is left, `reconcile apply e` does it"


@pytest.mark.parametrize(("columns", "times"), [(80, 1), (120, 2)])
def test_ctrl_c_during_an_action(columns: int, times: int) -> None:
    world = scene({"paces": {SET_X: 60}})
    with Terminal([*PROGRAM, "apply", "e", "-y", "--summary"], world, columns=columns) as terminal:
        terminal.until("create thing /x", "1 of 3 actions")
        assert interrupted(terminal, times) == [
            ACTING,
            "finished: 1 of 3 actions (1 done)",
            f"not finished: {ONE} thing /x: create; its host may still be at it",
            "not begun: 1 action",
            GO_ON,
        ]
    done = subprocess.run(
        [*PROGRAM, "drift", "e"], cwd=ROOT, env={**os.environ, **scene()}, capture_output=True, text=True
    )
    assert f"was interrupted; checking again: {ONE} thing /x" in done.stderr


def test_ctrl_c_between_actions() -> None:
    things = [{"host": ONE, "label": "/x"}, {"host": TWO, "label": "/x", "needs": [[ONE, "thing", "/x"]]}]
    hosts = {ONE: {}, TWO: {"look": 1.5}}
    world = {"SCENE": json.dumps({"hosts": hosts, "things": things})}
    with Terminal([*PROGRAM, "apply", "e", "-y", "--summary"], world) as terminal:
        terminal.until(f"{ONE} thing /x: done", "is asked")
        assert interrupted(terminal) == [
            ACTING,
            "finished: 1 of 2 actions (1 done)",
            "not begun: 1 action",
            GO_ON,
        ]


def test_ctrl_c_while_it_loads() -> None:
    """Before `main` begins it is Python's own start that is interrupted, and not ours to answer for."""
    codes = set()
    for delay in (0.04, 0.08, 0.12, 0.16, 0.2, 0.3, 0.4, 0.5, 0.6):
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "plan", *EXAMPLE.split()],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        if not ("Traceback" in said and "main()" not in said):
            codes.add(process.returncode)
            assert said in ("", f"{UNCHANGED}\n"), (delay, said)
    assert 130 in codes
    assert codes <= {0, 130, -signal.SIGINT}


LOST = """
import signal, time
from reconciler.__main__ import _Interrupts
class Closing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
_Interrupts().is_running = True
try:
    Closing()
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted all the same")
"""


def test_ctrl_c_in_a_destructor_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("interrupted all the same\n", "")


# -- streams -------------------------------------------------------------------


def shell(line: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env={**os.environ, **scene(), **environ},
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "locale",
    [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["Latin-1", "C"],
)
def test_what_a_locale_cannot_write_is_written_otherwise(locale: dict[str, str]) -> None:
    program = f"{sys.executable} -m reconciler"
    done = shell(f"{program} plan {EXAMPLE}", **locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b" -> " in done.stdout
    done = shell(f"{program} plan {EXAMPLE} --json", **locale)
    assert json.loads(done.stdout.decode("ascii"))["document"] == "plan"


def test_json_is_ascii_where_stdout_is_not_utf_8() -> None:
    made = (
        "from reconciler.cli.files import print_json\n"
        "from reconciler.output.documents.results import ValidationDocument\n"
        "print_json(ValidationDocument(problems=['\u00e9 \u2192']))\n"
    )
    done = shell(f"{sys.executable} -c {shlex.quote(made)}", PYTHONIOENCODING="latin-1:backslashreplace")
    assert json.loads(done.stdout.decode("ascii"))["problems"] == ["\u00e9 \u2192"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_nobody_s_file(closed: str) -> None:
    done = shell(f"{' '.join(PROGRAM)} apply e --yes {closed}")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    done = shell(f"{' '.join(PROGRAM)} history --verify")
    assert (done.returncode, done.stderr) == (0, b""), "the journal is whole"


def test_whoever_stops_reading_stderr_stops_no_run() -> None:
    process = subprocess.Popen(
        [*PROGRAM, "apply", "e", "--yes"],
        cwd=ROOT, env={**os.environ, **scene({"paces": {SET_X: 0.5}})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() in {
            f"{name}: create\n".encode() for name in (f"{ONE} thing /x", f"{TWO} thing /y")
        }
        process.stderr.close()
        out = process.stdout.read()
    assert (process.returncode, out.splitlines()[-1]) == (0, b"Apply: 3 done.")


def test_the_log_is_json_line_by_line() -> None:
    world = scene({"fails": [SET_X]}, {"things": {"/y": "new"}})
    done = shell(f"{' '.join(PROGRAM)} apply e --yes --log-format json -vv", **world)
    assert done.returncode == 4
    lines = [json.loads(line) for line in done.stderr.decode("ascii").splitlines()]
    for line in lines:
        hold(line, "log")
    events = [line["event"] for line in lines]
    assert events[0] == "look-began"
    assert events[-1] == "message"
    (failed,) = [line for line in lines if line["event"] == "action-ended" and line["level"] == "error"]
    assert (failed["host"], failed["ref"], failed["result"]) == (ONE, f"{ONE} thing /x", "failed")
    assert failed["seconds"] >= 0
    done = shell(f"{' '.join(PROGRAM)} plan e --log-format json --host nowhere")
    assert done.returncode == 64
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["level"], "no such host" in line["text"]) == ("error", True)
    assert (
        shell(f"{' '.join(PROGRAM)} plan e --log-format yaml").stderr
        == b"--log-format: text or json, not 'yaml'\n"
    )
