"""A host's process: systemd-nspawn around a systemd that takes itself for a machine's first."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import cgroups
from lab.commands import LabError, last_line
from lab.disk import Disk
from lab.processes import Process, recorded

# Written by the process about itself before it becomes systemd-nspawn, not by us afterwards:
# so there is no moment at which it runs and nobody knows. Both survive the exec.
BOOT: Final = """\
record=$1
read -r line </proc/$$/stat || exit 1
shift; while [ "$1" != -- ]; do groups="$groups $1"; shift; done; shift
{ printf '%s ' $$; printf '%s' "${line##*) }" | cut -d ' ' -f 20; } >"$record.new" || exit 1
mv "$record.new" "$record" || exit 1
for group in $groups; do mkdir -p "$group" && echo $$ >"$group/cgroup.procs" || exit 1; done
exec "$@"
"""

CLEAN_ENVIRONMENT: Final = shlex.split(
    "env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)


@dataclass(frozen=True)
class Container:
    """The process of one host, found again from its folder by whoever asks."""

    folder: Path
    fleet: str
    index: int

    @property
    def machine(self) -> str:
        """The name systemd-nspawn gives it."""
        return f"reconcile-lab-{self.fleet}-{self.index}"

    def start(self, namespace: str) -> None:
        """Boot the mounted disk in a network namespace; returns before it is up."""
        record = self.folder / "process"
        record.unlink(missing_ok=True)
        groups = [str(group) for group in cgroups.groups(self.fleet, self.index)]
        shell = ["setsid", "--fork", "sh", "-c", BOOT, "sh", str(record), *groups, "--"]
        with (self.folder / "console.log").open("wb") as console:
            subprocess.run(
                [*shell, *self._nspawn(namespace)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                check=True,
            )
        deadline = time.monotonic() + 10
        while recorded(record) is None:
            if time.monotonic() > deadline:
                raise LabError(f"{self.machine} did not start: {self.last_words()}")
            time.sleep(0.01)

    def _nspawn(self, namespace: str) -> list[str]:
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={Disk(self.folder).root}",
            f"--machine={self.machine}",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
            f"--network-namespace-path=/run/netns/{namespace}",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=passive",
        ]

    def outer(self) -> Process | None:
        """The running systemd-nspawn, or None when the host is off."""
        process = recorded(self.folder / "process")
        return process if process is not None and process.alive() else None

    def init(self) -> Process | None:
        """The host's own process 1, as this machine sees it, or None."""
        outer = self.outer()
        for child in outer.children() if outer is not None else []:
            if _is_first(child.pid):
                return child
        return None

    def kill(self) -> None:
        """Cut the power: returns when no process of the host is left."""
        init, outer = self.init(), self.outer()
        if init is not None:
            init.send(signal.SIGKILL)
        # systemd-nspawn ends by itself once its host is dead; without one it must be told.
        if outer is not None and not outer.wait(5 if init is not None else 0):
            outer.send(signal.SIGKILL)
            outer.wait(5)
        self.sweep()

    def stop(self, seconds: float) -> None:
        """Shut down in good order, and cut the power after `seconds`."""
        outer = self.outer()
        if outer is not None and outer.send(signal.SIGTERM):
            outer.wait(seconds)
        self.kill()

    def sweep(self) -> None:
        """End what is left in the host's control group, then remove the group."""
        for group in cgroups.groups(self.fleet, self.index):
            for process in cgroups.members(group):
                process.send(signal.SIGKILL)
                process.wait(2)
            cgroups.remove(group)
        (self.folder / "process").unlink(missing_ok=True)
        with suppress(OSError):  # systemd-nspawn's, who leaves it behind
            Path("/run/systemd/nspawn/propagate", self.machine).rmdir()

    def enter(self, arguments: Sequence[str]) -> list[str]:
        """The command that runs `arguments` as root inside; LabError when the host is off."""
        init = self.init()
        if init is None:
            raise LabError(f"{self.machine} is off")
        inside = ["nsenter", "-t", str(init.pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--"]
        return [*inside, *CLEAN_ENVIRONMENT, *arguments]

    def last_words(self) -> str:
        """The last line on its console, for error messages."""
        try:
            text = (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "no console"
        return last_line(text) or "nothing on its console"


def _is_first(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for line in text.splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            return len(numbers) > 1 and numbers[-1] == "1"
    return False
