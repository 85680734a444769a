"""What somebody at a terminal sees of real hosts: plan, apply, drift and Ctrl-C, at two widths."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet
from tests.support.faults import until
from tests.support.running import HERE, AdminMachine, free
from tests.support.terminal import Terminal

pytestmark = pytest.mark.fleet

SIZES = (
    pytest.param(80, {}, id="80 with colour"),
    pytest.param(120, {"NO_COLOR": "1"}, id="120 without", marks=pytest.mark.gate),
)
SECONDS = re.compile(r"\d+(\.\d)? s\b")


@pytest.fixture
def admin(fleet: Fleet, tmp_path: Path) -> Iterator[AdminMachine]:
    """An administrator's machine, and an environment in which one of two hosts takes three seconds."""
    made = AdminMachine(fleet, tmp_path)
    one, two, _ = fleet.hosts
    made.declare(
        f"{HERE}  - {{file: /srv/note, content: x, hosts: [{two.name}]}}\n"
        f"  - {{file: /srv/slow, content: x, check: sleep 3, hosts: [{one.name}]}}\n"
        f"  - {{file: /srv/then, content: x, needs: [file /srv/slow], hosts: [{one.name}]}}\n"
    )
    yield made
    for host in (one, two):
        until(lambda at=host: free(at), "no run holds the host")
        host.run("rm -rf /srv/*")


def terminal(admin: AdminMachine, command: str, *flags: str, columns: int, more: dict[str, str]) -> Terminal:
    words = [sys.executable, "-m", "reconciler", command, str(admin.file), "--summary", *flags]
    return Terminal(words, {"RECONCILE_STATE": str(admin.state), **more}, columns=columns)


def timeless(lines: list[str]) -> list[str]:
    return [SECONDS.sub("N s", line) for line in lines]


@pytest.mark.parametrize(("columns", "more"), SIZES)
def test_a_plan_an_apply_and_a_look_for_drift(
    admin: AdminMachine, columns: int, more: dict[str, str]
) -> None:
    one, two, _ = (host.name for host in admin.fleet.hosts)
    with terminal(admin, "plan", columns=columns, more=more) as screen:
        screen.until("looking: 0 of 2 hosts", "cn-lab-1 ", "cn-lab-2 ")
        assert screen.end() == 0
        assert screen.all_lines()[0].startswith("Plan: 3 to create,")
        assert not any("looking" in line for line in screen.all_lines())
    with terminal(admin, "apply", "--yes", columns=columns, more=more) as screen:
        shown = timeless(screen.until("create file /srv/slow", f"{two} file /srv/note: done", "0/2"))
        assert shown[-3] == "round 1: 1 of 3 actions, N s"
        assert shown[-2] == "  cn-lab-1    0/2       N s  create file /srv/slow"
        assert shown[-1].startswith("  cn-lab-2    1/1 ")
        assert screen.colours("create file /srv/slow") == ({"default"} if more else {"cyan"})
        assert screen.end() == 0
        said = timeless(screen.all_lines())
        done = [line for line in said if line.startswith("cn-lab-")]
        assert done == [
            f"{two} file /srv/note: done after N s (1 of 3)",
            f"{one} file /srv/slow: done after N s (2 of 3)",
            f"{one} file /srv/then: done after N s (3 of 3)",
        ]
        assert any(line.startswith("run 1 took ") for line in said)
    admin.fleet.hosts[1].run("echo y >/srv/note")
    with terminal(admin, "drift", columns=columns, more=more) as screen:
        screen.until("looking: 0 of 2 hosts")
        assert screen.end() == 2
        assert any(line.startswith("drifted") and "/srv/note" in line for line in screen.all_lines())


@pytest.mark.parametrize(("columns", "more"), SIZES)
def test_ctrl_c_during_a_step(admin: AdminMachine, columns: int, more: dict[str, str]) -> None:
    one, two, _ = admin.fleet.hosts
    with terminal(admin, "apply", "--yes", columns=columns, more=more) as screen:
        screen.until("create file /srv/slow", f"{two.name} file /srv/note: done")
        screen.interrupt()
        assert screen.end() == 130
        assert b"Traceback" not in screen.raw
        text = screen.raw.decode()  # as it was before the terminal wrapped it
    assert "interrupted; a host finishes the step it is in, and starts no other" in text
    assert "finished: 1 of 3 actions (1 done)" in text
    assert f"not finished: {one.name} file /srv/slow: create; its host may still be at it" in text
    assert "not begun: 1 action" in text
    assert f"`reconcile apply {admin.file}` does it" in text
    until(lambda: free(one), "the step has ended")
    assert one.run("test -e /srv/then", check=False).returncode != 0, "no other step was started"
    admin.apply(0)
    admin.settled()
