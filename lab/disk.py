"""A host's disk: the base image below, the host's own changes above."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.commands import LabError, attempt, command


@dataclass(frozen=True)
class Disk:
    """The overlay of one host, in a folder of its own."""

    folder: Path

    @property
    def root(self) -> Path:
        """Where the disk is mounted: the / of the host."""
        return self.folder / "root"

    def mount(self, image: Path) -> None:
        """Mount it over a base image; nothing happens when it is mounted."""
        if mounts_below(self.root):
            return
        upper, work = self.folder / "upper", self.folder / "work"
        # A mount without syncing leaves a mark here, and the next one refuses to start.
        _delete(work)
        for part in (upper, work, self.root):
            part.mkdir(mode=0o755, parents=True, exist_ok=True)
        upper.chmod(0o755)  # the / of the host, whatever the umask
        layers = f"lowerdir={image},upperdir={upper},workdir={work},volatile"
        command("mount", "-t", "overlay", "reconcile-lab", "-o", layers, str(self.root))

    def unmount(self) -> None:
        """Unmount it, and whatever was mounted into it from outside."""
        for place in reversed(mounts_below(self.root)):
            if attempt("umount", place).returncode != 0:
                command("umount", "--lazy", place)

    def wipe(self) -> None:
        """Unmount it and forget every change."""
        self.unmount()
        _delete(self.folder / "upper")


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
