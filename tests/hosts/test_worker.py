"""A site that only dials out: a worker there, a real nats-server, and real hosts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet
from tests.approval.test_signatures import key
from tests.support.faults import until
from tests.support.nats_server import NatsServer, needs_nats
from tests.support.running import HERE, AdminMachine

pytestmark = [pytest.mark.fleet, pytest.mark.gate, needs_nats]

CHECK = "echo {name} >>/srv/worker/began; while [ -e /srv/worker/hold ]; do sleep 0.1; done"


class There(AdminMachine):
    """A machine at the site: it has a copy of the file, and a journal of its own."""

    def __init__(self, elsewhere: AdminMachine) -> None:
        super().__init__(elsewhere.fleet, elsewhere.folder)
        self.state = self.folder / "there"
        self.environ = {"RECONCILE_SITE": "lab"}


@pytest.fixture
def admin(fleet: Fleet, tmp_path: Path, server: NatsServer) -> Iterator[AdminMachine]:
    made = AdminMachine(fleet, tmp_path)
    public = key(tmp_path, "ada").with_suffix(".pub").read_text()
    (tmp_path / "signers").write_text(f"ada@example.org {public}", encoding="utf-8")
    (tmp_path / "plans").mkdir()
    files = "".join(
        f"  - file: /srv/worker/{name}\n    content: {name}\n    hosts: [lab]\n"
        f"    check: {CHECK.format(name=name)}\n{more}"
        for name, more in (("one", ""), ("two", "    needs: [file /srv/worker/one]\n"))
    )
    made.declare(
        f"sites: {{lab: {{plans: plans}}}}\nnats: {{servers: ['{server.url}']}}\n"
        "policy: {approvers: 1, allowed_signers: signers, author_may_approve: true}\n"
        f"{HERE}  - directory: /srv/worker\n    hosts: [lab]\n{files}"
    )
    text = made.file.read_text(encoding="utf-8")
    for host in fleet.hosts[1:]:
        line = f"    address: {host.address}\n"
        assert line in text
        text = text.replace(line, f"{line}    site: lab\n")
        host.run("rm -rf /srv/worker /var/lib/reconciler/tasks; mkdir /srv/worker; touch /srv/worker/hold")
    made.file.write_text(text, encoding="utf-8")
    yield made
    for host in fleet.hosts[1:]:
        host.run("rm -rf /srv/worker /var/lib/reconciler/tasks")


def test_a_worker_that_is_killed_while_it_acts_on_hosts_is_followed_by_one_that_goes_on(
    admin: AdminMachine,
) -> None:
    there, hosts = There(admin), admin.fleet.hosts[1:]
    first = there.start_words("worker", admin.file)
    plan = admin.folder / "plans" / "p.json"
    admin.run(0, "plan", "--host", "lab", "-o", plan)
    admin.run_words(0, "approve", plan, "--key", admin.folder / "ada", "-q")
    applying = admin.start("apply", plan, "--json")
    until(
        lambda: all("one" in host.run("cat /srv/worker/began || :").stdout for host in hosts),
        "all have begun",
        60,
    )
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=20)
    second = there.start_words("worker", admin.file)
    for host in hosts:
        host.run("rm /srv/worker/hold")
    ended = admin.wait(applying)
    assert ended.code == 0, ended.err
    for host in hosts:
        # The step at hand came to its end without its worker; the action, which did not, was begun anew.
        assert host.run("cat /srv/worker/began").stdout == "one\none\ntwo\n"
        assert host.run("cat /srv/worker/one /srv/worker/two").stdout == "one\ntwo\n"
        assert len(host.run("cat /var/lib/reconciler/tasks/lab").stdout.split()) == 3
    assert admin.pending(0, "plan", "--host", "lab") == []
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)
