"""The main job on three real hosts, told from the first plan to the last; each test goes on
where the one before it has ended."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet, LabHost
from tests.support.faults import until
from tests.support.running import (
    AdminMachine,
    action_lines,
    bare_hosts,
    begun_actions,
    changed_since,
    each_host,
    free,
)

pytestmark = pytest.mark.fleet

PROPERTIES = "/etc/dataone/node.properties"
WRITTEN = "/etc /home /srv /usr /var/www /var/lib/reconciler /var/lib/dpkg"
SYNC = "/home/rsync_user"
KEYS = "/etc/ssh/reconciler"
CHALLENGE = "/var/www/.well-known/acme-challenge"
HOOKS = "/etc/letsencrypt/renewal/manual"


@pytest.fixture(scope="module")
def admin(
    fleet: Fleet, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AdminMachine:
    """An administrator's machine and three bare hosts."""
    made = AdminMachine(bare_hosts(fleet, pytestconfig), tmp_path_factory.mktemp("admin"))
    made.anew = True
    made.declare()
    return made


@pytest.fixture(scope="module")
def bare(admin: AdminMachine) -> dict[str, Any]:
    """What the first look at the bare hosts has shown, and what lay on them."""
    plan, observation = admin.folder / "bare.json", admin.folder / "bare-seen.json"
    for host in admin.fleet.hosts:
        host.run("touch /root/mark")
    ended = admin.run(2, "plan", "--detailed-exitcode", "-o", plan)
    admin.run(0, "observe", "-o", observation)
    return {
        "text": ended.out,
        "plan": plan,
        "seen": observation,
        "properties": list(each_host(admin.fleet.hosts, f"cat {PROPERTIES}")),
    }


def test_the_file_is_valid(admin: AdminMachine) -> None:
    ended = admin.run(0, "validate")
    assert re.fullmatch(rf"{admin.file}: valid: 3 hosts, \d+ resources\n", ended.out)


def test_everything_is_to_be_created_on_bare_hosts(admin: AdminMachine, bare: dict[str, Any]) -> None:
    document = json.loads(bare["plan"].read_text(encoding="utf-8"))
    count = dict.fromkeys(("create", "change", "remove", "reload", "restart"), 0)
    for action in document["actions"]:
        count[action["verb"]] += 1
    assert bare["text"].splitlines()[-1] == (
        f"Plan: {count['create']} to create, 0 to change, 3 to remove, 6 reloads on 3 hosts."
    )
    assert count["create"] > 60
    # The keys of the hosts are not made yet: the plan says of what it does not know them.
    assert "(known after apply: public of cn-lab-2.test.dataone.org keypair" in bare["text"]
    assert (document["unreachable"], document["unknown"]) == ([], [])


def test_looking_leaves_nothing_behind(admin: AdminMachine, bare: dict[str, Any]) -> None:
    admin.run(2, "drift")
    admin.run(0, "validate")
    for host in admin.fleet.hosts:
        assert changed_since(host, "/root/mark") == []


def test_without_a_terminal_or_yes_nothing_is_approved(admin: AdminMachine, bare: dict[str, Any]) -> None:
    ended = admin.run(8, "apply")
    assert "not approved: there is no terminal to ask on" in ended.err
    assert "not approved: --json never asks" in admin.run(8, "apply", "--json").err
    for host in admin.fleet.hosts:
        assert changed_since(host, "/root/mark") == []


def test_a_saved_plan_is_shown_and_carried_out(admin: AdminMachine, bare: dict[str, Any]) -> None:
    shown = admin.run(0, "show", bare["plan"]).out.splitlines()
    assert shown[:-1] == bare["text"].splitlines()
    assert re.fullmatch(rf"Made .* from {admin.file}; digest sha256:[0-9a-f]{{64}}\.", shown[-1])
    document = json.loads(bare["plan"].read_text(encoding="utf-8"))
    ended = admin.run(0, "apply", bare["plan"])
    began = begun_actions(ended)
    assert set(began) <= set(action_lines(document))
    assert len(set(began)) == len(began)
    done, alone = map(int, re.findall(r"\d+", ended.out.splitlines()[-1]))
    assert ended.out.splitlines()[-1] == f"Apply: {done} done, {alone} needed no action."
    assert (done, done + alone) == (len(began), len(action_lines(document)))


def test_then_there_is_nothing_to_do_again_and_again(admin: AdminMachine, bare: dict[str, Any]) -> None:
    admin.settled()
    for host in admin.fleet.hosts:
        host.run("touch /root/mark")
    ended = admin.apply(0)
    assert ended.out == "Nothing to do: lab is as declared.\n"
    assert ended.err == ""
    again = admin.run(6, "apply", bare["plan"])
    assert again.err.splitlines()[0] == "the plan is stale [stale]:"
    assert "cn-lab-1.test.dataone.org package certbot: it has been settled since" in again.err
    assert again.err.splitlines()[-1] == "nothing was done; make a new plan"
    assert begun_actions(again) == []
    for host in admin.fleet.hosts:
        assert changed_since(host, "/root/mark") == []


def test_every_other_byte_of_the_properties_is_as_it_was(admin: AdminMachine, bare: dict[str, Any]) -> None:
    hosts = admin.fleet.hosts
    ours = (
        f"cn.router.hostname={admin.fleet.router}\n"
        "cn.rsyncuser=rsync_user\n"
        f"cn.server.publiccert.filename=/etc/letsencrypt/live/{admin.fleet.router}/cert.pem\n"
        f"environment.hosts={' '.join(host.name for host in hosts)}\n"
    )
    assert list(each_host(hosts, f"cat {PROPERTIES}")) == [old + ours for old in bare["properties"]]


def test_a_saved_observation_plans_the_same_with_no_host_at_hand(
    admin: AdminMachine, bare: dict[str, Any]
) -> None:
    nowhere = ("\nssh:\n", "\nssh:\n  jump: ops@192.0.2.1\n")
    seen = admin.folder / "seen.json"
    admin.run(0, "observe", "-o", seen)
    admin.declare(swap=nowhere)
    assert admin.pending(0, "plan", "--seen", seen) == []
    from_file = admin.document(2, "plan", "--seen", bare["seen"], "--detailed-exitcode")
    from_hosts = json.loads(bare["plan"].read_text(encoding="utf-8"))
    assert from_file["actions"] == from_hosts["actions"]
    assert from_file["changes"] == from_hosts["changes"]
    admin.declare()


BROKEN = {
    1: "systemctl stop apache2; echo '# by hand' >>/etc/letsencrypt/renewal/manual-auth-hook.sh",
    2: f"sed -i 's/^environment.hosts=.*/environment.hosts=cn-old/' {PROPERTIES}; chmod 711 {KEYS}",
    3: f"setfacl -k {CHALLENGE}; sed -i /cn-lab-2/d {KEYS}/authorized_keys; a2ensite -q 000-default",
}
DRIFT = [
    f"change cn-lab-1 file {HOOKS}-auth-hook.sh",
    "change cn-lab-1 service apache2",
    f"change cn-lab-2 directory {KEYS}",
    f"change cn-lab-2 property {PROPERTIES} environment.hosts",
    # The proof that host 2 reaches host 3 fails with the key that is gone.
    "create cn-lab-2 ssh_access rsync_user@cn-lab-3.test.dataone.org",
    f"change cn-lab-3 acl {CHALLENGE}",
    f"change cn-lab-3 authorized_keys {KEYS}/authorized_keys",
    "reload cn-lab-3 service apache2",
    "remove cn-lab-3 apache_site 000-default",
]


def by_hand(fleet: Fleet, *numbers: int) -> None:
    for number in numbers:
        fleet.hosts[number - 1].run(BROKEN[number])


def test_what_is_broken_by_hand_is_found_and_nothing_else_is_mended(admin: AdminMachine) -> None:
    by_hand(admin.fleet, 1, 2, 3)
    assert admin.pending(2) == sorted(DRIFT)
    text = admin.run(2, "drift").out
    assert "    environment.hosts: " not in text
    assert f'    value: "cn-old" → "{" ".join(host.name for host in admin.fleet.hosts)}"' in text
    assert "      -# by hand" in text
    assert text.splitlines()[-1] == "Plan: 1 to create, 6 to change, 1 to remove, 1 reload on 3 hosts."
    for host in admin.fleet.hosts:
        host.run("touch /root/mark")
    ended = admin.apply(0)
    assert begun_actions(ended) == sorted(set(DRIFT) - {DRIFT[4]})
    assert ended.out.splitlines()[-1] == "Apply: 8 done, 1 needed no action."
    first, second, third = (changed_since(host, "/root/mark") for host in admin.fleet.hosts)
    apache = ["/var/lib/reconciler/loaded", "/var/lib/reconciler/loaded/apache2"]
    runs = "/var/lib/reconciler/runs/lab"
    assert first == ["/etc/letsencrypt/renewal", f"{HOOKS}-auth-hook.sh", *apache, runs]
    assert second == ["/etc/dataone", PROPERTIES, KEYS, runs]
    state = "/var/lib/apache2/site"
    assert [path for path in third if not path.startswith(state)] == sorted(
        ["/etc/apache2/sites-enabled", KEYS, f"{KEYS}/authorized_keys", *apache, runs, CHALLENGE]
    )
    admin.settled()


def test_only_the_word_yes_on_a_terminal_is_an_answer(admin: AdminMachine) -> None:
    by_hand(admin.fleet, 2)
    for answer in ("no\n", "y\n"):
        code, screen = admin.asked(answer)
        assert code == 8
        assert "Apply these changes? Only 'yes' will be accepted: " in screen
        assert screen.endswith("not approved; nothing was done\n")
        assert "\x1b[33m  ~ directory" in screen
    assert admin.fleet.hosts[1].run(f"stat -c %a {KEYS}").stdout == "711\n"
    code, screen = admin.asked("yes\n", "--no-color")
    assert code == 0
    # Where lines changed in place, the last of them was taken away.
    assert re.search(r"(\n|\x1b\[2K)Apply: 2 done\.\n", screen)
    assert not re.search(r"\x1b\[[\d;]*m", screen), "lines that change in place, and no colours"


@pytest.mark.gate
def test_a_run_may_be_narrowed_to_a_host_or_a_kind(admin: AdminMachine) -> None:
    by_hand(admin.fleet, 1, 2)
    first, second = (host.name for host in admin.fleet.hosts[:2])
    of_first, of_second = DRIFT[:2], DRIFT[2:4]
    seen = admin.folder / "narrow-seen.json"
    admin.run(0, "observe", "-o", seen)

    def narrowed(*flags: str) -> list[str]:
        return admin.pending(0, "plan", "--seen", seen, *flags)

    assert narrowed("--host", first) == sorted(of_first)
    assert narrowed("--host", first, "--host", second) == sorted(of_first + of_second)
    assert narrowed("--only", "property") == DRIFT[3:4]
    assert narrowed("--only", f"property:{PROPERTIES} environment.hosts") == DRIFT[3:4]
    assert narrowed("--only", "acl", "--only", "account") == []
    assert "no such host; known: cn-lab-1" in admin.run(64, "drift", "--host", "cn-lab-9").err
    assert "no resource matches; kinds: account" in admin.run(64, "drift", "--only", "propertie").err
    # A saved plan stays as narrow as it was made.
    plan = admin.folder / "narrow.json"
    admin.run(0, "plan", "--host", second, "--only", "property", "-o", plan)
    assert begun_actions(admin.run(0, "apply", plan)) == DRIFT[3:4]
    # What its peers have was not looked at, so whether their keys are right on it is not known.
    assert begun_actions(admin.apply(3, "--host", first)) == sorted(of_first)
    assert admin.pending(2) == DRIFT[2:3]


def test_a_saved_plan_is_refused_once_the_host_has_changed(admin: AdminMachine) -> None:
    by_hand(admin.fleet, 2)
    plan = admin.folder / "old.json"
    admin.run(0, "plan", "-o", plan)
    host = admin.fleet.hosts[1]
    host.run(f"sed -i 's/^environment.hosts=.*/environment.hosts=cn-older/' {PROPERTIES}; touch /root/mark")
    ended = admin.run(6, "apply", plan)
    assert ended.err.splitlines() == [
        "the plan is stale [stale]:",
        f"  {host.name} property {PROPERTIES} environment.hosts: it has changed on the host since the plan was made",
        "nothing was done; make a new plan",
    ]
    assert changed_since(host, "/root/mark") == []
    assert admin.run(0, "show", plan).out.count("  (cn-lab-2)") == 2, "a stale plan can still be shown"


def test_a_saved_plan_is_refused_once_the_file_has_changed(admin: AdminMachine) -> None:
    plan = admin.folder / "old.json"
    admin.run(0, "plan", "-o", plan)
    changes = {
        "more": "{directory: /srv/meanwhile}",
        "other": f"{{directory: {KEYS}, owner: root, group: root, mode: '0700'}}",
        "less": f"{{directory: {KEYS}}}",
    }
    for resource in changes.values():
        admin.declare(f"resources: [{resource}]\n")
        ended = admin.run(6, "apply", plan)
        assert ended.err.splitlines()[0] == "the plan is stale [stale]:"
        assert begun_actions(ended) == []
    admin.declare()
    assert admin.pending(2) == DRIFT[2:4]


def test_a_saved_plan_that_was_edited_is_none(admin: AdminMachine) -> None:
    plan = admin.folder / "old.json"
    plan.write_text(plan.read_text(encoding="utf-8").replace("chmod 00755", "chmod 00777"), encoding="utf-8")
    for command, code in (("show", 64), ("apply", 8)):
        assert (
            "its digest does not fit: it was changed after it was saved" in admin.run(code, command, plan).err
        )
    assert begun_actions(admin.apply(0)) == DRIFT[2:4]


SLOW = """\
resources:
  - file: /srv/slow
    content: slow
    check: touch /srv/began; sleep 2; touch /srv/ended
    hosts: [cn-lab-2.test.dataone.org]
  - file: /srv/then
    content: then
    needs: [file /srv/slow]
    hosts: [cn-lab-2.test.dataone.org]
"""


@pytest.fixture
def slow(admin: AdminMachine) -> Iterator[LabHost]:
    """The host on which an apply takes two seconds for one file."""
    admin.declare(SLOW)
    yield admin.fleet.hosts[1]
    admin.fleet.hosts[1].run("rm -f /srv/*")
    admin.declare()


def test_control_c_ends_it_at_once_and_the_next_apply_finishes(admin: AdminMachine, slow: LabHost) -> None:
    running = admin.starts("file /srv/slow: create")
    until(lambda: slow.run("test -e /srv/began", check=False).returncode == 0, "the slow step has begun")
    ended = running.send(signal.SIGINT)
    assert ended.code == 130
    assert "interrupted; a host finishes the step it is in, and starts no other" in ended.err.splitlines()
    assert not free(slow), "the step goes on, and with it the lock"
    until(lambda: free(slow), "the step ends")
    assert slow.run("test -e /srv/ended", check=False).returncode == 0
    assert slow.run("test -e /srv/then", check=False).returncode == 1
    assert begun_actions(admin.apply(0)) == [
        "create cn-lab-2 file /srv/slow",
        "create cn-lab-2 file /srv/then",
    ]


# -- the mesh really works ---------------------------------------------------------------------

SSH = f"-o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=5 -o UserKnownHostsFile={KEYS}/known_hosts -i {KEYS}/id_ed25519"
AS_SYNC = "runuser -u rsync_user --"


def over(source: LabHost, target: LabHost, request: str, stdin: str = "x") -> tuple[int, str]:
    """What the sync account's key gets for a request on another host."""
    text = f"{AS_SYNC} ssh -T {SSH} rsync_user@{target.name} {request}"
    done = source.run(text, check=False, stdin=stdin)
    return done.returncode, (done.stdout + done.stderr).strip()


ONLY = "refused: only ping, challenge put, challenge remove, collect and a delivery are allowed"
OPTIONS = "refused: these options of rsync are not allowed"
TOKEN = "refused: a token is letters, digits, - and _"
REFUSED = [
    ("", ONLY),
    ("id", ONLY),
    ("sh", ONLY),
    ("sudo -n id", ONLY),
    ("rsync --server --sender -vlogDtpre.iLsfxC . /etc/shadow", ONLY),
    ("rsync --server -tce.LsfxCIvu --timeout=60 . .ssh/", ONLY),
    ("rsync --server -tce.LsfxCIvu --timeout=60 . incoming/../.ssh/", ONLY),
    ("rsync --server --sender -tce.LsfxCIvu --timeout=60 . incoming/", ONLY),
    ("rsync --server -tce.LsfxCIvu --delete --timeout=60 . incoming/", OPTIONS),
    ("rsync --server -tce.LsfxCIvu;id --timeout=60 . incoming/", OPTIONS),
    ("/usr/lib/openssh/sftp-server", ONLY),
    ("ping; id", ONLY),
    ("ping\nid", ONLY),
    ("PING", ONLY),
    ("challenge", ONLY),
    ("challenge list x", ONLY),
    ("challenge put", ONLY),
    ("challenge put ", TOKEN),
    ("challenge put a b", TOKEN),
    ("challenge put a;id", TOKEN),
    ("challenge put a\nb", TOKEN),
    ("challenge put $(id)", TOKEN),
    ("challenge put ../a", TOKEN),
    ("challenge put a/b", TOKEN),
    ("challenge put a.b", TOKEN),
    ("challenge put .a", TOKEN),
    ("challenge put *", TOKEN),
    ("challenge remove ../index.html", TOKEN),
    ("challenge remove *", TOKEN),
    ("challenge put é", TOKEN),
    (f"challenge put {'a' * 129}", "refused: a token is at most 128 characters"),
]


def test_the_sync_key_does_what_it_is_for_and_nothing_else(admin: AdminMachine) -> None:
    source, target = admin.fleet.hosts[0], admin.fleet.hosts[1]
    log = f"{SYNC}/actions.log"
    target.run(f"rm -f {log}; sleep 0.01; touch /root/mark")
    for request, words in REFUSED:
        assert (64, words) == over(source, target, shlex.quote(request) if request else ""), request
    lines = target.run(f"cat {log}").stdout.splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ " + re.escape(source.address)
    assert [re.sub(rf"^{stamp} ", "", line) for line in lines] == [words for _, words in REFUSED]
    assert changed_since(target, "/root/mark") == [SYNC, log]

    assert over(source, target, "ping") == (0, "pong")
    assert over(source, target, "challenge put a-B_9", "token.thumb") == (0, "")
    assert target.run(f"stat -c '%U %a' {CHALLENGE}/a-B_9; cat {CHALLENGE}/a-B_9").stdout == (
        "rsync_user 664\ntoken.thumb"
    )
    assert over(source, target, "challenge put long", "y" * 5000) == (0, "")
    assert target.run(f"cat {CHALLENGE}/long").stdout == "y" * 1024
    for token in ("a-B_9", "long", "was-never-there"):
        assert over(source, target, f"challenge remove {token}") == (0, "")
    assert target.run(f"ls -A {CHALLENGE}").stdout == ""
    assert target.run(f"tail -n 1 {log}").stdout.endswith("challenge remove was-never-there: status 0\n")


def test_the_sync_key_carries_no_file_no_port_and_no_terminal(admin: AdminMachine) -> None:
    source, target = admin.fleet.hosts[0], admin.fleet.hosts[1]
    target.run("touch /root/mark; apt-get --version >/dev/null")
    peer = f"rsync_user@{target.name}"
    carriers = {
        "sftp": f"sftp -q {SSH} -b /dev/null {peer}",
        "scp": f"scp -q {SSH} {peer}:/etc/hostname /tmp/stolen",
        "old scp": f"scp -O -q {SSH} /etc/hostname {peer}:/tmp/planted",
        "rsync from": f"rsync -q -e 'ssh {SSH}' {peer}:/etc/hostname /tmp/stolen",
        "rsync to": f"rsync -q -e 'ssh {SSH}' /etc/hostname {peer}:/tmp/planted",
        "to a port there": f"ssh {SSH} -W localhost:22 {peer} </dev/null",
        "to a port here": f"ssh {SSH} -o ExitOnForwardFailure=yes -N -R 3333:localhost:22 {peer}",
    }
    for name, command in carriers.items():
        done = source.run(f"{AS_SYNC} timeout 10 {command}", check=False, stdin="")
        assert done.returncode not in (0, 124), f"{name}: {done}"
    assert source.run("ls /tmp/stolen", check=False).returncode == 2
    assert target.run("ls /tmp/planted", check=False).returncode == 2
    _code, said = over(source, target, "-tt ping")
    assert "PTY allocation request failed" in said
    agent = over(source, target, "-A -X ping")
    assert agent[0] == 0


GRANTS = {
    "10-by-hand": "rsync_user ALL=(ALL) NOPASSWD: ALL\n",
    "rsync_user": "rsync_user ALL=(root) NOPASSWD: /usr/bin/rsync, /bin/sh\n",
    "z-group": "%rsync_user ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "zz-all": "ALL ALL=(ALL:ALL) NOPASSWD: ALL\n",
}


def test_the_sync_account_never_becomes_root_whatever_another_drop_in_grants(admin: AdminMachine) -> None:
    tried = ("sudo -n true", "sudo -n -u ops true", "sudo -n /bin/sh -c id", "sudo -n rsync --version")
    for host in admin.fleet.hosts:
        for name, text in GRANTS.items():
            host.write(f"/etc/sudoers.d/{name}", text, 0o440)
        host.run("visudo -c")
        for command in (*tried, "su root -c true"):
            done = host.run(f"{AS_SYNC} {command}", check=False, stdin="")
            assert done.returncode != 0, f"{host.name}: {command}"
    admin.settled()  # nobody has declared those drop-ins: they are not ours to remove
    for host in admin.fleet.hosts:
        kept = host.run(f"cd /etc/sudoers.d && ls {' '.join(GRANTS)}").stdout.split()
        assert kept == sorted(GRANTS)
        host.run(f"cd /etc/sudoers.d && rm {' '.join(GRANTS)}")


def hook(host: LabHost, name: str, token: str = "tok-1_A") -> tuple[int, str]:
    """Certbot's call of a hook."""
    done = host.run(
        f"CERTBOT_TOKEN='{token}' CERTBOT_VALIDATION='{token}.thumb print' CERTBOT_DOMAIN=cn"
        f" {HOOKS}-{name}-hook.sh",
        check=False,
        stdin="",
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def fetched(fleet: Fleet, path: str) -> set[str]:
    """What the CA would get for a path from each host under each name of the certificate."""
    names = (fleet.router, *(host.name for host in fleet.hosts))
    urls = [
        f"curl -sS -w ' %{{http_code}} %{{redirect_url}}\\n' --resolve {name}:80:{host.address} 'http://{name}{path}'"
        for name in names
        for host in fleet.hosts
    ]
    lines = fleet.hosts[2].run("; ".join(urls) + " 2>&1").stdout
    return set(re.sub(r"(?s)<!DOCTYPE.*?</html>\n", "page", lines).splitlines())


def test_a_challenge_is_answered_by_every_host_under_every_name(admin: AdminMachine) -> None:
    fleet, primary = admin.fleet, admin.fleet.hosts[0]
    assert hook(primary, "auth") == (0, "")
    assert fetched(fleet, "/.well-known/acme-challenge/tok-1_A") == {"tok-1_A.thumb print 200 "}
    assert hook(primary, "cleanup") == (0, "")
    assert fetched(fleet, "/.well-known/acme-challenge/tok-1_A") == {"page 404 "}
    assert set(each_host(fleet.hosts, f"ls -A {CHALLENGE}")) == {""}
    assert hook(primary, "cleanup") == (0, "")


def test_everything_else_on_port_80_goes_to_https(admin: AdminMachine) -> None:
    for path in ("/", "/cn/v2/node?a=b%20c", "/.well-knownx/y", "/x/.well-known/acme-challenge/y"):
        assert fetched(admin.fleet, path) == {f"page 301 https://{admin.fleet.router}{path}"}
    assert fetched(admin.fleet, "/.well-known/acme-challenge/") == {"page 403 "}, "the tokens are not listed"


def test_a_hook_with_a_host_down_serves_the_others_and_names_it(admin: AdminMachine) -> None:
    primary, second, third = admin.fleet.hosts
    second.run("systemctl stop ssh")
    try:
        for name, verb in (("auth", "put"), ("cleanup", "remove")):
            code, said = hook(primary, name)
            assert code == 1
            assert said.splitlines()[-1] == f"challenge {verb} failed for: {second.name}"
            there = third.run(f"ls {CHALLENGE}").stdout
            assert there == ("tok-1_A\n" if name == "auth" else "")
    finally:
        second.run("systemctl start ssh")
    code, said = hook(primary, "auth", "../../etc/x")
    assert (code, said) == (64, "the token ../../etc/x has a character that a token cannot have")
    assert primary.run(f"{HOOKS}-auth-hook.sh", check=False).returncode != 0, "not called by certbot"
    assert [host.run(f"ls {HOOKS}*", check=False).stdout for host in (second, third)] == ["", ""]


def test_the_notice_is_a_hook_that_runs_and_sends_mail(admin: AdminMachine) -> None:
    primary, *others = admin.fleet.hosts
    folder = "/etc/letsencrypt/renewal-hooks/deploy"
    assert primary.run(f"run-parts --test {folder}").stdout == f"{folder}/notify-administrators\n"
    primary.run(f": >/var/mail/sink; RENEWED_DOMAINS='one two' run-parts {folder}")
    mail = until(lambda: primary.run("cat /var/mail/sink").stdout, "the mail is there")
    assert "To: root@localhost\n" in mail
    assert f"Subject: lab: the certificate of {admin.fleet.router} was renewed on {primary.name}\n" in mail
    assert f"(names: one two) on {primary.name}.\n" in mail
    for host in others:
        assert host.run(f"ls {folder}", check=False).stdout == ""


def test_no_secret_was_ever_told(admin: AdminMachine) -> None:
    saved = [path.read_text(encoding="utf-8") for path in admin.folder.glob("*.json")]
    assert len(saved) >= 4
    everything = "\n".join([*admin.said, *saved])
    assert "environment.hosts" in everything
    assert "canary" not in everything
    assert "PRIVATE KEY" not in everything
    for host in admin.fleet.hosts:
        key = host.run(f"cat {KEYS}/id_ed25519 /etc/ssh/ssh_host_ed25519_key").stdout
        bodies = [line for line in key.splitlines() if len(line) > 60 and not line.startswith("-")]
        assert len(bodies) >= 8
        # The first lines of a private key hold what its public key holds.
        for line in bodies[2:5] + bodies[7:]:
            assert line not in everything
    arguments = Path("/proc/self/cmdline").read_bytes()
    assert b"canary" not in arguments
