"""The main job on three real hosts, as a user does it: the program as a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from lab.environment import environment_text

pytestmark = pytest.mark.fleet
ROOT = Path(__file__).parent.parent
HOSTS = [f"cn-lab-{n}.test.dataone.org" for n in (1, 2, 3)]
CHALLENGE = "/var/www/.well-known/acme-challenge"
SETTLED = "Nothing to do: lab is as declared.\n"


def reconcile(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def ok(*arguments: object) -> str:
    done = reconcile(*arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def actions(env: Path, command: str = "plan") -> list[str]:
    """What a plan would do, as `host kind name` with the host's short name."""
    done = reconcile(command, env, "--json")
    assert "Traceback" not in done.stderr
    return [f"{a['host'].split('.')[0]} {a['kind']} {a['name']}" for a in json.loads(done.stdout)["actions"]]


def declare(path: Path, fleet: Fleet, hosts: Sequence[LabHost] | None = None, **options: object) -> Path:
    text = environment_text(
        fleet.hosts if hosts is None else hosts,
        router=fleet.router, identity=fleet.identity, known_hosts=fleet.known_hosts, **options,
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def env(fleet: Fleet, tmp_path: Path) -> Path:
    """The environment file of the session's fleet, applied: every test starts settled."""
    path = declare(tmp_path / "lab.yaml", fleet)
    ok("apply", path, "--yes")
    return path


def test_from_bare_to_configured(bare_fleet: Fleet, tmp_path: Path) -> None:
    env = declare(tmp_path / "lab.yaml", bare_fleet)
    before = [host.run("cat /etc/dataone/node.properties").stdout for host in bare_fleet.hosts]
    ok("validate", env)
    planned = reconcile("plan", env, "--detailed-exitcode")
    assert planned.returncode == 2
    assert planned.stdout.splitlines()[-1].startswith(
        "Plan: 65 to create, 0 to change, 3 to remove, 3 reloads"
    )
    refused = reconcile("apply", env)
    assert (refused.returncode, "no terminal to ask on" in refused.stderr) == (8, True)

    saved = tmp_path / "plan.json"
    ok("plan", env, "-o", saved)
    done = reconcile("apply", saved, "--json")
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)["outcomes"]
    listed = {(a["host"], a["kind"], a["name"]) for a in json.loads(saved.read_text())["actions"]}
    assert {o["result"] for o in outcomes} == {"done"}
    assert {(o["host"], o["kind"], o["name"]) for o in outcomes} <= listed

    assert ok("plan", env, "--detailed-exitcode") == SETTLED
    assert ok("drift", env) == SETTLED
    assert ok("apply", env, "--yes").endswith(SETTLED)
    assert reconcile("apply", saved).returncode == 6
    for host, old in zip(bare_fleet.hosts, before, strict=True):
        now = host.run("cat /etc/dataone/node.properties").stdout
        assert now.startswith(old)
        assert sorted(line.split("=")[0] for line in now.removeprefix(old).splitlines()) == [
            "cn.router.hostname", "cn.rsyncuser", "cn.server.publiccert.filename", "environment.hosts",
        ]  # fmt: skip
        assert "canary-" in now
    assert "canary-" not in planned.stdout + done.stdout + saved.read_text()

    seen = tmp_path / "seen.json"
    ok("observe", env, "-o", seen)
    assert "canary-" not in seen.read_text()
    assert "PRIVATE KEY" not in seen.read_text()
    away = tmp_path / "away.yaml"
    away.write_text(env.read_text().replace("address: 10.77.", "address: 127.99."))
    assert ok("plan", away, "--seen", seen) == SETTLED


def test_three_things_broken_by_hand_are_found_and_mended(env: Path, fleet: Fleet) -> None:
    fleet.hosts[0].run("systemctl stop apache2")
    fleet.hosts[1].run(
        "sed -i 's/^environment.hosts=.*/environment.hosts=cn-old/' /etc/dataone/node.properties"
    )
    fleet.hosts[2].run(f"setfacl -k {CHALLENGE}")
    broken = [
        "cn-lab-1 service apache2",
        "cn-lab-2 property /etc/dataone/node.properties environment.hosts",
        f"cn-lab-3 acl {CHALLENGE}",
    ]
    assert actions(env, "drift") == broken
    assert reconcile("drift", env).returncode == 2
    done = reconcile("apply", env, "--yes", "--json")
    outcomes = json.loads(done.stdout)["outcomes"]
    assert sorted(f"{o['host'].split('.')[0]} {o['kind']} {o['name']}" for o in outcomes) == broken
    assert ok("drift", env) == SETTLED


def test_challenges_travel_and_the_key_does_nothing_else(env: Path, fleet: Fleet) -> None:
    first = fleet.hosts[0]
    hook = "CERTBOT_TOKEN=tok_en-1 CERTBOT_VALIDATION=proof.1 /etc/letsencrypt/renewal/manual-{}-hook.sh"
    first.run(hook.format("auth"))
    for host in fleet.hosts:
        for name in (fleet.router, host.name):
            url = f"http://{host.address}/.well-known/acme-challenge/tok_en-1"
            assert first.run(f"curl -sf -H 'Host: {name}' {url}").stdout == "proof.1"
        moved = first.run(
            f"curl -s -o /dev/null -w '%{{http_code}} %{{redirect_url}}' http://{host.address}/cn/v2/x"
        )
        assert moved.stdout == f"301 https://{fleet.router}/cn/v2/x"
    first.run(hook.format("cleanup"))
    for host in fleet.hosts:
        assert host.run(f"ls {CHALLENGE}").stdout == ""

    ssh = f"runuser -u rsync_user -- ssh -o BatchMode=yes -i /home/rsync_user/.ssh/id_ed25519 rsync_user@{HOSTS[1]}"
    assert first.run(f"{ssh} ping").stdout == "pong\n"
    for wish in (
        "id",
        "sudo -n id",
        "challenge put ../x",
        "challenge put",
        "rsync --server . /",
        "",
        "'ping; id'",
    ):
        refused = first.run(f"{ssh} {wish} </dev/null", check=False)
        assert refused.returncode == 64, wish
        assert "refused: " in refused.stderr
    assert "refused: " in fleet.hosts[1].run("cat /home/rsync_user/actions.log").stdout
    fleet.hosts[1].run(
        "echo 'rsync_user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rsync; chmod 440 /etc/sudoers.d/rsync"
    )
    assert fleet.hosts[1].run("runuser -u rsync_user -- sudo -n id", check=False).returncode != 0
    fleet.hosts[1].run("rm /etc/sudoers.d/rsync")

    fleet.hosts[2].partition()
    try:
        failed = first.run(hook.format("auth"), check=False)
    finally:
        fleet.hosts[2].heal()
    assert failed.returncode == 1
    assert f"failed for: {HOSTS[2]}" in failed.stderr
    first.run(hook.format("cleanup"))

    first.run("RENEWED_DOMAINS='a b' /etc/letsencrypt/renewal-hooks/deploy/notify-administrators")
    assert "reconcile plan lab" in first.run("sleep 1; cat /var/mail/sink").stdout
    assert (
        "notify-administrators" in first.run("run-parts --test /etc/letsencrypt/renewal-hooks/deploy").stdout
    )


def test_a_reload_is_owed_until_apache_has_loaded_what_is_on_disk(env: Path, fleet: Fleet) -> None:
    host = fleet.hosts[1]
    host.run("echo 'NoSuchDirective on' >/etc/apache2/conf-enabled/broken.conf")
    failed = reconcile("apply", env, "--yes")
    assert failed.returncode == 4
    assert "NoSuchDirective" in failed.stdout
    assert host.run("systemctl is-active apache2").stdout == "active\n"
    host.run("echo '# mended' >/etc/apache2/conf-enabled/broken.conf")
    assert actions(env) == ["cn-lab-2 service apache2"]
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    host.run("rm /etc/apache2/conf-enabled/broken.conf")
    assert [line for line in ok("plan", env).splitlines() if line.startswith("!")] != []
    ok("apply", env, "--yes")


def test_only_what_was_asked_for_is_touched(env: Path, fleet: Fleet) -> None:
    host = fleet.hosts[2]
    strange = {
        "/home/rsync_user/.ssh/authorized_keys": "ssh-ed25519 AAAAtheirs me@home",
        "/home/rsync_user/.ssh/known_hosts": "other.example.org ssh-ed25519 AAAAtheirs",
        "/etc/dataone/node.properties": "their.key = their value",
    }
    for path, line in strange.items():
        host.run(f"echo '{line}' >>{path}")
    host.run(f"setfacl -m u:daemon:r-x {CHALLENGE}")
    assert ok("plan", env) == SETTLED
    fewer = declare(env.with_name("fewer.yaml"), fleet, fleet.hosts[:1] + fleet.hosts[2:])
    ok("apply", fewer, "--yes")
    for path, line in strange.items():
        assert line in host.run(f"cat {path}").stdout
    assert "user:daemon:r-x" in host.run(f"getfacl -cp {CHALLENGE}").stdout
    assert (
        HOSTS[1]
        not in host.run("cat /home/rsync_user/.ssh/authorized_keys /etc/dataone/node.properties").stdout
    )


def test_one_run_at_a_time_and_a_killed_one_holds_nobody_up(env: Path, fleet: Fleet, tmp_path: Path) -> None:
    more = "resources:\n  - {file: /root/slow, content: x, check: 'sleep 6; test -e {}', hosts: [primary]}\n"
    slow = declare(tmp_path / "slow.yaml", fleet, more=more)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(slow, elsewhere / "lab.yaml")
    first = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "apply", str(slow), "--yes"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stderr is not None
    assert first.stderr.readline()
    first.stderr.close()
    second = reconcile("apply", "lab.yaml", "--yes", cwd=elsewhere)
    assert second.returncode == 7, second.stderr
    assert f"{HOSTS[0]} is locked: " in second.stderr
    assert f"(process {first.pid}), since 20" in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 30
    while (again := reconcile("apply", slow, "--yes")).returncode == 7 and time.monotonic() < deadline:
        time.sleep(1)
    assert again.returncode == 0, again.stdout + again.stderr
    assert fleet.hosts[0].run("cat /root/slow").stdout == "x"
    assert ok("plan", slow) == SETTLED


def test_two_people_plan_and_the_second_is_told(env: Path, fleet: Fleet, tmp_path: Path) -> None:
    fleet.hosts[0].run("chmod 700 /var/www/.well-known/acme-challenge")
    for name in ("mine.json", "theirs.json"):
        ok("plan", env, "-o", tmp_path / name)
    ok("apply", tmp_path / "mine.json")
    second = reconcile("apply", tmp_path / "theirs.json")
    assert second.returncode == 6
    assert "it is settled meanwhile" in second.stderr


def test_the_cost_of_a_look_does_not_grow_with_the_resources(fleet: Fleet, tmp_path: Path) -> None:
    host = fleet.hosts[1]

    def cost(number: int) -> tuple[int, int]:
        items = "".join(f"  - {{file: /etc/many/{n}, content: x}}\n" for n in range(number))
        text = declare(
            tmp_path / "many.yaml", fleet, [host], more=f"blueprint: false\nresources:\n{items}"
        ).read_text()
        (tmp_path / "many.yaml").write_text(text)
        before = host.run(
            "journalctl -u ssh | grep -c 'Accepted publickey'; awk '/processes/{print $2}' /proc/stat"
        )
        reconcile("plan", tmp_path / "many.yaml")
        after = host.run(
            "journalctl -u ssh | grep -c 'Accepted publickey'; awk '/processes/{print $2}' /proc/stat"
        )
        (logins, started), (logins2, started2) = before.stdout.split(), after.stdout.split()
        return int(logins2) - int(logins), int(started2) - int(started)

    # Processes are counted for the whole machine; the quietest of three tries
    # counts. One process per resource would be 295 more, and 1180 with the four questions of each.
    few, many = (min(cost(number) for _ in range(3)) for number in (5, 300))
    assert few[0] == many[0] == 1
    assert many[1] < few[1] + 150


def test_a_host_is_added_and_another_retired(env: Path, fleet: Fleet) -> None:
    extra = fleet.add_host()
    try:
        ok("apply", declare(env, fleet), "--yes")
        assert ok("plan", env) == SETTLED
        peers = extra.run("cat /home/rsync_user/.ssh/known_hosts").stdout
        assert all(name in peers for name in HOSTS)
        assert extra.name in fleet.hosts[0].run("cat /etc/dataone/node.properties").stdout

        ok("apply", declare(env, fleet, fleet.hosts[:3], retired=[extra]), "--yes")
        assert ok("plan", env) == SETTLED
        for host in fleet.hosts[:3]:
            trusted = host.run("cat /home/rsync_user/.ssh/* /etc/dataone/node.properties").stdout
            assert extra.name not in trusted
        assert "reconciler lab" not in extra.run("cat /home/rsync_user/.ssh/*").stdout
        assert extra.run("ls /home/rsync_user/.ssh").stdout.split() == ["authorized_keys", "known_hosts"]
    finally:
        fleet.reset()


def test_a_host_rebuilt_under_its_name_is_refused_until_its_key_is_changed(env: Path, fleet: Fleet) -> None:
    fleet.hosts[1].rebuild(new_key=True)
    refused = reconcile("plan", env)
    assert refused.returncode == 3
    assert f"? {HOSTS[1]} could not be looked at: its host key has changed" in refused.stdout
    assert str(fleet.known_hosts) in refused.stdout
    fleet.pin()
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    ping = f"runuser -u rsync_user -- ssh -i /home/rsync_user/.ssh/id_ed25519 rsync_user@{HOSTS[1]} ping"
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


KINDS = """\
blueprint: false
resources:
  - package: tree
  - account: clerk
    groups: [adm]
  - keypair: /home/clerk/.ssh/id
    user: clerk
  - directory: /home/clerk/.ssh
    owner: clerk
    group: clerk
    mode: "0700"
  - authorized_keys: /home/clerk/.ssh/authorized_keys
    user: clerk
    keys: {me: ssh-ed25519 AAAA}
  - known_hosts: /home/clerk/.ssh/known_hosts
    user: clerk
    keys: {x.example.org: ssh-ed25519 AAAA}
  - sudoers: clerk
    content: "clerk ALL=(ALL) NOPASSWD: /bin/true\\n"
  - directory: /srv/it
    mode: "2750"
    group: clerk
  - file: /srv/it/conf
    content: "a\\n"
    mode: "0640"
    check: grep -q a {}
  - symlink: /srv/it/link
    target: /srv/it/conf
  - acl: /srv/it/conf
    entries: ["user:daemon:r--"]
  - property: /srv/it/p.properties
    key: k
    value: v
  - property: /srv/it/p.properties
    key: password
    value: hush-hush
    secret: true
  - apache_module: headers
  - file: /etc/apache2/sites-available/it.conf
    content: "# nothing\\n"
  - apache_site: it
  - service: apache2
    loads: [/etc/apache2]
    check: apache2ctl -t
    ports: [80]
  - service: cron
    enabled: false
    running: false
  - cron: it
    schedule: "5 3 * * *"
    command: "true"
"""


def test_each_kind_is_created_changed_settled_and_removed(
    spare: LabHost, spare_fleet: Fleet, tmp_path: Path
) -> None:
    env = declare(tmp_path / "kinds.yaml", spare_fleet, [spare], more=KINDS)
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    assert spare.run("runuser -u clerk -- sudo -n /bin/true; id -nG clerk").stdout == "clerk adm\n"
    assert spare.run("systemctl is-active cron", check=False).stdout == "inactive\n"
    assert "hush-hush" in spare.run("cat /srv/it/p.properties").stdout

    changed = KINDS
    for old, new in (
        ("groups: [adm]", "shell: /bin/bash"), ("me: ssh-ed25519 AAAA", "me: ssh-ed25519 BBBB"), ("/bin/true", "/bin/false"),
        ('"2750"', '"0755"'), ('conf\n    content: "a', 'conf\n    content: "a b'), ("target: /srv/it/conf", "target: conf"),
        ("daemon:r--", "daemon:---"), ("value: v", "value: w/&x"), ("hush-hush", "hush-more"), ("# nothing", "# changed"),
        ("running: false", "running: true"), ('"5 3', '"6 3'),
    ):  # fmt: skip
        assert old in changed
        changed = changed.replace(old, new)
    env = declare(tmp_path / "kinds.yaml", spare_fleet, [spare], more=changed)
    shown = reconcile("plan", env)
    assert "hush" not in shown.stdout
    assert "Plan: 0 to create, 12 to change, 0 to remove, 1 reload on 1 host." in shown.stdout
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    assert spare.run("cat /srv/it/conf; getfacl -cp /srv/it/conf").stdout.startswith("a b\n")

    wrong = changed.replace("clerk ALL=(ALL) NOPASSWD: /bin/false", "clerk ALL=(ALL NOPASSWD")
    failed = reconcile("apply", declare(tmp_path / "kinds.yaml", spare_fleet, [spare], more=wrong), "--yes")
    assert failed.returncode == 4
    assert "syntax error" in failed.stdout
    assert "NOPASSWD: /bin/false" in spare.run("cat /etc/sudoers.d/clerk").stdout

    lines: list[str] = []
    for line in changed.splitlines():
        lines += (
            [line, "    absent: true"] if line.startswith("  - ") and "service: cron" not in line else [line]
        )
    gone = "\n".join(lines).replace("service: apache2\n    absent: true", "service: apache2") + "\n"
    env = declare(tmp_path / "kinds.yaml", spare_fleet, [spare], more=gone)
    # Files that only some lines were declared of stay, so their folders are not removed.
    kept = reconcile("apply", env, "--yes")
    assert kept.returncode == 4
    assert "failed to remove '/srv/it': Directory not empty" in kept.stdout
    spare.run("rm /srv/it/p.properties /home/clerk/.ssh/*")
    ok("apply", env, "--yes")
    assert ok("plan", env) == SETTLED
    assert (
        spare.run("ls -d /srv/it /etc/sudoers.d/clerk /usr/bin/tree /etc/cron.d/it", check=False).stdout == ""
    )
