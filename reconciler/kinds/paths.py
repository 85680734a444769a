"""What the kinds that own a path share: reading it, and getting the way free."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from reconciler.model import CannotSee, Change, Step, quote
from reconciler.questions.files import FileEntry

_NO_DOTS = r"(?!.*/\.{1,2}(/|$))"  # two spellings of one path would be two resources
ABSOLUTE = {
    "pattern": rf"^{_NO_DOTS}/[^\x00-\x1f\x7f]*$",
    "x-want": "an absolute path without `.` or `..`",
}
PLAIN = {
    "pattern": rf"^{_NO_DOTS}(/[A-Za-z0-9._+@-]+)+$",
    "x-want": "an absolute path of letters, digits and `._+@-` only, without `.` or `..`",
}
"""A path that cron, sshd, Apache, PostgreSQL and certbot read, each by rules of quoting of its own."""
MODE = {"pattern": "^[0-7]{4}$", "x-want": 'four octal digits in quotes, such as "0644"'}
NAME = {
    "pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*$",
    "x-want": "a name of letters, digits, `_`, `-` and `.`",
}
LINE = {"pattern": r"^[^\x00-\x08\x0a-\x1f\x7f]*$", "x-want": "text on one line"}

TYPES = {"f": "file", "d": "directory", "l": "link", "p": "pipe", "s": "socket"}
NEW = ".reconcile-new"
"""What a file is called until it has been checked and takes the old one's place."""


@lru_cache(maxsize=4096)
def parents(path: str) -> tuple[str, ...]:
    """Tokens of every folder above a path, nearest first. Kept, because hosts have the same paths."""
    found = []
    while path := path.rsplit("/", 1)[0]:
        found.append(f"path:{path}")
    return tuple(found)


def type_of(entry: FileEntry) -> str:
    """The type of what lies at a path, as a state says it."""
    return TYPES.get(entry.type, "device")


def ownership(entry: FileEntry) -> dict[str, Any]:
    """The fields of a state that every file and directory has."""
    return {"mode": entry.mode, "owner": entry.owner, "group": entry.group}


def into_place(new: str, path: str) -> str:
    """The command that renames `new` to `path`, each before the other as a power cut has to find them:
    the content is on the disk before the name is, and the name when the command ends. Without it, a file
    system may keep the name and lose the content (rename(2) promises neither; fsync(2), "Notes").
    """
    folder = path.rpartition("/")[0] or "/"
    return f"sync {quote(new)} && mv -T {quote(new)} {quote(path)} && sync {quote(folder)}"


def move_aside(path: str, change: Change) -> Iterable[Step]:
    """Frees the way where a file, a pipe or a socket lies at the path; it is kept."""
    if change.seen is not None and "type" in change.deltas:
        yield Step(
            f"mv -T -- {quote(path)} {quote(path)}.$(date +%Y%m%d-%H%M%S)",
            f"a {change.seen['type']} is in the way; it is kept under a dated name",
            where=(path,),
        )


def refuse_displacement(path: str, change: Change) -> str | None:
    """Why nothing is put in the place of a directory or of a link: others may be using what
    is in it, or where it leads."""
    if change.removes or change.seen is None or "type" not in change.deltas:
        return None
    seen = change.seen["type"]
    if seen not in ("directory", "link"):
        return None
    return f"{path} is a {seen}, and others may be using it; move it away by hand if it is not needed"


def refuse_removal(path: str, change: Change, own_type: str) -> str | None:
    """Why a path is not removed: it is not what was declared absent."""
    if change.removes and change.seen is not None and change.seen["type"] != own_type:
        seen = change.seen["type"]
        return f"{path} is a {seen}, not a {own_type}; remove it by hand if it is not needed"
    return None


def unseen(*answers: Any) -> CannotSee | None:
    """The first of the answers that could not be had."""
    return next((answer for answer in answers if isinstance(answer, CannotSee)), None)


def chown_steps(path: str, change: Change) -> Iterable[Step]:
    """Settles owner, group and mode of what exists; the mode last, for chown clears bits."""
    owner, group = (change.deltas.get(name) for name in ("owner", "group"))
    if owner or group:
        who = f"{owner.want if owner else ''}{f':{group.want}' if group else ''}"
        yield Step(f"chown -h {quote(who)} {quote(path)}", "sets owner and group", where=(path,))
    if change.want and (mode := change.want.get("mode")) and ("mode" in change.deltas or owner):
        yield Step(f"chmod 0{mode} {quote(path)}", "sets its mode", where=(path,))
