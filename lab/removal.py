"""Removing a fleet from whatever state it is in: up, half started, or half removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import cgroups, network
from lab.ca import Authority
from lab.container import Container
from lab.disk import delete_folder
from lab.network import Network
from lab.record import load
from lab.store import fleet_folder


def remove(root: Path, name: str, seconds: float) -> None:
    """Remove all of a fleet, knowing only what its folder says; hold the fleet's lock.

    Hosts get `seconds` to shut down, with 0 their power is cut. The folder goes last: a
    removal that is killed can be begun again.
    """
    folder = fleet_folder(root, name)
    indexes = [int(entry.name) for entry in (folder / "hosts").glob("[0-9]*")]

    def stop(index: int) -> None:
        Container(folder / "hosts" / str(index), name, index).stop(seconds)

    record = load(folder)
    if record is not None:
        Authority(folder / "ca", Network(record.number)).remove()
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(stop, indexes))
    for group in cgroups.groups(name):
        cgroups.remove(group)
    with network.numbers_locked():
        if record is not None:  # else it was killed before it had a network
            Network(record.number).remove()
        network.tidy()
    delete_folder(folder)
