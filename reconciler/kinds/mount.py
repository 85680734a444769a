"""The kind `mount`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import NEW, into_place, parents, type_of, unseen
from reconciler.model import (
    CannotSee,
    Change,
    Question,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    option,
    quote,
)
from reconciler.questions.files import StatQuestion
from reconciler.questions.fstab import FSTAB, entries, entries_question, entry_pattern, escape
from reconciler.questions.system import CommandQuestion
from reconciler.subjects import Subject

TABLE = FSTAB + NEW
FLAGS = ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime")
"""Options of every type of filesystem, which are shown live by the same name (mount(8))."""
ENTRY = ("source", "type", "options")


@dataclass(frozen=True, kw_only=True)
class Mount(Resource):
    """A filesystem: its entry in /etc/fstab, and that it is mounted. Every other entry stays as it
    is. Declared absent, the entry goes and it is unmounted, both only where it is of this source.

    It is mounted with the new table before that takes the old one's place, so an entry that cannot
    be mounted never waits for the next boot. Nothing is mounted over a folder that holds something,
    and what is in use is not unmounted. Live are compared the source and the options that all
    filesystems share (ro, nosuid, nodev, noexec, noatime, nodiratime). It is not for automounts.
    """

    kind: ClassVar[str] = "mount"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.SYSTEM

    path: str = option(
        "Where it is mounted; the folder is made where it is missing.",
        schema={
            "pattern": r"^(/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f]+)+$",
            "x-want": "an absolute path below /, without `.`, `..` and a slash at its end",
        },
    )
    source: str = option(
        "What is mounted: a device, `UUID=…`, `HOST:PATH`, a folder to bind, or a word such as `tmpfs`.",
        schema={
            "pattern": r"^[^\x00-\x20\x7f#-][^\x00-\x1f\x7f]*$",
            "x-want": "text on one line that begins with neither a blank, `#` nor `-`",
        },
    )
    type: str = option(
        "The type of the filesystem.",
        default="auto",
        needed=True,
        schema={"pattern": r"^[a-z0-9][A-Za-z0-9._-]*$", "x-want": "a type such as `ext4`"},
    )
    options: str = option(
        "Its options, with commas between.",
        default="defaults",
        schema={
            "pattern": r"^(?!(.*,)?pass(word|wd)?=)[^\s\x00-\x1f\x7f#-][^\s\x00-\x1f\x7f]*$",
            "x-want": "options without blanks, and without a password: `credentials=FILE` names a file",
        },
    )

    def ask(self) -> Mapping[str, Question]:
        return {
            "folder": StatQuestion(self.path),
            "entries": entries_question(self.path),
            "live": CommandQuestion(self._live()),
        }

    def _live(self) -> str:
        """Prints whether it is ours, and what findmnt shows; or what holds the folder back."""
        path, source = quote(self.path), quote(self.source)
        ours = f"findmnt -nf --mountpoint {path} --source={source} >/dev/null"
        if self.source.startswith("/"):  # of a folder that is bound, findmnt shows the device
            ours = f"{{ {ours} || [ {source} -ef {path} ]; }}"
        return (
            "command -v findmnt >/dev/null || { echo findmnt is not there: install the package util-linux;"
            " exit 1; }; [ -r /proc/self/mountinfo ] || { echo /proc is not there; exit 1; };"
            f" if shown=$(findmnt -nrf --direction backward -o VFS-OPTIONS,SOURCE --mountpoint {path});"
            f' then {ours} && echo ours "$shown" || echo other "$shown"; elif [ -d {path} ];'
            f' then held=$(ls -A {path}) && if [ "$held" ]; then echo holds; fi; fi'
        )

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        folder, table, live = answers["folder"], answers["entries"], answers["live"]
        if hidden := unseen(folder, table, live):
            return hidden
        if table.status:
            return CannotSee(f"{FSTAB} cannot be read: {table.output}")
        if live.status:
            return CannotSee(f"what is mounted at {self.path} cannot be seen: {live.output}")
        whose, shown, source = (live.output.split(" ", 2) + ["", ""])[:3]
        mounted = {"ours": self.source, "other": source.replace("\\x20", " ")}.get(whose)
        flags = self._flags(shown) if mounted else ""
        state = self._entry(table.output) | {"mounted": mounted, "in force": flags}
        at = "nothing" if folder is None else type_of(folder)
        return state | {"at the path": "directory that holds something" if whose == "holds" else at}

    def _entry(self, text: str) -> dict[str, Value]:
        """The fields of the entry: that of this source where there are several, or else the last."""
        rows = sorted(entries(text), key=lambda row: row[0] == self.source)
        if not rows:
            return {"entries": 0, **dict.fromkeys(ENTRY)}
        source, _, kind, options, dump, order = rows[-1]
        state: dict[str, Value] = {"entries": len(rows), "source": source, "type": kind, "options": options}
        return state | {"dump and pass": f"{dump or 0} {order or 0}"}

    def _flags(self, options: str) -> str:
        declared = self.options.split(",")
        return ",".join(flag for flag in FLAGS if flag in options.split(",") and flag in declared)

    def want(self, look: View) -> State | None:
        if self.absent:
            seen = look.own()
            own = seen if isinstance(seen, Mapping) else {}
            want: dict[str, Value] = {"mounted": None} if own.get("mounted") == self.source else {}
            return want | (dict.fromkeys(ENTRY) if own.get("source") == self.source else {})
        entry: dict[str, Value] = {
            "source": self.source,
            "type": self.type,
            "options": self.options,
            "entries": 1,
        }
        return entry | {"mounted": self.source, "in force": self._flags(self.options)}

    def verb(self, change: Change) -> str:
        there = change.seen is not None and (change.seen["entries"] or change.seen["mounted"])
        return "remove" if self.absent else "change" if there else "create"

    def refuses(self, change: Change) -> str | None:
        seen = change.seen or {}
        if self.absent:
            return None
        mounted, at = seen.get("mounted"), seen.get("at the path")
        if mounted is None and at not in ("nothing", "directory"):
            return f"{self.path} is a {at}; nothing is mounted over it: move that away by hand"
        if mounted not in (None, self.source, seen.get("source")):
            return f"{mounted} is mounted at {self.path}, not by its entry in {FSTAB}; unmount it by hand"
        return None

    def steps(self, change: Change) -> Iterable[Step]:
        path, edits, where = quote(self.path), self._edits(change), (f"@{self.path}",)
        if self.absent:
            if "mounted" in change.deltas:
                yield Step(f"umount {path}", "declared absent; this fails while it is in use", where=where)
            if edits:
                yield self._write(
                    entry_pattern(self.path, self.source) + "d", "the table without the entry, beside"
                )
                yield from self._place()
            return
        seen = change.seen or {}
        if edits:
            yield self._edit(seen)
        if self._makes_room(change):
            why = "takes the old one away; this fails while it is in use"
            yield Step(f"umount {path}", why, where=where)
        if seen.get("at the path") == "nothing":
            yield Step(f"mkdir -p -- {path}", "makes the folder", where=where)
        remains = seen.get("mounted") and not self._makes_room(change)
        # Without `bind`, the filesystem that the folder is on would get the options (mount(8)).
        bind = ",bind" if {"bind", "rbind"} & set(self.options.split(",")) else ""
        how, why = ("", "mounts it")
        if remains:
            how, why = f"-o remount{bind} ", "sets the options of what is mounted"
        if edits:
            why += ", before the new table counts"
            yield Step(f"mount -T {TABLE} {how}{path}", why, where=where)
            yield from self._place()
        else:
            yield Step(f"mount {how}{path}", why, where=where)

    def _edits(self, change: Change) -> bool:
        return bool(change.deltas.keys() & {*ENTRY, "entries"})

    def _makes_room(self, change: Change) -> bool:
        """Whether what is mounted has to go first: another source, or another type."""
        seen = change.seen or {}
        retyped = "type" in change.deltas and seen.get("type") is not None
        return bool(seen.get("mounted")) and ("mounted" in change.deltas or retyped)

    def _edit(self, seen: State) -> Step:
        fields = (escape(self.source), escape(self.path), self.type, escape(self.options))
        line = " ".join([*fields, str(seen.get("dump and pass", "0 0"))])
        if not seen.get("entries"):
            add = f"printf '%s\\n' {quote(line)}"
            return self._write("$a\\", "the table with the new entry, beside the old", f" && {add} >>{TABLE}")
        text = line.replace("\\", r"\\").replace("&", r"\&").replace("/", r"\/")
        # The hold space counts: the first line of the path is replaced, further ones go.
        script = f"{entry_pattern(self.path)}{{x;s/$/k/;/kk/{{x;d}};x;s/.*/{text}/}}"
        return self._write(script, "the table with its entry replaced, beside the old")

    @staticmethod
    def _write(script: str, why: str, then: str = "") -> Step:
        return Step(f"cp -p {FSTAB} {TABLE} && LC_ALL=C sed -i -e {quote(script)} {TABLE}{then}", why)

    @staticmethod
    def _place() -> Iterable[Step]:
        yield Step(into_place(TABLE, FSTAB), "puts it in place in one step")
        yield Step("systemctl daemon-reload", "lets systemd read it")

    def rescue(self, change: Change) -> Iterable[Step]:
        path = quote(self.path)
        if self._edits(change):
            yield Step(f"rm -f {TABLE}", "the new table does not count")
        if not self.absent and self._makes_room(change):
            again = f"mountpoint -q {path} || mount {path}"
            yield Step(again, "mounts what was mounted before", where=(f"@{self.path}",))

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        yield from parents(self.path)
        if self.source.startswith("/"):
            yield f"path:{self.source}"
            yield from parents(self.source)
