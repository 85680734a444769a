"""Every kind on a real host: created, changed and removed, as the `host:` of its cases declares it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Fleet
from reconciler.kinds import DECLARABLE
from tests.support.running import HERE, AdminMachine, bare_hosts
from tools import cases

pytestmark = pytest.mark.fleet

ONLY = os.environ.get("KINDS", "").split()
"""The kinds to try, for the author of one; all where it names none."""

ON_A_HOST = {
    kind.kind: case["host"]
    for kind in DECLARABLE
    if kind.kind in (ONLY or [kind.kind])
    for case in cases.cases(cases.FOLDER / f"{kind.kind}.yaml")
    if cases.form(case) == "host"
}
STAGES = ("created", "changed", "removed")


def _stages(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((kind, host[name]) for kind, host in ON_A_HOST.items() if name in host)


@pytest.fixture(scope="module")
def story(
    spare_fleet: Fleet, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """For each stage what was planned, how apply ended, what was then left, and what is shown:
    the resources of all kinds in one environment."""
    machine = AdminMachine(bare_hosts(spare_fleet, pytestconfig), tmp_path_factory.mktemp("kinds"))
    (host,) = spare_fleet.hosts
    for kind, case in ON_A_HOST.items():
        done = host.run(case.get("before", ":"), check=False)
        assert done.returncode == 0, f"{kind}: {done.stderr}"
    told = {}
    for stage in STAGES:
        items = [item for _, each in _stages(stage) for item in each["resources"]]
        machine.declare(HERE + yaml.safe_dump(items))
        planned = machine.document(0, "plan")
        ended = machine.wait(machine.start("apply", "--yes"))
        told[stage] = {
            "planned": planned["actions"],
            "ended": f"{ended.code}\n{ended.out}{ended.err}",
            "left": json.loads(machine.wait(machine.start("plan", "--json")).out),
            "shown": {
                (kind, command): host.run(command, check=False).stdout
                for kind, each in _stages(stage)
                for command in each.get("shows", {})
            },
        }
    return told


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ON_A_HOST)
def test_a_kind_on_a_host(kind: str, stage: str, story: dict[str, dict[str, Any]]) -> None:
    if stage not in ON_A_HOST[kind]:
        return
    told = story[stage]
    planned = {each["verb"] for each in told["planned"] if each["kind"] == kind}
    assert planned, "nothing is to be done for it"
    assert ("remove" in planned) == (stage == "removed")
    left = [each for each in [*told["left"]["actions"], *told["left"]["unknown"]] if each["kind"] == kind]
    assert left == [], told["ended"]
    for command, shown in ON_A_HOST[kind][stage].get("shows", {}).items():
        assert told["shown"][kind, command] == shown, command


def test_all_of_it_was_applied_and_nothing_is_left(story: dict[str, dict[str, Any]]) -> None:
    for stage in STAGES:
        assert story[stage]["ended"].startswith("0\n"), story[stage]["ended"]
        assert story[stage]["left"]["actions"] == []
        assert "hush" not in story[stage]["ended"]
        assert "hush" not in json.dumps(story[stage]["planned"])


def test_a_drop_in_that_visudo_refuses_leaves_the_old_one(spare_fleet: Fleet, tmp_path: Path) -> None:
    machine = AdminMachine(spare_fleet, tmp_path)
    good = "looker ALL=(ALL) NOPASSWD: /bin/true\n"
    for content, code in ((good, 0), ("looker ALL=(ALL NOPASSWD\n", 4)):
        machine.declare(HERE + yaml.safe_dump([{"sudoers": "looker", "content": content}]))
        ended = machine.apply(code)
    assert "syntax error" in ended.out
    assert spare_fleet.hosts[0].run("cat /etc/sudoers.d/looker").stdout == good


def test_a_mount_that_fails_or_is_in_use_leaves_fstab_and_what_is_mounted(
    spare_fleet: Fleet, tmp_path: Path
) -> None:
    machine, (host,) = AdminMachine(spare_fleet, tmp_path), spare_fleet.hosts
    path = "/srv/kept"
    old = {"mount": path, "source": "old", "type": "tmpfs", "options": "size=1m"}

    def ends(code: int, **other: Any) -> str:
        machine.declare(HERE + yaml.safe_dump([{**old, **other}]))
        return machine.apply(code).out

    def shown() -> str:
        return host.run(f"cat /etc/fstab; ls /etc/fstab*; findmnt -nro SOURCE,FSTYPE {path}").stdout

    ends(0)
    before = shown()
    assert "unknown filesystem type" in ends(4, source="new", type="nonsense")
    assert shown() == before
    host.run(f"systemd-run --unit=user-of-it --working-directory={path} sleep 600")
    assert "busy" in ends(4, source="new")
    assert "busy" in ends(4, absent=True)
    assert shown() == before
    host.run("systemctl stop user-of-it")
    ends(0, absent=True)
    host.run(f"touch {path}/something")
    assert f"{path} is a directory that holds something" in ends(4)
    assert path not in host.run("cat /etc/fstab /proc/self/mountinfo").stdout


def test_a_value_that_the_kernel_refuses_is_not_kept(spare_fleet: Fleet, tmp_path: Path) -> None:
    machine, (host,) = AdminMachine(spare_fleet, tmp_path), spare_fleet.hosts
    host.run(cases.cases(cases.FOLDER / "sysctl.yaml")[-1]["host"]["before"])
    key = "net.ipv4.conf.all.log_martians"
    machine.declare(HERE + yaml.safe_dump([{"sysctl": key, "value": "many"}]))
    assert "Invalid argument" in machine.apply(4).out
    assert key not in host.run("ls /etc/sysctl.d").stdout
