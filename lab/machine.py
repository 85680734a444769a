"""What this machine must be and have before a fleet can start."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

from lab.commands import LabError, attempt, last_line, say

# program -> the Debian package that brings it
NEEDED: Final = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "curl": "curl",
    "setsid": "util-linux",
    "ps": "procps",
    "mkfs.ext4": "e2fsprogs",
    "pebble": "pebble",
}


def require_root() -> None:
    """LabError, in one line, where this is not Linux or not root."""
    if not sys.platform.startswith("linux"):
        raise LabError("the lab starts real Linux hosts and needs a Linux machine")
    if os.geteuid() != 0:
        raise LabError("the lab mounts disks and makes networks: run it as root")


def require() -> None:
    """Make this machine ready: LabError where it cannot be, apt-get for packages it lacks."""
    require_root()
    missing = sorted({package for program, package in NEEDED.items() if not _there(program)})
    if missing:
        install(missing)


def _there(program: str) -> bool:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def install(packages: list[str]) -> None:
    """Install Debian packages, one announced line each: LabError where that fails."""
    if shutil.which("apt-get") is None:
        raise LabError(f"this machine lacks {', '.join(packages)} and has no apt-get")
    # Two of us, or the machine's own updates, may be at it at the same time.
    wait = ("-o", "DPkg::Lock::Timeout=300")
    arguments = ("apt-get", "install", "-y", "-qq", *wait, "--no-install-recommends", *packages)
    environment = ("env", "DEBIAN_FRONTEND=noninteractive")
    for package in packages:
        say(f"installing the Debian package {package}")
    done = attempt(*environment, *arguments, seconds=600)
    if done.returncode != 0:
        # Fresh machines often come without package lists; one update is worth a try.
        say("updating the package lists (apt-get update)")
        attempt("apt-get", "update", "-qq", seconds=300)
        done = attempt(*environment, *arguments, seconds=600)
    if done.returncode != 0:
        raise LabError(f"apt-get install {' '.join(packages)}: {last_line(done.stderr)}")
