"""`doctor` from end to end: what is missing is named with what mends it, and nothing is changed or waited for."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.blueprint.tools import EVERYWHERE
from reconciler.diagnosis.machine import (
    AcmeAnswer,
    Addresses,
    Machine,
    NoAcmeAnswer,
    ProgramResult,
    Unresolved,
)
from reconciler.fleet.probe import PROLOGUE
from reconciler.fleet.reply import NoAnswer, Refused, Reply
from reconciler.journal.journal import Journal
from tests.approval.test_signatures import key
from tests.support.schemas import hold
from tests.support.workplace import Scene, StoppedClock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRST, SECOND, ROUTER = "cn-1.example.org", "cn-2.example.org", "cn.example.org"
ADDRESSES = {FIRST: ["192.0.2.1"], SECOND: ["192.0.2.2"], ROUTER: ["192.0.2.1", "192.0.2.2"]}
CA, STAGING = "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"
DIRECTORY = '{"newOrder": "https://ca.example.org/order"}'
USUAL = PROLOGUE.partition(";")[0].removeprefix("PATH=")
"""Where a look finds commands on a host."""
FILE = """environment: here
router: cn.example.org
hosts:
  - name: cn-1.example.org
    primary: true
  - name: cn-2.example.org
ssh:
  user: ops
  port: 2222
  identity: key
  known_hosts: known_hosts
  timeout: 9
"""


@dataclass
class ShellHost:
    """A host that is this machine's shell with commands of its own, which may be missing or say another
    thing. Its clock is right."""

    name: str
    programs: Path
    error: Exception | None = None
    root: bool = True
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.programs.mkdir()
        for program in ("sh", "cat", "tail", "timeout", "touch"):
            (self.programs / program).symlink_to(str(shutil.which(program)))
        for program in (*EVERYWHERE, "certbot", "dig"):
            self.says(program, "")
        self.says("curl", DIRECTORY)
        (self.programs / "certbot").write_text(f"#!/bin/sh\ntouch {self.programs}/called\n")
        self.says("date", str(int(NOW.timestamp())))
        self.installed("4.1.1-1")

    def says(self, program: str, text: str, status: int = 0) -> None:
        path = self.programs / program
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\ncat <<'E'\n{text}\nE\nexit {status}\n")
        path.chmod(0o755)

    def installed(self, certbot: str) -> None:
        """Every package of the blueprint is, and certbot in this version."""
        names = (
            "apache2",
            "certbot",
            "rsync",
            "acl",
            "curl",
            "openssl",
            "bind9-dnsutils",
            "cron",
            *EVERYWHERE.values(),
        )
        lines = [
            f"{name} installed {certbot if name == 'certbot' else '1.0'}" for name in dict.fromkeys(names)
        ]
        self.says("dpkg-query", "\n".join(lines))

    def run(self, script: str, seconds: float) -> Reply:
        if self.error:
            raise self.error
        self.scripts.append(script)
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script.replace(USUAL, str(self.programs)).encode(), capture_output=True, env={"PATH": str(self.programs)}, check=False
        )  # fmt: skip
        return Reply(done.stdout, self.root, "" if self.root else "sudo: a password is required")

    def lock(self, who: str) -> None:
        raise AssertionError("doctor takes no lock")

    def close(self) -> None:
        pass


@dataclass
class Place:
    """Two hosts, an environment file with all that it names, and the machine that looks."""

    folder: Path
    hosts: dict[str, ShellHost]
    addresses: dict[str, Addresses]
    directory: Any = field(default_factory=lambda: AcmeAnswer(is_directory=True, date=NOW))
    programs: dict[str, ProgramResult | None] = field(default_factory=dict)

    def run(self, *words: str) -> int:
        machine = Machine(
            resolve=lambda name: self.addresses[name],
            fetch_directory=lambda url: self.directory,
            output_of=lambda words: self.programs.get(" ".join(words)),
        )
        more = {"machine": lambda: machine, "clock": StoppedClock(NOW)}
        return Scene(self.hosts, more=more).run(["doctor", *words])  # type: ignore[arg-type]

    def declare(self, more: str = "", swap: tuple[str, str] = ("", "")) -> None:
        (self.folder / "here.yaml").write_text(FILE.replace(*swap) + more)

    def checks(
        self, capsys: pytest.CaptureFixture, code: int, *words: str
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """What was checked, by group and subject; the code was this one."""
        capsys.readouterr()
        assert self.run(*(words or ("here.yaml",)), "--json") == code
        document = json.loads(capsys.readouterr().out)
        hold(document, "doctor")
        assert document["exit_code"] == code
        return {(each["group"], each["subject"]): each for each in document["checks"]}


def odd(checks: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Verdict, group and subject of what is not ok."""
    return [(each["verdict"], *name) for name, each in checks.items() if each["verdict"] != "ok"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    key(folder, "key")
    public = (folder / "key.pub").read_text().split()
    (folder / "known_hosts").write_text(
        "".join(f"[{name}]:2222 {public[0]} {public[1]}\n" for name in (FIRST, SECOND))
    )
    hosts = {name: ShellHost(name, tmp_path / name) for name in (FIRST, SECOND)}
    here = Place(folder, hosts, dict(ADDRESSES))
    here.programs = {
        "ssh -V": ProgramResult(0, "OpenSSH_9.2p1"),
        "git --version": ProgramResult(0, "git version 2.39"),
    }
    here.declare()
    return here


def test_all_well_is_0_and_nothing_is_changed(place: Place, capsys: pytest.CaptureFixture) -> None:
    before = [(path, path.stat().st_mtime_ns) for path in sorted(place.folder.rglob("*"))]
    checks = place.checks(capsys, 0)
    assert odd(checks) == []
    assert list(dict.fromkeys(group for group, _ in checks)) == [
        "this machine", "the file", "ssh", "keys", "known hosts", "hosts", "DNS", "CA", "journal",
    ]  # fmt: skip
    assert {("hosts", f"{SECOND} {what}") for what in ("login", "root", "commands", "clock")} <= set(checks)
    assert checks["CA", STAGING]["found"] == f"answers {FIRST} with its directory"
    assert [(path, path.stat().st_mtime_ns) for path in sorted(place.folder.rglob("*"))] == before
    assert not (place.folder.parent / "state").exists()
    for host in place.hosts.values():
        assert len(host.scripts) == 1  # one exchange
        assert "/runs/" not in host.scripts[0], "what nobody keeps is not asked for"
        assert not (host.programs / "called").exists()  # certbot writes a log, whatever it is asked


def test_without_env_it_is_this_machine_and_the_journal(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.programs["git --version"] = None
    for host in place.hosts.values():
        host.error = AssertionError("it asks no host")
    assert place.run() == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line and line[0] != " "] == [
        "this machine", "journal", "Summary: 1 warning, 4 ok.",
    ]  # fmt: skip
    assert "      here: apt-get install git\n" in out


def test_what_is_broken_is_named_with_what_mends_it(place: Place, capsys: pytest.CaptureFixture) -> None:
    """Each thing for itself, and all at once: the worst code counts."""
    (place.folder / "key").chmod(0o640)
    pins = (place.folder / "known_hosts").read_text().splitlines()
    (place.folder / "known_hosts").write_text(f"{pins[0]}\n@revoked {pins[1]}\n")
    (place.hosts[FIRST].programs / "rsync").unlink()
    place.hosts[FIRST].says("curl", "curl: (28) Connection timed out after 8001 ms", 28)
    place.hosts[SECOND].root = False
    place.hosts[SECOND].says("date", str(int(NOW.timestamp()) - 86400))
    place.addresses[ROUTER] = Unresolved("Name or service not known", certain=True)
    checks = place.checks(capsys, 2)
    expected = {
        ("keys", "ssh.identity"): ("chmod 0600 key", None),
        ("known hosts", SECOND): (
            "rm /etc/ssh/ssh_host_*key*; ssh-keygen -A; systemctl restart ssh", SECOND,
        ),
        ("hosts", f"{FIRST} commands"): ("apt-get install --reinstall rsync", FIRST),
        ("hosts", f"{SECOND} root"): (
            "(umask 0337; echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/reconcile)", SECOND,
        ),
        ("hosts", f"{SECOND} clock"): ("timedatectl set-ntp true", SECOND),
        ("DNS", ROUTER): (f"dig +trace {ROUTER}", None),
        ("CA", CA): (f"curl -v -m 8 https://{CA}/directory", FIRST),
        ("CA", STAGING): (f"curl -v -m 8 https://{STAGING}/directory", FIRST),
    }  # fmt: skip
    assert {name: (checks[name]["command"], checks[name]["host"]) for name in expected} == expected
    assert odd(checks) == [("problem", *name) for name in expected]
    assert all(checks[name]["expected"] and checks[name]["owner"] for name in expected)
    assert "Connection timed out" in checks["CA", CA]["found"]
    assert checks["hosts", f"{SECOND} clock"]["found"] == "about 24 hours behind"


def test_a_key_that_is_not_pinned_is_shown_before_it_is_trusted(
    place: Place, capsys: pytest.CaptureFixture
) -> None:
    (place.folder / "known_hosts").unlink()
    checks = place.checks(capsys, 2)
    assert checks["known hosts", FIRST]["command"] == (
        "ssh -o StrictHostKeyChecking=ask -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=known_hosts"
        " -p 2222 -i key ops@cn-1.example.org true"
    )
    # Nobody could log in, so that is not tried, and nothing that hangs on it is called ok.
    assert [each for each in odd(checks) if each[1] == "hosts"] == [
        ("cannot tell", "hosts", f"{name} {what}") for name in (FIRST, SECOND) for what in ("login", "needs")
    ]
    assert checks["hosts", f"{FIRST} login"]["found"] == "known_hosts cannot be read (see known hosts)"
    assert [host.scripts for host in place.hosts.values()] == [[], []]


def test_what_has_said_each_setting_of_ssh_is_told(place: Place, capsys: pytest.CaptureFixture) -> None:
    config = place.folder / "config"
    ran = place.folder / "ran"
    config.write_text(
        f"Host {FIRST}\n HostName 192.0.2.1\n Port 1\nHost {SECOND}\n ProxyCommand touch {ran}\n"
        f"Match exec 'touch {ran}'\n Port 1\n"
    )
    place.declare(swap=("  user: ops\n", "  user: ops\n  config: config\n"))
    place.addresses["192.0.2.1"] = ["192.0.2.1"]
    checks = place.checks(capsys, 2)
    found = checks["ssh", FIRST]["found"]
    assert found == (
        "user ops (ssh.user); address 192.0.2.1 (config:2); port 2222 (ssh.port); identity key (ssh.identity);"
        " jump none (default)"
    )
    refused = checks["ssh", SECOND]
    assert (refused["verdict"], refused["found"].partition(" ")[0]) == ("problem", "config:5:")
    assert checks["ssh", "config:6"]["verdict"] == "warning"
    assert checks["hosts", f"{SECOND} login"]["found"] == "how it is reached cannot be told (see ssh)"
    assert checks["hosts", f"{FIRST} commands"]["verdict"] == "ok"
    assert not ran.exists()


def test_a_dead_host_hides_nothing_of_the_other(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.hosts[FIRST].error = NoAnswer(FIRST, "no answer from 192.0.2.1:2222; is it up? [no-answer]")
    checks = place.checks(capsys, 2)
    assert odd(checks) == [
        ("problem", "hosts", f"{FIRST} login"),
        ("cannot tell", "hosts", f"{FIRST} needs"),
        ("cannot tell", "CA", CA),
        ("cannot tell", "CA", STAGING),
    ]
    assert checks["hosts", f"{FIRST} login"]["command"].startswith(
        "ssh -v -o UserKnownHostsFile=known_hosts -p 2222"
    )
    assert checks["CA", f"{CA} from here"]["verdict"] == "ok"
    place.directory = NoAcmeAnswer("certificate verify failed", untrusted=True)
    assert place.checks(capsys, 2)["CA", f"{CA} from here"]["verdict"] == "problem"
    place.declare("certificate:\n  ca_bundle: /etc/ca.pem\n")
    checks = place.checks(capsys, 2)
    assert checks["CA", f"{CA} from here"]["verdict"] == "cannot tell"
    # The other host's clock stands in for the CA's.
    assert checks["this machine", "clock"]["found"] == f"agrees with that of {SECOND}"


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        (
            "its host key has changed [host-key-changed]",
            f"ssh-keygen -f known_hosts -R '[{FIRST}]:2222' && ssh ",
        ),
        ("it lacks the command find [command-missing]", "apt-get install coreutils findutils sed libc-bin"),
        (
            "authentication refused [login-refused]",
            "ssh-copy-id -i key.pub -o UserKnownHostsFile=known_hosts -p 2222",
        ),
        ("something nobody has thought of", "ssh -v -o "),
    ],
)
def test_why_a_login_fails_says_what_mends_it(
    place: Place, capsys: pytest.CaptureFixture, reason: str, command: str
) -> None:
    place.hosts[FIRST].error = Refused(FIRST, reason)
    login = place.checks(capsys, 2)["hosts", f"{FIRST} login"]
    assert (login["verdict"], login["found"]) == ("problem", reason)
    assert login["command"].startswith(command)


def test_what_hangs_is_not_waited_for_and_not_ok(place: Place, capsys: pytest.CaptureFixture) -> None:
    never = threading.Event()

    class Hanging(dict[str, Addresses]):
        def __getitem__(self, name: str) -> Addresses:
            if name in (SECOND, ROUTER):
                never.wait()
            return ADDRESSES[name]

    place.addresses = Hanging()
    began = time.monotonic()
    checks = place.checks(capsys, 2, "here.yaml", "--timeout", "1")
    assert time.monotonic() - began < 8
    assert checks["DNS", ROUTER]["verdict"] == "cannot tell"
    assert "no answer within 1 s" in checks["hosts", f"{SECOND} login"]["found"]
    assert checks["hosts", f"{SECOND} needs"]["verdict"] == "cannot tell"
    assert checks["hosts", f"{FIRST} commands"]["verdict"] == "ok"
    assert (len(place.hosts[FIRST].scripts), place.hosts[SECOND].scripts) == (1, [])


def test_what_cannot_be_told_is_3_and_a_warning_alone_is_0(
    place: Place, capsys: pytest.CaptureFixture
) -> None:
    place.addresses[ROUTER] = ["203.0.113.1", "192.0.2.1"]
    checks = place.checks(capsys, 0)
    assert odd(checks) == [("warning", "DNS", ROUTER)]
    assert checks["DNS", ROUTER]["found"].startswith("203.0.113.1: of no declared host")
    place.addresses[ROUTER] = Unresolved("Temporary failure in name resolution", certain=False)
    assert odd(place.checks(capsys, 3)) == [("cannot tell", "DNS", ROUTER)]
    place.addresses[ROUTER] = Unresolved("Name or service not known", certain=True)
    place.declare("certificate:\n  resolver: 192.0.2.53\n")
    assert place.checks(capsys, 3)["DNS", ROUTER]["command"] == f"dig @192.0.2.53 {ROUTER}"


def test_what_is_no_directory_is_no_ca(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.hosts[FIRST].says("curl", "<html>Log in to this network")
    found = place.checks(capsys, 2)["CA", CA]
    assert found["found"] == f"from {FIRST}: no directory, but <html>Log in to this network"
    place.hosts[FIRST].says("curl", DIRECTORY + " " * 4000)
    assert place.checks(capsys, 0)["CA", CA]["verdict"] == "ok"
    (place.hosts[FIRST].programs / "curl").unlink()
    checks = place.checks(capsys, 2)
    assert (checks["CA", CA]["verdict"], checks["CA", f"{CA} from here"]["verdict"]) == ("cannot tell", "ok")


def test_what_apply_installs_is_no_fault_of_the_host(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.hosts[FIRST].says(
        "dpkg-query", "apache2 installed 2.4\ndpkg-query: no packages found matching rsync"
    )
    for program in ("rsync", "awk"):
        (place.hosts[FIRST].programs / program).unlink()
    capsys.readouterr()
    assert place.run("here.yaml") == 2
    out = capsys.readouterr().out
    assert "rsync: missing, and the next apply installs them\n" in out
    assert "      here: reconcile apply here.yaml\n" in out
    assert "awk: missing\n" in out
    assert f"      on {FIRST}, as root: apt-get install --reinstall mawk\n" in out


def test_a_clock_that_differs_from_the_ca_is_this_machines(
    place: Place, capsys: pytest.CaptureFixture
) -> None:
    place.directory = AcmeAnswer(is_directory=True, date=NOW + timedelta(minutes=10))
    checks = place.checks(capsys, 2)
    assert odd(checks) == [("problem", "this machine", "clock")]
    assert checks["this machine", "clock"]["found"] == "600 s behind the CA's"


def test_an_invalid_file_is_64_and_what_hangs_on_it_cannot_be_told(
    place: Place, capsys: pytest.CaptureFixture
) -> None:
    place.declare("rooter: x\n")
    checks = place.checks(capsys, 64)
    assert odd(checks) == [
        ("problem", "the file", "here.yaml:13"),
        *(
            ("cannot tell", group, "all of it")
            for group in ("ssh", "keys", "known hosts", "hosts", "DNS", "CA")
        ),
    ]
    assert checks["the file", "here.yaml:13"]["command"] == "${EDITOR:-vi} +13 here.yaml"
    assert checks["journal", "can be written"]["verdict"] == "ok"
    assert place.checks(capsys, 64, "nowhere")["the file", "nowhere:1"]["command"] == "ls environments"
    assert [host.scripts for host in place.hosts.values()] == [[], []]


def test_an_agent_without_a_key_and_too_few_who_may_approve(
    place: Place, capsys: pytest.CaptureFixture
) -> None:
    place.declare("policy:\n  approvers: 2\n  allowed_signers: signers\n", swap=("  identity: key\n", ""))
    place.programs["ssh-add -l"] = ProgramResult(1, "The agent has no identities.")
    place.programs["ssh -V"] = ProgramResult(0, "OpenSSH_7.9p1")
    public = (place.folder / "key.pub").read_text()
    (place.folder / "signers").write_text(f"# who\nada@example.org {public}bob@example.org {public}")
    (place.folder / "signers").chmod(0o666)
    checks = place.checks(capsys, 2)
    assert checks["keys", "ssh agent"]["command"] == "ssh-add"
    assert checks["keys", "allowed_signers"]["found"] == "1 with a key that counts now, in signers"
    assert checks["keys", "its permissions"]["command"] == "chmod o-w signers"
    assert checks["this machine", "ssh-keygen"]["verdict"] == "problem"
    assert checks["hosts", f"{FIRST} login"]["found"] == "there is no key to log in with (see keys)"
    authors = checks["the file", "its authors"]
    assert (authors["verdict"], authors["found"]) == ("problem", "here.yaml is under no version control")
    assert authors["command"].startswith("git -C . init && git -C . add here.yaml && git -C . commit ")


def test_the_journal_tells_of_runs_that_have_not_ended(place: Place, capsys: pytest.CaptureFixture) -> None:
    state = place.folder.parent / "state"
    body = {"who": "ada on laptop", "command": "apply", "file": "here.yaml"}
    with Journal(state, clock=StoppedClock(NOW)) as journal:
        journal.begin("here", body, b"")
        checks = place.checks(capsys, 0)
        assert odd(checks) == [("warning", "journal", "run 1")]
        assert checks["journal", "run 1"]["owner"] == "ada on laptop"
        assert checks["journal", "run 1"]["command"] == "reconcile unlock here.yaml"
    run = place.checks(capsys, 0)["journal", "run 1"]
    assert "was interrupted" in run["found"]
    assert run["command"] == "reconcile drift here.yaml"
    capsys.readouterr()
    assert place.run() == 0
    assert "      here: reconcile drift here.yaml\n" in capsys.readouterr().out


def test_a_notice_that_was_not_sent_or_cannot_be(
    place: Place, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    place.declare("notices:\n  heartbeat: env:NOWHERE\n")
    with Journal(place.folder.parent / "state", clock=StoppedClock(NOW)) as journal:
        journal.post("here", "webhook https://example.org/secret", "{}")
        journal.tried(1, sent=False)
    checks = place.checks(capsys, 0)
    assert odd(checks) == [("warning", "this machine", "NOWHERE"), ("warning", "journal", "outbox")]
    assert "secret" not in str(checks)


def test_a_journal_that_was_changed_or_cannot_be_used(
    place: Place, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = place.folder.parent / "state"
    with Journal(state, clock=StoppedClock(NOW)) as journal:
        journal.append(0, "here", "refused", {"reasons": ["x"]})
        journal.append(0, "here", "refused", {"reasons": ["y"]})
    file = state / "journal.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"x"', b'"z"'))
    checks = place.checks(capsys, 2)
    assert odd(checks) == [("problem", "journal", "chain"), ("cannot tell", "journal", "runs")]
    assert checks["journal", "chain"]["command"] == "reconcile history --verify"
    file.write_bytes(b"nonsense" * 1000)
    assert odd(place.checks(capsys, 2))[0] == ("problem", "journal", "chain")
    file.write_bytes(whole)
    assert odd(place.checks(capsys, 0)) == []
    (place.folder / "taken").write_text("")
    monkeypatch.setenv("RECONCILE_STATE", str(place.folder / "taken"))
    assert ("problem", "journal", "can be written") in odd(place.checks(capsys, 2))


def test_lines_are_aligned_and_the_worst_comes_first(place: Place, capsys: pytest.CaptureFixture) -> None:
    place.hosts[SECOND].error = NoAnswer(SECOND, "its login said \x1b[2Jhello")
    place.addresses[ROUTER] = ["203.0.113.1"]
    assert place.run("here.yaml") == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Summary: 1 problem, 1 cannot tell, 1 warning, 21 ok. First: hosts: {SECOND} login."
    (failed,) = (line for line in lines if "hello" in line)
    assert failed.startswith(f"  problem      {SECOND} login ")
    assert "\\x1b[2Jhello" in failed
    column = failed.index("its login")
    found = [
        line for line in lines if line.startswith(("  ok ", "  problem ", "  warning ", "  cannot tell "))
    ]
    assert all(line[column] != " " and line[column - 2 : column] == "  " for line in found)
    at = lines.index(failed)
    assert [line.strip().partition(":")[0] for line in lines[at + 1 : at + 4]] == [
        "expected",
        "whose",
        "here",
    ]


def test_quiet_is_what_is_wrong_alone(place: Place, capsys: pytest.CaptureFixture) -> None:
    assert place.run("here.yaml", "-q") == 0
    assert capsys.readouterr().out == ""
    place.hosts[SECOND].error = NoAnswer(SECOND, "its login said hello")
    assert place.run("here.yaml", "-q") == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "hosts"
    assert lines[-1].startswith("Summary: 1 problem")
    assert not any(line.startswith("  ok ") for line in lines)
