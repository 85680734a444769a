"""One bridge and one subnet per fleet, one network namespace per host.

Fleet number X (1 to 250) has the bridge rlX with 10.77.X.1, and host N the address
10.77.X.(10+N) on the device host0 of the namespace rlX-N. The numbers are shared by every
store on this machine, so what exists in the kernel decides, not what a file says.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.commands import LabError, attempt, command

# Traffic for a host that is gone must not leave this machine by its default route.
GUARD: Final = ("unreachable", "10.77.0.0/16", "metric", "9000")
NUMBERS: Final = range(1, 251)
MOST_HOSTS: Final = 200
NAMESPACES: Final = Path("/run/netns")
DEVICES: Final = Path("/sys/class/net")
NSPAWN: Final = Path("/run/systemd/nspawn")


@contextmanager
def numbers_locked() -> Iterator[None]:
    """Keep every other lab process of this machine from taking or giving back a number."""
    # Stores do not know of each other, so the lock is on the kernel's own list of devices.
    handle = os.open(DEVICES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def free_number() -> int:
    """A fleet number that nothing on this machine uses; only within `numbers_locked`."""
    for number in NUMBERS:
        if not Network(number).exists():
            return number
    raise LabError("all 250 fleet numbers are in use: end some fleets first")


@dataclass(frozen=True)
class Network:
    """The network of one fleet."""

    number: int

    @property
    def bridge(self) -> str:
        """The bridge's device."""
        return f"rl{self.number}"

    def address(self, index: int) -> str:
        """The IPv4 address of a host."""
        return f"10.77.{self.number}.{10 + index}"

    def namespace(self, index: int) -> str:
        """The name of a host's network namespace."""
        return f"{self.bridge}-{index}"

    def cable(self, index: int) -> str:
        """The outer end of a host's virtual cable, which hangs on the bridge."""
        return f"{self.bridge}v{index}"

    def exists(self) -> bool:
        """Whether the bridge is there."""
        return (DEVICES / self.bridge).exists()

    def create(self) -> None:
        """Make the bridge, and the guard against traffic that leaves the machine."""
        command("ip", "route", "replace", *GUARD)
        command("ip", "link", "add", self.bridge, "type", "bridge")
        command("ip", "address", "add", f"10.77.{self.number}.1/24", "dev", self.bridge)
        command("ip", "link", "set", self.bridge, "up")

    def join(self, index: int) -> None:
        """Make a host's namespace and put it on the bridge."""
        namespace, cable = self.namespace(index), self.cable(index)
        command("ip", "netns", "add", namespace)
        command(
            *("ip", "link", "add", cable, "master", self.bridge, "type", "veth"),
            *("peer", "name", "host0", "netns", namespace),
        )
        inside = f"addr add {self.address(index)}/24 dev host0\nlink set host0 up\nlink set lo up\n"
        command("ip", "-n", namespace, "-batch", "-", stdin=inside)
        self.plug(index, True)

    def plug(self, index: int, connected: bool) -> None:
        """Plug a host's cable in, or pull it."""
        command("ip", "link", "set", self.cable(index), "up" if connected else "down")

    def leave(self, index: int) -> None:
        """Take a host off the network for good; nothing happens when it was not on it."""
        attempt("ip", "link", "delete", self.cable(index))
        attempt("ip", "netns", "delete", self.namespace(index))

    def remove(self) -> None:
        """Remove all of this network, whatever part of it is there."""
        mine = re.compile(rf"{self.bridge}(v[0-9]+)?")
        for device in sorted(os.listdir(DEVICES), reverse=True):
            if mine.fullmatch(device):
                attempt("ip", "link", "delete", device)
        if NAMESPACES.is_dir():
            for entry in os.listdir(NAMESPACES):
                if entry.startswith(f"{self.bridge}-"):
                    command("ip", "netns", "delete", entry)


def tidy() -> None:
    """Remove what the fleets of this machine share, once there is none; in `numbers_locked`."""
    if any(Network(number).exists() for number in NUMBERS):
        return
    attempt("ip", "route", "delete", *GUARD)
    if NAMESPACES.is_dir() and not os.listdir(NAMESPACES):
        # iproute2 mounts this folder on itself with the first namespace, and never undoes it.
        while attempt("umount", str(NAMESPACES)).returncode == 0:
            pass
    # systemd-nspawn makes these; another container's things in them keep them.
    for folder in (NAMESPACES, *(NSPAWN / name for name in ("propagate", "locks", ""))):
        with suppress(OSError):
            folder.rmdir()
