"""Where the lab keeps things on this machine, and the locks on them.

STORE/images/DIGEST/          base images, shared by every fleet
STORE/fleets/NAME/            one fleet: fleet.json, keys, known_hosts
STORE/fleets/NAME/hosts/N/    one host: its disk, its ssh host key, the record of its process
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lab.commands import LabError, say

DEFAULT: Final = Path("/var/tmp/reconcile-lab")
FLEET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def store(folder: Path | None = None) -> Path:
    """The store's folder: the one given, else $RECONCILE_LAB, else the default. Made if needed.

    LabError when its path holds a letter that separates the options of a mount.
    """
    chosen = folder or Path(os.environ.get("RECONCILE_LAB") or DEFAULT)
    chosen = chosen.resolve()
    if any(letter in str(chosen) for letter in ",:\\"):
        raise LabError(f"{chosen} cannot hold overlays: no comma, colon or backslash, please")
    # Keys of hosts are in here, and a machine's other users have no business with them.
    chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    return chosen


def fleet_folder(root: Path, name: str) -> Path:
    """The folder of a fleet, which need not exist; LabError when the name is no fleet's name."""
    if not FLEET_NAME.fullmatch(name):
        raise LabError(f"{name!r} is no name for a fleet: lower-case letters, digits and hyphens")
    return root / "fleets" / name


def fleet_names(root: Path) -> list[str]:
    """The names of all fleets of which something is left, sorted."""
    folder = root / "fleets"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold the lock called `name` in a store; the kernel frees it when this process ends."""
    folder = root / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    handle = _locked_file(path)
    try:
        yield
    finally:
        # Removed while it is held, so that fleets of the past leave no files behind.
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked_file(path: Path) -> int:
    """A descriptor of the file at `path`, locked."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab process that holds the lock {path.name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Whoever held it before may have removed it: then this lock excludes nobody.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        os.close(handle)
