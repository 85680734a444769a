"""`reconcile` as systemd runs it: on a host of its own, as an account without rights, in the unit's sandbox."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from tests import ROOT
from tests.support.running import HERE, AdminMachine, bare_hosts

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

PROGRAM = "/opt/reconcile"
FOLDER = "/etc/reconcile"
RUN = f"env PYTHONPATH={PROGRAM} python3 -m reconciler"
TOLD = "[Service]\nType=oneshot\nExecStart=sh -c 'echo %i >>/run/told'\n"


def installed(host: LabHost, folder: Path) -> None:
    """Brings what users install to a host: the package, and what requirements.lock pins."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    archive = folder / "program.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(ROOT / "reconciler", "reconciler")
        for name in names:
            try:
                found = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                continue  # another Python needs it
            for each in found.files or ():
                if ".." not in each.parts and (path := Path(str(found.locate_file(each)))).is_file():
                    tar.add(path, str(each))
    unpack = host.enter(["sh", "-c", f"mkdir -p {PROGRAM} && tar -xf - -C {PROGRAM}"])
    with archive.open("rb") as stream:
        subprocess.run(unpack, stdin=stream, check=True, timeout=120)


@dataclass
class Desk:
    """The host from which the others are looked at."""

    host: LabHost
    other: LabHost

    def starts(self) -> tuple[str, str]:
        """What the service ended with, and what the unit for failures was called."""
        self.host.run(
            "rm -f /run/told; systemctl reset-failed; systemctl start reconcile-lab.service", check=False
        )
        code = self.host.run("systemctl show -p ExecMainStatus --value reconcile-lab.service").stdout.strip()
        return code, self.host.run("cat /run/told", check=False).stdout


@pytest.fixture
def desk(fleet: Fleet, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Desk]:
    bare_hosts(fleet, pytestconfig)
    host, other, _ = fleet.hosts
    host.run("apt-get -qq -y install python3 >/dev/null 2>&1")
    version = host.run("python3 -c 'import sys; print(*sys.version_info[:2])'").stdout.split()
    if version != [str(each) for each in sys.version_info[:2]]:
        pytest.skip(f"the hosts have Python {'.'.join(version)}, for which nothing is installed here")
    installed(host, tmp_path)
    host.run("useradd -m watch")
    admin = AdminMachine(fleet, tmp_path)
    text = admin.declare(f"{HERE}  - {{file: /srv/note, content: x, hosts: [{other.name}]}}\n").read_text()
    shared = {"id": fleet.identity, "known_hosts": fleet.known_hosts, "roots.pem": fleet.ca.roots}
    for name, path in shared.items():
        text = text.replace(str(path), f"{FOLDER}/{name}")
        host.write(f"{FOLDER}/{name}", path.read_text(), 0o600 if name == "id" else 0o644)
    host.write(f"{FOLDER}/lab.yaml", text)
    host.write(f"{FOLDER}/lab.env", f"PYTHONPATH={PROGRAM}\n")
    host.write("/etc/systemd/system/told@.service", TOLD)
    host.run(f"chown watch {FOLDER}/id")
    yield Desk(host, other)
    host.run("systemctl disable --now reconcile-lab.timer", check=False)
    fleet.reset()


def test_the_installed_unit_looks_from_its_sandbox_and_drift_starts_the_unit_for_failures(desk: Desk) -> None:
    install = f"{RUN} cron {FOLDER}/lab.yaml --systemd --install --yes --user watch"
    desk.host.run(f"{install} --on-failure told@drift.service")
    assert desk.host.run("systemctl is-active reconcile-lab.timer").stdout == "active\n"
    apply = f"{RUN} apply {FOLDER}/lab.yaml --yes"
    desk.host.run(f"runuser -u watch -- {apply}")
    assert desk.starts() == ("0", "")
    desk.other.run("echo y >/srv/note")
    assert desk.starts() == ("2", "drift\n")
    told = desk.host.run("journalctl -o cat -u reconcile-lab.service").stdout
    assert re.search(rf"drifted since .*: {desk.other.name} file /srv/note: content", told), told
    # It keeps what it knows in the account's own folder, and can write nowhere else.
    owner = desk.host.run("stat -c %U /home/watch/.local/state/reconcile/journal.sqlite").stdout
    assert owner == "watch\n"
    desk.host.run(f"runuser -u watch -- {apply}")
    assert desk.starts() == ("0", "")
