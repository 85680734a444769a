"""Day two on real hosts: approval, drift from cron, notices, history; and what is refused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.approval import signatures
from reconciler.output.documents.plan import digest_of
from tests.approval.test_signatures import key
from tests.monitor.test_notices import Mailbox, mailbox  # noqa: F401 - a fixture
from tests.support.running import begun_actions
from tests.support.schemas import hold
from tests.support.serving import ROUTER, Node

CAROL = "resources:\n  - account: carol\n    hosts: [primary]\n"
FILE = "resources:\n  - file: /srv/note\n    content: {text}\n    hosts: [primary]\n"


@pytest.fixture(scope="module")
def people(settled: Node) -> Path:
    """Ada and Bob may approve; Eve has a key, too."""
    folder = settled.folder
    names = {name: key(folder, name).with_suffix(".pub").read_text() for name in ("ada", "bob", "eve")}
    lines = [f"{name}@example.org {names[name]}" for name in ("ada", "bob")]
    (folder / "allowed_signers").write_text("".join(lines))
    return folder


def policy(approvers: int = 1, more: str = "") -> str:
    return (
        f"policy:\n  approvers: {approvers}\n  allowed_signers: allowed_signers\n  author_may_approve: true\n"
        f"  without_approval: [renewal, reload]\n{more}"
    )


def notices(smtp: str) -> str:
    return f"notices:\n  mail: [ada@example.org]\n  smtp: {smtp}\n"


@pytest.fixture
def plan(settled: Node, people: Path) -> Iterator[Path]:
    """A plan of an account, which needs an approval, and none yet."""
    settled.declare(policy() + CAROL)
    file = people / "plan.json"
    file.with_name("plan.json.approvals").unlink(missing_ok=True)
    settled.run(0, "plan", "-o", file)
    yield file
    settled.fleet.hosts[0].run("userdel -r carol 2>/dev/null", check=False)


@pytest.mark.gate
def test_from_a_renewal_to_the_history_of_it(
    settled: Node,
    people: Path,
    mailbox: tuple[Mailbox, str],  # noqa: F811
) -> None:
    box, smtp = mailbox
    node, before = settled, settled.one()
    primary = node.fleet.hosts[0]
    # What cron may do by itself is approved once, together with the policy that says so.
    node.declare(policy() + notices(smtp))
    saved = people / "first.json"
    node.run(0, "plan", "-o", saved)
    assert "approval is needed for " in node.run(8, "apply", saved).err
    node.run(0, "approve", saved, "--key", people / "ada")
    node.run(0, "apply", saved)
    del box.mails[:]
    node.declare(policy() + notices(smtp) + CAROL)
    node.renew()
    # Cron's own command, as `reconcile cron` prints it.
    crontab = node.run(0, "cron", "--auto", "--jitter", "0").out.splitlines()[-1]
    command = re.sub(r"^(\S+ ){5}", "", crontab).replace("\\%", "%")
    environ = {**os.environ, "RECONCILE_STATE": str(node.state)}
    run = subprocess.run(
        ["sh", "-c", command], cwd=node.checkout, env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2, run.stderr
    # What policy allows was done, and nothing else.
    assert node.one() != before
    assert primary.run("id carol", check=False).returncode != 0
    assert run.stdout == ""
    carried_out, waits = box.mails
    assert re.fullmatch(r"lab: run \d+ was carried out", carried_out["Subject"])
    assert waits["Subject"] == "lab: 1 changes are waiting for approval"
    (attached,) = waits.iter_attachments()
    changes = json.loads(attached.get_content())["changes"]
    body = waits.get_body()
    assert body is not None
    commands = re.findall(r"^    reconcile (\w+ .*)$", body.get_content(), re.MULTILINE)
    assert [each.split()[0] for each in commands] == ["plan", "show", "approve", "apply"]
    # The commands of the mail, as they stand there.
    saved = people / commands[1].split()[1]
    node.run(0, "plan", "-o", saved)
    assert json.loads(saved.read_text())["changes"] == changes
    assert (
        "approval is needed for 1 of its actions (0 of 1 approvers so far)" in node.run(8, "apply", saved).err
    )
    node.run(0, "approve", saved, "--key", people / "ada")
    # A host that is changed in between makes the approved plan stale.
    primary.run("useradd --shell /bin/false carol")
    assert f"{primary.name} account carol" in node.run(6, "apply", saved).err
    primary.run("userdel carol")
    node.run(0, "plan", "-o", saved)
    assert "is for another plan" in node.run(8, "apply", saved).err
    node.run(0, "approve", saved, "--key", people / "ada")
    node.run(0, "apply", saved)
    assert primary.run("id carol").returncode == 0
    # Something breaks: told once; fixed: told once.
    del box.mails[:]
    primary.run("chmod 0777 /etc/letsencrypt/renewal/certificate.sh")
    for _ in range(3):
        assert "drifted since" in node.run(2, "drift").out
    primary.run("chmod 0755 /etc/letsencrypt/renewal/certificate.sh")
    for _ in range(2):
        node.run(0, "drift")
    assert [each["Subject"] for each in box.mails] == [
        "lab: drifted on cn-lab-1",
        "lab: resolved: drifted on cn-lab-1",
    ]
    # History shows it all, and verifies; a byte that is changed is found.
    lines = node.run_words(0, "history").out
    for said in ("apply --auto", "approved by ada@example.org: done", "refused: ", "resolved, drifted: "):
        assert said in lines, lines
    run_of = re.findall(r"run (\d+)  lab: apply of a saved plan", lines)[-1]
    told = node.run_words(0, "history", run_of).out
    assert f"create {primary.name} account carol" in told
    assert f"plan {json.loads(saved.read_text())['digest']}" in told, "the one that was approved"
    whole_journal = node.run_words(0, "history", "--verify").out
    assert "unchanged" in whole_journal
    assert "went by the rules of a rollout" in whole_journal
    journal = node.state / "journal.sqlite"
    whole = journal.read_bytes()
    at = whole.index(b"useradd") + 3
    journal.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert "was changed after it was written" in node.run_words(2, "history", "--verify").out
    journal.write_bytes(whole)
    primary.run("userdel -r carol 2>/dev/null", check=False)


def sealed(plan: Path, **fields: Any) -> None:
    """Changes fields of a saved plan, and gives it a digest that fits."""
    document = {**json.loads(plan.read_text()), **fields}
    plan.write_text(json.dumps({**document, "digest": digest_of(document)}))


def test_a_plan_that_was_tampered_with_is_refused(settled: Node, plan: Path) -> None:
    settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    text = plan.read_text()
    plan.write_text(text.replace("carol", "mallory"))
    assert "it was changed after it was saved" in settled.run(8, "apply", plan).err
    # With a digest that fits again, those of its parts do not, and the approval neither.
    sealed(plan)
    assert "its parts do not have the digests that it says" in settled.run(8, "apply", plan).err
    plan.write_text(text)
    sealed(plan, commit={"id": "0" * 40, "dirty": False})
    assert "the approval of ada@example.org is for another plan" in settled.run(8, "apply", plan).err


@pytest.mark.gate
def test_what_a_secret_file_holds_is_what_was_approved(settled: Node, people: Path) -> None:
    """What would be written into a secret file is in no plan, and yet it is what was signed."""
    host, source, saved = settled.fleet.hosts[0], people / "secret.cron", people / "secret.json"
    source.write_text("# nothing\n")
    resource = f"resources:\n  - file: /etc/cron.d/secret\n    source: {source}\n    secret: true\n"
    settled.declare(policy() + resource + "    hosts: [primary]\n")
    settled.run(0, "plan", "-o", saved)
    settled.run(0, "approve", saved, "--key", people / "ada")
    source.write_text("* * * * * root id >/root/evil\n")
    said = settled.run(6, "apply", saved).err
    assert "would be fed something else than was planned: install" in said
    assert host.run("test -e /etc/cron.d/secret", check=False).returncode != 0
    source.write_text("# nothing\n")
    settled.run(0, "apply", saved)
    assert host.run("cat /etc/cron.d/secret; rm /etc/cron.d/secret").stdout == "# nothing\n"


def test_a_foreign_signature_counts_for_nothing(settled: Node, plan: Path) -> None:
    settled.run(0, "approve", plan, "--key", plan.with_name("eve"))
    assert "it is signed by an unknown key, none of those in" in settled.run(8, "apply", plan).err


def test_an_expired_approval_counts_for_nothing(settled: Node, plan: Path) -> None:
    document, past = json.loads(plan.read_text()), datetime.now(UTC) - timedelta(minutes=1)
    text = signatures.statement(document, past, past - timedelta(hours=1))
    signatures.add(signatures.beside(plan), signatures.sign(text, plan.with_name("ada")))
    assert "the approval of ada@example.org expired" in settled.run(8, "apply", plan).err


def test_an_expired_plan_is_stale(settled: Node, plan: Path) -> None:
    settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    plan.write_text(plan.read_text().replace('"expires": "2026', '"expires": "2099'))
    assert "it was changed after it was saved" in settled.run(8, "apply", plan).err
    sealed(plan, expires="2026-01-01T00:00:00+00:00")
    assert "the plan expired at 2026-01-01" in settled.run(6, "apply", plan).err
    assert "the plan expired at 2026-01-01" in settled.run(6, "approve", plan).err


@pytest.mark.gate
def test_two_approvers_are_two_people(settled: Node, plan: Path) -> None:
    settled.declare(policy(2) + CAROL)
    assert "policy: approvers was 1, and is 2 here" in settled.run(6, "apply", plan).err
    settled.run(0, "plan", "-o", plan)
    for _ in range(2):
        settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    assert "(1 of 2 approvers so far)" in settled.run(8, "apply", plan).err
    settled.run(0, "approve", plan, "--key", plan.with_name("bob"))
    settled.run(0, "apply", plan)
    # That one is enough from now on is for two to say.
    settled.declare(policy() + CAROL)
    assert "policy: approvers: 2 → 1" in settled.run(0, "plan", "-o", plan).out
    plan.with_name("plan.json.approvals").unlink()
    settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    assert "(1 of 2 approvers so far)" in settled.run(8, "apply", plan).err
    settled.run(0, "approve", plan, "--key", plan.with_name("bob"))
    settled.run(0, "apply", plan)


def test_outside_the_window_and_over_the_limits(settled: Node, plan: Path) -> None:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%a}"
    settled.declare(policy(0, f"  windows: [{tomorrow} 08:00-09:00]\n") + CAROL)
    assert f"changes are allowed {tomorrow} 08:00-09:00 (UTC)" in settled.apply(8).err
    settled.declare(policy(0, "  most_changes: 1\n") + CAROL + "  - account: dave\n    hosts: [primary]\n")
    assert "2 actions, but policy allows 1 in one run" in settled.apply(8).err
    assert settled.fleet.hosts[0].run("id carol dave", check=False).returncode != 0


def test_without_an_approval_yes_is_not_enough(settled: Node, plan: Path) -> None:
    assert "0 of 1 approvers" in settled.apply(8).err
    assert plan.exists()


@pytest.mark.gate
def test_that_nobody_has_to_approve_any_more_is_approved_once_more(settled: Node, plan: Path) -> None:
    settled.declare(policy() + CAROL)
    settled.run(0, "plan", "-o", plan)
    settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    settled.run(0, "apply", plan)
    plan.with_name("plan.json.approvals").unlink()
    settled.declare()
    assert "policy: approvers: 1 → 0" in settled.apply(8).out
    settled.run(0, "plan", "-o", plan)
    settled.run(0, "approve", plan, "--key", plan.with_name("ada"))
    settled.run(0, "apply", plan)
    settled.apply(0)


@pytest.mark.gate
def test_known_drift_is_shown_and_no_reason_for_a_code(settled: Node) -> None:
    script = "/etc/letsencrypt/renewal/certificate.sh"
    settled.fleet.hosts[0].run(f"chmod 0700 {script}")
    known = f"acknowledged:\n  - kind: file\n    name: {script}\n    owner: ada\n    reason: a test\n"
    settled.declare(known + '    until: "2099-12-31"\n')
    assert "acknowledged, drifted" in settled.run(0, "drift").out
    settled.declare(known + '    until: "2026-11-01"\n')
    settled.run(2, "drift")
    settled.declare()
    settled.settle()


def test_drift_with_a_host_away_with_one_drifted_and_with_all_away(settled: Node) -> None:
    settled.declare()
    first, second, third = settled.fleet.hosts
    second.run("chmod 0700 /usr/local/lib/reconciler/rsync-wrapper.sh")
    try:
        assert "drifted since" in settled.run(2, "drift").out
        (known,) = settled.document(2, "status")["environments"]
        assert (known["state"], known["look"]["unseen"]) == ("drifted", 0)
        third.run("systemctl stop ssh")
        said = settled.run(3, "drift").out
        assert re.search(rf"unseen since .*: {third.name}: .*is sshd running", said)
        assert "drifted since" in said
        for host in (first, second):
            host.run("systemctl stop ssh")
        assert settled.run(3, "drift").out.count("is sshd running") >= 3
        (away,) = settled.document(3, "status")["environments"]
        assert (away["state"], away["look"]["unseen"]) == ("unknown", 3)
        times = away["certificate"]  # until when is as true as before
        assert times["valid_until"] == known["certificate"]["valid_until"] > times["renewal"]
    finally:
        for host in settled.fleet.hosts:
            host.run("systemctl start ssh")
    settled.settle()
    settled.run(0, "status")
    settled.run(0, "drift")


def test_drift_leaves_no_trace_on_a_host(settled: Node) -> None:
    """As an account that may do everything, and as one that may only look."""
    settled.declare()
    settled.settle()
    host = settled.fleet.hosts[1]
    watched = "/etc /var/lib/reconciler /home/rsync_user /var/www /usr/local"
    trace = f"find {watched} -newer /root/before -not -type s"
    host.run("touch /root/before; sleep 1.1")
    settled.run(0, "drift")
    assert host.run(trace).stdout == ""
    host.run("mv /etc/sudoers.d/ops /root/ops-sudoers; touch /root/before; sleep 1.1")
    try:
        assert "looked without root" in settled.run(3, "drift", "--host", host.name).err
        assert host.run(trace).stdout == ""
    finally:
        host.run("mv /root/ops-sudoers /etc/sudoers.d/ops")


def test_what_cannot_be_recorded_is_not_done(settled: Node) -> None:
    settled.declare(FILE.format(text="one"))
    host = settled.fleet.hosts[0]
    state = settled.state
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", str(state)], check=True)
    with suppress(OSError):
        (state / "fill").write_bytes(b"x" * 96 * 1024)
    try:
        assert "full" in settled.apply(71).err
        assert host.run("test -e /srv/note", check=False).returncode != 0
        subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)
        assert "RECONCILE_STATE" in settled.apply(71).err
        assert "nobody is notified" in settled.run(2, "drift").err
        assert host.run("test -e /srv/note", check=False).returncode != 0
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_a_run_that_was_killed_is_explained_by_the_next_and_a_lock_is_broken_only_when_told(
    settled: Node,
) -> None:
    host = settled.fleet.hosts[0]
    settled.declare(FILE.format(text="two") + "    check: sleep 30\n")
    running = settled.starts("file /srv/note: create")
    shown = settled.run(7, "unlock")
    locks = settled.document(7, "unlock")
    hold(locks, "locks")
    assert [bool(each["held_by"]) for each in locks["locks"]] == [True, True, True]
    assert re.search(rf"{host.name}: locked by \S+ on .*; processes: \d+", shown.out)
    assert "unlock ENV --break" in shown.err
    settled.declare(FILE.format(text="two"))
    assert "is locked" in settled.apply(7).err
    running.send(signal.SIGKILL)
    # What was begun goes on over there, and holds the lock until it is over.
    settled.run(0, "unlock", "--break")
    ended = settled.apply(0)
    assert f"was interrupted; checking again: {host.name} file /srv/note" in ended.err
    assert "was interrupted" not in settled.run(0, "plan").err
    assert "interrupted" in settled.run_words(0, "history").out


def test_a_run_is_rolled_back_as_far_as_there_is_a_way(settled: Node, people: Path) -> None:
    host, saved = settled.fleet.hosts[0], people / "back.json"
    for text in ("one", "two"):
        settled.declare(FILE.format(text=text) + f"  - account: {text}\n    hosts: [primary]\n")
        settled.settle()
    run = re.findall(r"run (\d+)  lab: apply, ", settled.run_words(0, "history").out)[-1]
    part = people / "part.json"
    told = settled.run_words(0, "rollback", run, "--only", "account", "--host", "primary", "-o", part)
    assert "Only a part of lab was looked at (--host primary --only account)." in told.out
    settled.run(0, "apply", part)
    assert host.run("id two", check=False).returncode != 0
    assert host.run("cat /srv/note").stdout == "two", "what was left out stays"
    assert f"run {run}  lab" in settled.run_words(0, "history", "--host", "primary").out
    told = settled.run_words(0, "rollback", run, "-o", saved)
    assert "still declares what this undoes" in told.err
    settled.run(0, "apply", saved)
    assert host.run("cat /srv/note").stdout == "one"
    assert host.run("id two", check=False).returncode != 0
    assert host.run("id one").returncode == 0
    settled.apply(0)
    assert host.run("cat /srv/note").stdout == "two"
    host.run("chmod 0700 /srv/note")
    settled.apply(0)
    run = re.findall(r"run (\d+)  lab: apply, ", settled.run_words(0, "history").out)[-1]
    none = settled.run_words(0, "rollback", run)
    assert "repaired" in none.err
    assert none.out == f"Nothing to do: nothing of run {run} can be undone.\n"
    assert begun_actions(settled.apply(0)) == []
    host.run("rm /srv/note; userdel -r one 2>/dev/null; userdel -r two 2>/dev/null", check=False)


def test_doctor_names_what_is_broken_and_its_commands_mend_it(settled: Node) -> None:
    """A sudo rule is away, a host's key is not pinned, a command is missing; each on another host."""
    settled.declare()
    first, second, third = settled.fleet.hosts
    pins = settled.fleet.known_hosts
    whole = pins.read_text()
    first.run("mv /usr/bin/dig /root/dig")
    second.run("mv /etc/sudoers.d/ops /root/ops-sudoers")
    pins.write_text("".join(line for line in whole.splitlines(True) if third.name not in line))

    def problems(code: int) -> dict[str, dict[str, Any]]:
        """Of this machine's and the hosts' matters; the names of the lab are in no DNS."""
        document = settled.document(code, "doctor")
        hold(document, "doctor")
        groups = ("keys", "known hosts", "hosts", "CA", "journal")
        found = [each for each in document["checks"] if each["verdict"] != "ok" and each["group"] in groups]
        return {f"{each['group']}: {each['subject']}": each for each in found}

    try:
        broken = problems(2)
        assert {name: each["verdict"] for name, each in broken.items()} == {
            f"hosts: {first.name} commands": "problem",
            f"hosts: {second.name} root": "problem",
            f"known hosts: {third.name}": "problem",
            f"hosts: {third.name} login": "cannot tell",
            f"hosts: {third.name} needs": "cannot tell",
        }
        missing = broken[f"hosts: {first.name} commands"]
        assert missing["command"] == "apt-get install --reinstall bind9-dnsutils"
        assert missing["host"] == first.name
        assert "[host-key-unknown]: ssh-ed25519 SHA256:" in broken[f"hosts: {third.name} login"]["found"]
        first.run("mv /root/dig /usr/bin/dig")
        root = broken[f"hosts: {second.name} root"]
        assert root["host"] == second.name
        second.run(root["command"])
        # It asks on the terminal, where somebody compares.
        pin = broken[f"known hosts: {third.name}"]["command"].replace("=ask ", "=accept-new ")
        subprocess.run(["sh", "-c", pin], check=True, capture_output=True)
        assert problems(3) == {}
    finally:
        first.run("[ ! -e /root/dig ] || mv /root/dig /usr/bin/dig")
        second.run("rm -f /etc/sudoers.d/reconcile; mv /root/ops-sudoers /etc/sudoers.d/ops")
        pins.write_text(whole)


def test_nothing_of_all_that_held_a_private_key(settled: Node) -> None:
    secret = (
        settled.fleet.hosts[0].run(f"cat /etc/letsencrypt/live/{ROUTER}/privkey.pem").stdout.split("-----")[2]
    )
    for file in settled.folder.rglob("*"):
        if file.is_file() and file.name not in ("ada", "bob", "eve"):
            assert secret.split()[3].encode() not in file.read_bytes(), file
    assert secret.split()[3] not in "\n".join(settled.said)
