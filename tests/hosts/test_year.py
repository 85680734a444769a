"""A year in the life of three real hosts."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from lab.environment import environment_text
from tests.support import program
from tests.support.running import bare_hosts

pytestmark = [pytest.mark.fleet, pytest.mark.gate]
HOSTS = [f"cn-lab-{n}.test.dataone.org" for n in (1, 2, 3)]
CHALLENGE = "/var/www/.well-known/acme-challenge"
SETTLED = "Nothing to do: lab is as declared.\n"


def reconcile(*arguments: object) -> subprocess.CompletedProcess[str]:
    process = program.start(arguments)
    out, err = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ok(*arguments: object) -> str:
    done = reconcile(*arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def actions(env: Path, command: str = "plan") -> list[str]:
    """What a plan would do, as `host kind name` with the host's short name."""
    done = reconcile(command, env, "--json")
    assert not re.search("Traceback|internal error", done.stderr)
    return [f"{a['host'].split('.')[0]} {a['kind']} {a['name']}" for a in json.loads(done.stdout)["actions"]]


def declare(path: Path, fleet: Fleet, hosts: Sequence[LabHost] | None = None, **options: object) -> Path:
    text = environment_text(
        fleet.hosts if hosts is None else hosts,
        router=fleet.router, identity=fleet.identity, known_hosts=fleet.known_hosts, ca=fleet.ca,
        manage=False, **options,
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def _bare(fleet: Fleet, pytestconfig: pytest.Config) -> None:
    """Hosts of whoever came before may have a managed certificate; the environment here leaves it alone."""
    bare_hosts(fleet, pytestconfig)


@pytest.fixture
def env(fleet: Fleet, tmp_path: Path) -> Path:
    """The environment file of the session's fleet, applied: every test starts settled."""
    path = declare(tmp_path / "lab.yaml", fleet)
    ok("apply", path, "--yes")
    return path


def test_two_people_plan_and_the_second_is_told(env: Path, fleet: Fleet, tmp_path: Path) -> None:
    fleet.hosts[0].run("chmod 700 /var/www/.well-known/acme-challenge")
    for name in ("mine.json", "theirs.json"):
        ok("plan", env, "-o", tmp_path / name)
    ok("apply", tmp_path / "mine.json", "--env", env)
    second = reconcile("apply", tmp_path / "theirs.json", "--env", env)
    assert second.returncode == 6
    assert "it has been settled since" in second.stderr


def test_a_host_is_added_and_another_retired(env: Path, fleet: Fleet) -> None:
    extra = fleet.add_host()
    try:
        ok("apply", declare(env, fleet), "--yes")
        assert ok("plan", env) == SETTLED
        peers = extra.run("cat /etc/ssh/reconciler/known_hosts").stdout
        assert all(name in peers for name in HOSTS)
        assert extra.name in fleet.hosts[0].run("cat /etc/dataone/node.properties").stdout

        ok("apply", declare(env, fleet, fleet.hosts[:3], retired=[extra]), "--yes")
        assert ok("plan", env) == SETTLED
        for host in fleet.hosts[:3]:
            trusted = host.run("cat /etc/ssh/reconciler/* /etc/dataone/node.properties").stdout
            assert extra.name not in trusted
        assert extra.run("ls /etc/ssh/reconciler").stdout == ""
    finally:
        fleet.remove_added()


def test_a_host_rebuilt_under_its_name_is_refused_until_its_key_is_changed(env: Path, fleet: Fleet) -> None:
    fleet.hosts[1].rebuild(new_key=True)
    refused = reconcile("plan", env)
    assert refused.returncode == 3
    assert f"? {HOSTS[1]} could not be looked at: its host key has changed" in refused.stdout
    assert str(fleet.known_hosts) in refused.stdout
    fleet.pin()
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    ping = f"runuser -u rsync_user -- ssh -F none -i /etc/ssh/reconciler/id_ed25519 -o UserKnownHostsFile=/etc/ssh/reconciler/known_hosts rsync_user@{HOSTS[1]} ping"
    assert fleet.hosts[0].run(ping).stdout == "pong\n"


def test_an_account_that_may_look_but_not_sudo(env: Path, fleet: Fleet) -> None:
    looker = declare(env.with_name("looker.yaml"), fleet, user="looker")
    shown = reconcile("plan", looker)
    assert shown.returncode == 3
    assert "cannot see sudoers zz-reconciler-rsync_user" in shown.stdout
    assert "sudo: a password is required" in shown.stdout
    assert actions(looker) == []
    fleet.hosts[0].run("chmod 700 /var/www/.well-known")
    assert reconcile("drift", looker).returncode == 3
    fleet.hosts[0].run("chmod 755 /var/www/.well-known; systemctl stop apache2")
    assert actions(looker) == ["cn-lab-1 service apache2"]
    refused = reconcile("apply", looker, "--yes")
    assert refused.returncode == 4
    assert "looker may not become root" in refused.stderr
    ok("apply", env, "--yes")


def test_postgresql_raised_in_the_yaml_harms_nothing(env: Path, fleet: Fleet) -> None:
    newer = env.with_name("newer.yaml")
    newer.write_text(env.read_text().replace('postgresql: "15"', 'postgresql: "16"'))
    assert actions(newer) == [f"cn-lab-{n} service postgresql@16-main" for n in (1, 2, 3)]
    failed = reconcile("apply", newer, "--yes")
    assert failed.returncode == 4
    assert "postgresql@16-main" in failed.stdout
    assert ok("plan", env) == SETTLED


def test_the_primary_moves(env: Path, fleet: Fleet) -> None:
    moved = declare(env.with_name("moved.yaml"), fleet, primary=1)
    ok("apply", moved, "--yes")
    assert ok("plan", moved) == SETTLED
    assert fleet.hosts[0].run("ls /etc/letsencrypt/renewal/*.sh", check=False).returncode != 0
    assert fleet.hosts[1].run("ls /etc/letsencrypt/renewal/*.sh; dpkg -s certbot").returncode == 0
    ok("apply", env, "--yes")
