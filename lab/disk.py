"""A host's disk: the base image below, the host's own changes above.

The changes are in a folder of this machine, which nobody syncs, so a host is quick; or, on demand,
in a file system of their own that can lose what was not synced, as a machine does when its power fails.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.commands import LabError, attempt, command

SIZE: Final = 4 << 30
"""Bytes of a file system of its own; the file is sparse."""

LOSING: Final = "loop,noauto_da_alloc,commit=300"
"""How it is mounted: nothing reaches it by itself for minutes, and a rename over a file does not
write the new content first, which ext4 otherwise does and other file systems do not (ext4(5))."""

SHUTDOWN: Final = 0x8004587D
NO_LOG_FLUSH: Final = 2
"""EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h): from one moment to the next
nothing is written any more, not even what the journal has in memory."""


@dataclass(frozen=True)
class Disk:
    """The overlay of one host, in a folder of its own."""

    folder: Path

    @property
    def root(self) -> Path:
        """Where the disk is mounted: the / of the host."""
        return self.folder / "root"

    @property
    def _file(self) -> Path:
        return self.folder / "disk.img"

    @property
    def _changes(self) -> Path:
        """Where the layers that the host writes are: a folder, or the file system of its own."""
        return self.folder / "disk" if self.is_losing() else self.folder

    def is_losing(self) -> bool:
        """Whether it is a file system of its own, which loses what was not synced."""
        return self._file.exists()

    def mount(self, image: Path) -> None:
        """Mount it over a base image; nothing happens when it is mounted."""
        if mounts_below(self.root):
            return
        losing = self.is_losing()
        if losing and not mounts_below(self._changes):
            self._changes.mkdir(mode=0o700, exist_ok=True)
            command("mount", "-o", LOSING, str(self._file), str(self._changes))
        upper, work = self._changes / "upper", self._changes / "work"
        # A mount without syncing leaves a mark here, and the next one refuses to start.
        _delete(work)
        for part in (upper, work, self.root):
            part.mkdir(mode=0o755, parents=True, exist_ok=True)
        upper.chmod(0o755)  # the / of the host, whatever the umask
        layers = f"lowerdir={image},upperdir={upper},workdir={work}" + ("" if losing else ",volatile")
        command("mount", "-t", "overlay", "reconcile-lab", "-o", layers, str(self.root))

    def unmount(self) -> None:
        """Unmount it, and whatever was mounted into it from outside."""
        for place in reversed(mounts_below(self.root)):
            if attempt("umount", place).returncode != 0:
                command("umount", "--lazy", place)
        for place in mounts_below(self.folder / "disk"):
            command("umount", "--lazy", place)

    def make_losing(self) -> None:
        """Give what is unmounted a file system of its own, with every change in it.

        LabError where this machine has no ext4 or no loop devices.
        """
        if self.is_losing():
            return
        new, upper = self._file.with_suffix(".new"), self.folder / "upper"
        with new.open("wb") as file:
            file.truncate(SIZE)
        command("mkfs.ext4", "-q", "-F", "-m", "0", str(new))
        place = self.folder / "disk"
        place.mkdir(mode=0o700, exist_ok=True)
        command("mount", "-o", "loop", str(new), str(place))
        try:
            command("cp", "-a", str(upper), str(place))
            # A host that starts meanwhile has the mount in its namespace, too: then umount writes nothing.
            command("sync", "-f", str(place))
        finally:
            command("umount", str(place))
        new.rename(self._file)
        _delete(upper)

    def make_keeping(self) -> None:
        """The opposite: what is unmounted is a folder of this machine again."""
        if not self.is_losing():
            return
        place = self._changes
        command("mount", "-o", "loop", str(self._file), str(place))
        try:
            _delete(self.folder / "upper")
            command("cp", "-a", str(place / "upper"), str(self.folder))
        finally:
            command("umount", str(place))
        self._file.unlink()

    def lose(self) -> None:
        """Write nothing any more: what was not synced is gone once `renew` was called."""
        if not self.is_losing():
            raise LabError("this disk keeps everything that was ever written: see LabHost.make_losing")
        folder = os.open(self._changes, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as problem:
            raise LabError(f"this kernel's ext4 cannot lose writes: {problem.strerror}") from None
        finally:
            os.close(folder)

    def renew(self) -> None:
        """Put a copy in the place of a file system that was shut down and unmounted.

        The kernel keeps one that is shut down for as long as any namespace of mounts on this machine has
        it, and would mount it again as it is. It has never seen the copy.
        """
        new = self._file.with_suffix(".new")
        command("cp", "--sparse=always", str(self._file), str(new))
        new.rename(self._file)

    def wipe(self) -> None:
        """Unmount it and forget every change."""
        self.unmount()
        _delete(self.folder / "upper")
        self._file.unlink(missing_ok=True)


def mounts_below(folder: Path) -> list[str]:
    """The mount points at or below a folder, outermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        if place == str(folder) or place.startswith(f"{folder}/"):
            found.append(place)
    return found


def _delete(tree: Path) -> None:
    """Delete a tree, files that were made immutable included."""
    if not tree.exists():
        return
    with suppress(OSError):
        shutil.rmtree(tree)
    if tree.exists():
        attempt("chattr", "-R", "-f", "-i", "-a", str(tree))
        try:
            shutil.rmtree(tree)
        except OSError as problem:
            raise LabError(f"cannot delete {tree}: {problem.strerror}") from None


def delete_folder(folder: Path) -> None:
    """Unmount everything below a folder, then delete it; nothing happens when it is not there."""
    for place in reversed(mounts_below(folder)):
        if attempt("umount", place).returncode != 0:
            command("umount", "--lazy", place)
    if os.path.lexists(folder):
        _delete(folder)
