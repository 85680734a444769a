"""The files that an environment file names on the machine that reads it: `source:`, `template:` and the like.

Their text goes to hosts, and into plans that others read. Whoever may change the YAML must not be able to
have this machine's own files printed or copied, so they lie below the YAML's folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

SIZE = 4 * 1024 * 1024
"""Bytes an environment file, or a file it names, may have."""

VARIABLE = "RECONCILE_FILES"
"""The variable of the process's environment with further folders, separated by colons."""


class UnusableFile(Exception):
    """Why a file is not read."""


def read(path: Path, folder: Path | None) -> bytes:
    """The bytes of a regular file. Where a `folder` is given, it has to lie below it, or below one of those
    in `RECONCILE_FILES`, once all links are followed, and not in a `.git`, whose files may hold credentials.

    Raises `UnusableFile`.
    """
    try:
        real = path.resolve(strict=True)
        if folder is not None:
            _check_place(real, folder)
        if (raw := _bytes(real)) is None:
            raise UnusableFile(f"{path} is not a regular file")
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise UnusableFile(f"{path} cannot be read: {reason}") from None
    if len(raw) > SIZE:
        raise UnusableFile(f"{path} is larger than {SIZE >> 20} MB")
    return raw


def _bytes(path: Path) -> bytes | None:
    """The first bytes of a regular file, one more than allowed; None of anything else."""
    # Without O_NONBLOCK, to open a pipe waits for whoever writes (fifo(7)).
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(SIZE + 1)
    finally:
        os.close(descriptor)


def _check_place(real: Path, folder: Path) -> None:
    named = [Path(each) for each in os.environ.get(VARIABLE, "").split(":") if each]
    folders = [each.resolve() for each in (folder, *named)]
    below = next((real.relative_to(each) for each in folders if real.is_relative_to(each)), None)
    if below is None:
        known = " or ".join(map(str, folders))
        raise UnusableFile(
            f"{real} is not below {known}: the files that a YAML file names lie beside it; another folder"
            f" can be named in {VARIABLE} by whoever runs this"
        )
    if ".git" in below.parts:
        raise UnusableFile(f"{real} belongs to git, and may hold credentials")
