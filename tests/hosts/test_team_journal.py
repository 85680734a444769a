"""A run that one machine makes is known to another after a look, which shares nothing with it but real hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet
from tests.support.running import HERE, AdminMachine, free

pytestmark = pytest.mark.fleet

STORE = "/var/lib/reconciler/runs"
RECORD = f"{STORE}/lab"
NOTE = "  - file: /srv/note\n    content: {text}\n"


@pytest.fixture
def laptop(fleet: Fleet, tmp_path: Path) -> Iterator[AdminMachine]:
    """A machine, and hosts that no run of anybody is known of."""
    for host in fleet.hosts:
        host.run(f"rm -rf {STORE}")
    made = AdminMachine(fleet, tmp_path / "laptop")
    made.folder.mkdir()
    made.declare(HERE + NOTE.format(text="one"))
    yield made
    for host in fleet.hosts:
        host.run(f"rm -rf /srv/* {STORE}")


@pytest.fixture
def cron(laptop: AdminMachine, tmp_path: Path) -> AdminMachine:
    """Another machine, with the same environment file and a state folder of its own."""
    made = AdminMachine(laptop.fleet, tmp_path / "cron")
    made.folder.mkdir()
    made.declare(HERE + NOTE.format(text="one"))
    return made


def verdicts(machine: AdminMachine, code: int = 2) -> dict[str, str]:
    found = machine.document(code, "drift")["findings"]
    return {each["host"].split(".")[0]: each["verdict"] for each in found}


def elsewhere(machine: AdminMachine) -> list[dict[str, Any]]:
    return json.loads(machine.run_words(0, "history", "--json").out)["elsewhere"]


def test_a_run_of_the_laptop_is_known_to_cron_after_a_look(laptop: AdminMachine, cron: AdminMachine) -> None:
    hosts = laptop.fleet.hosts
    assert set(verdicts(cron).values()) == {"pending"}
    laptop.apply(0)
    assert all(free(host) for host in hosts), "the word that releases the lock has done so"
    hosts[1].run("echo odd >/srv/note")
    assert verdicts(cron) == {"cn-lab-2": "drifted"}

    listed = cron.run_words(0, "history").out
    run = re.search(
        r"run (x\w{12})  lab: apply, 3 actions: done; elsewhere, by \S+ on \S+ \(unsigned\)", listed
    )
    assert run, listed
    told = cron.run_words(0, "history", run[1]).out
    for host in hosts:
        assert f"{host.name}: create file /srv/note" in told
    assert "was made elsewhere, by " in cron.run_words(64, "rollback", run[1]).err
    state = cron.document(2, "status")["environments"][0]
    assert (state["state"], state["last_run_elsewhere"]["run"]) == ("drifted", run[1])

    # What cron puts right is known to the laptop, and each run is known once to whoever did not make it.
    cron.apply(0)
    assert verdicts(laptop, 0) == {}
    assert [len(each["actions"]) for each in elsewhere(laptop)] == [1]
    assert [each["run"] for each in elsewhere(cron)] == [run[1]]


def test_damage_is_named_and_breaks_nothing(laptop: AdminMachine, cron: AdminMachine) -> None:
    laptop.apply(0)
    host = laptop.fleet.hosts[0]
    host.run(f'sed -i \'s/"code":0/"code":9/\' {RECORD}; head -c 2000000 /dev/urandom >>{RECORD}')
    ended = cron.run(0, "drift")
    assert re.search(rf"{host.name}: its record of runs: \d+ of its lines are damaged", ended.err), ended.err
    assert cron.run(0, "drift").err == "", "it is named once"
    assert len(elsewhere(cron)) == 1

    # The next run shortens it, and is known.
    host.run("echo odd >/srv/note")
    laptop.apply(0)
    assert int(host.run(f"stat -c %s {RECORD}").stdout) < 200_000
    cron.run(0, "drift")
    assert [each["exit_code"] for each in elsewhere(cron)][-1] == 0
    assert len(elsewhere(cron)) == 2

    host.run(f"rm {RECORD}; ln -s /etc/shadow {RECORD}; touch /root/mark")
    assert "can be written by others than root, or is no file" in cron.run(0, "drift").err
    host.run("echo odd >/srv/note")
    assert f"{host.name}: the end of this run is not in its record of runs" in laptop.apply(0).err
    assert host.run("find /etc/shadow -newer /root/mark").stdout == ""


def test_nobody_but_root_writes_it_and_a_look_without_root_reads_it(
    laptop: AdminMachine, cron: AdminMachine
) -> None:
    laptop.apply(0)
    host = laptop.fleet.hosts[0]
    assert host.run(f"stat -c '%U %a' {STORE} {RECORD}").stdout == "root 755\nroot 644\n"
    for account in ("looker", "nobody", "www-data"):
        for attempt in (
            f"echo x >>{RECORD}",
            f"rm -f {RECORD}",
            f"mv {RECORD} {STORE}/x",
            f"touch {STORE}/x",
        ):
            if host.run(f"id {account}", check=False).returncode == 0:
                tried = host.run(f"runuser -u {account} -- sh -c '{attempt}'", check=False)
                assert tried.returncode != 0, (account, attempt)
    cron.declare(HERE + NOTE.format(text="one"), user="looker")
    cron.run(0, "drift")
    assert len(elsewhere(cron)) == 1


def test_a_run_that_was_killed_is_known(laptop: AdminMachine, cron: AdminMachine) -> None:
    host = laptop.fleet.hosts[0]
    slow = f"  - service: cron\n    check: sleep 8\n    hosts: [{host.name}]\n"
    for each in (laptop, cron):
        each.declare(HERE + NOTE.format(text="one") + slow)
    process = laptop.start("apply", "--yes")
    try:
        for _ in range(600):
            if host.run(f"test -s {RECORD}", check=False).returncode == 0:
                break
        else:
            raise AssertionError("it has left no line")
    finally:
        process.kill()
        process.communicate()
    cron.wait(cron.start("drift"))
    assert "its end is not known" in cron.run_words(0, "history").out
