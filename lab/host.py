"""One host of a fleet, and what may happen to it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lab.ca import Authority
from lab.commands import LabError, attempt, last_line
from lab.container import Container
from lab.disk import Disk
from lab.identity import Member, known_hosts_line, make_key, put, write_identity
from lab.network import Network
from lab.readiness import await_up

SYNCING: Final = """\
sed -i '/^fsync/d' /etc/postgresql/*/main/conf.d/lab.conf
grep -rl unsafe-io /etc/dpkg | xargs -r sed -i /unsafe-io/d
"""
"""Undoes what the image leaves unsynced to be quick: PostgreSQL's tables, dpkg's files."""


class LabHost:
    """A host: a name, an address, a disk, a process.

    Nothing about its state is kept in here, so two processes may hold the same host.
    """

    def __init__(
        self,
        fleet: Path,
        image: Path,
        network: Network,
        ca: Authority,
        me: Member,
        crew: Callable[[], Sequence[Member]],
    ) -> None:
        self.name = me.name
        self.address = me.address
        self.index = me.index
        self._me = me
        self._ca = ca
        self._crew = crew
        self._fleet = fleet
        self._image = image
        self._network = network
        folder = fleet / "hosts" / str(me.index)
        self._folder = folder
        self._disk = Disk(folder)
        self._container = Container(folder, fleet.name, me.index)
        self._key = folder / "host_key"

    def __repr__(self) -> str:
        return f"LabHost({self.name}, {self.address})"

    # -- inside --------------------------------------------------------------

    def run(
        self, text: str, check: bool = True, stdin: str | None = None, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell text as root inside, without ssh.

        Raises LabError when the host is off, when it takes longer than `seconds`, and,
        with `check`, when it exits other than 0.
        """
        # The limit holds inside too: what nsenter started would outlive nsenter.
        inside = ["timeout", "--kill-after=2", f"{seconds:g}", "sh", "-c", text]
        done = attempt(*self.enter(inside), stdin=stdin, seconds=seconds + 5)
        if check and done.returncode != 0:
            reason = last_line(done.stderr) or f"exit {done.returncode}"
            raise LabError(f"{self.name}: {text.strip()[:80]}: {reason}")
        return done

    def enter(self, arguments: Sequence[str]) -> list[str]:
        """The command line, for this machine, that runs `arguments` as root inside."""
        return self._container.enter(arguments)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside as root, and the folders above it when they are missing."""
        where = shlex.quote(path)
        self.run(
            f'mkdir -p "$(dirname -- {where})" && cat >{where} && chmod {mode:o} {where}',
            stdin=text,
        )

    def host_key_line(self) -> str:
        """The line of a known_hosts file that pins the ssh host key it has now."""
        return known_hosts_line(self._me, self._key)

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._container.outer() is not None

    def last_words(self) -> str:
        """The last line on its console, for error messages."""
        return self._container.last_words()

    def state(self) -> str:
        """What systemd inside says of itself (running, degraded, starting …), or off."""
        if self._container.init() is None:
            return "off"
        return self.run("systemctl is-system-running", check=False).stdout.strip() or "starting"

    # -- life ----------------------------------------------------------------

    def create(self) -> None:
        """Give a host that is new to its fleet a key and a cable, and switch it on."""
        make_key(self._key, self.name)
        self._network.join(self.index)
        self._boot_bare()

    def kill(self) -> None:
        """Cut the power, as far as processes notice. All that was ever written stays on the disk."""
        self._container.kill()

    def cut(self) -> None:
        """Cut the power: what nobody had synced is lost. `boot` switches it on again.

        LabError unless its disk is one that loses (`make_losing`).
        """
        self._disk.lose()
        self._container.kill()
        self._disk.unmount()
        self._disk.renew()

    def make_losing(self) -> None:
        """Restart it with a disk that loses, in a `cut`, what was not synced.

        Syncing costs time there, so it is not what a host usually has.
        """
        if self._disk.is_losing():
            return
        if self.alive():
            self.run(SYNCING, check=False)
        self._container.stop(8)
        self._disk.unmount()
        self._disk.make_losing()
        self.boot()

    def make_keeping(self) -> None:
        """Restart it with the usual disk again, as a `reset` does, with all that is on it."""
        self._container.stop(8)
        self._disk.unmount()
        self._disk.make_keeping()
        self.boot()

    def boot(self) -> None:
        """Switch it on again with the disk it has, and wait until it is up."""
        if self.alive():
            raise LabError(f"{self.name} is on already")
        self._disk.mount(self._image)
        self._container.start(self._network.namespace(self.index))
        await_up(self)

    def reset(self) -> None:
        """Back to the bare image with the same ssh host key, on, and plugged in."""
        self.kill()
        self._disk.wipe()
        self.heal()
        self._boot_bare()
        await_up(self)

    def rebuild(self, new_key: bool = True) -> None:
        """What an administrator does after a broken disk: a bare host under the same name.

        Its ssh host key is a new one, unless `new_key` is false; the fleet's known_hosts
        file keeps the old one.
        """
        if new_key:
            make_key(self._key, self.name)
        self.reset()

    def _boot_bare(self) -> None:
        authorized = (self._fleet / "id_ed25519.pub").read_text(encoding="ascii")
        self._disk.mount(self._image)
        write_identity(self._disk.root, self._me, self._crew(), self._key, authorized, self._ca)
        self._container.start(self._network.namespace(self.index))

    def learn(self, host_table: str) -> None:
        """Replace its /etc/hosts, whether it is on or off."""
        put(self._disk.root, "etc/hosts", host_table)

    def end(self, seconds: float) -> None:
        """End it for good: shut down for at most `seconds`, then off the network."""
        self._container.stop(seconds)
        self._disk.unmount()
        self._network.leave(self.index)

    # -- accidents -----------------------------------------------------------

    def partition(self) -> None:
        """Pull its network cable: after a few seconds it cannot be reached."""
        self._network.plug(self.index, False)

    def heal(self) -> None:
        """Plug its network cable in again."""
        self._network.plug(self.index, True)

    def freeze_sshd(self) -> None:
        """Stop the listening sshd: connections are accepted by the kernel and never answered."""
        self.run("systemctl kill --kill-who=main --signal=STOP ssh")

    def thaw_sshd(self) -> None:
        """Let the listening sshd go on."""
        self.run("systemctl kill --kill-who=main --signal=CONT ssh")
