"""The kinds `authorized_keys` and `known_hosts`: lines that carry our tag in a file that
may hold others.

A line of ours ends with the comment `reconciler ENVIRONMENT NAME`. Ours that are no longer
declared are removed, so that a retired host's key does not stay; lines without the tag are
not touched, except those that let a declared key in past the options it is declared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from reconciler.kinds.paths import (
    ABSOLUTE,
    LINE,
    NAME,
    NEW,
    chown_steps,
    into_place,
    ownership,
    parents,
    type_of,
    unseen,
)
from reconciler.model import (
    CannotSee,
    Change,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    option,
    quote,
)
from reconciler.questions.files import FileEntry, StatQuestion, TextQuestion
from reconciler.subjects import Subject

KEY = {
    "pattern": r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+$",
    "x-want": "a public key without options and comment, such as `ssh-ed25519 AAAA…`",
}

ENTRY = {"pattern": r"^[A-Za-z0-9\[*?!][^\s#|\x00-\x1f\x7f]*$", "x-want": "a name without blanks and `#`"}
"""What an entry is called: a part of its line."""

OTHER = "other line of "
"""Begins the field with the lines without our tag that have a key; the key, in base64, follows."""

KEPT = 1 << 16
"""How many entries, fields and lines are kept, each as one object for all hosts."""

KEY_IN_LINE = re.compile(r"(?<!\S)(?:ssh|ecdsa|sk)-[a-z0-9@.-]+[ \t]+([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True, kw_only=True)
class TaggedLines(Resource):
    """What the two kinds share. `lines` gives each entry's line without its tag."""

    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.ACCOUNTS
    depends: ClassVar[bool] = True

    path: str = option("The file.", schema=ABSOLUTE)
    user: str = option("Who owns the file.", default="root", schema=NAME)
    mode: str = "0600"
    tag: str = "reconciler"
    keys_of: tuple[tuple[str, Ref], ...] = ()
    """Further entries, whose public key is a field of another resource: (name, its ref)."""

    def __post_init__(self) -> None:
        # Each host names all the others, and with the same words.
        object.__setattr__(self, "keys_of", tuple(map(_one, self.keys_of)))

    def lines(self, look: View) -> Mapping[str, str | CannotSee]:
        """What each entry's line shall be."""
        raise NotImplementedError

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.path), "text": TextQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry: FileEntry | None = answers["stat"]
        if entry is None or (hidden := unseen(entry, answers["text"])):
            return entry if entry is None else hidden
        state: dict[str, Value] = {"type": type_of(entry)}
        if entry.type != "f":
            return state
        if answers["text"] is None:
            return CannotSee("the account may not read it, or it is very large")
        state |= ownership(entry)
        for line in answers["text"].decode("utf-8", "backslashreplace").splitlines():
            body, ours, name = line.rpartition(f" {self.tag} ")
            if line.lstrip().startswith("#"):
                continue
            if ours and name and " " not in name:
                found = {f"line {name}": body}
            else:
                found = {f"{OTHER}{key}": line for key in self.keys_in(line)}
            # One entry may have several lines, of which sshd takes any.
            state |= {
                field: f"{state[field]}\n{text}" if field in state else text for field, text in found.items()
            }
        return state

    def keys_in(self, line: str) -> Iterable[str]:
        """The keys that a line without our tag lets in."""
        return ()

    def want(self, look: View) -> State | None:
        seen = look.own()
        ours = {name: None for name in (seen if isinstance(seen, Mapping) else {}) if name[:5] == "line "}
        if self.absent:
            return ours if seen is not None else None
        other_lines = {}
        if isinstance(seen, Mapping):
            other_lines = {name: str(text or "") for name, text in seen.items() if name.startswith(OTHER)}
        wanted: dict[str, Value] = {}
        for name, line in self.lines(look).items():
            field = _field(name)
            ours.pop(field, None)
            if isinstance(line, CannotSee):
                continue
            wanted[field] = line
            for other in (f"{OTHER}{key}" for key in self.keys_in(line)) if other_lines else ():
                others = other_lines.get(other, "")
                # A key that is declared without options has no line that lets it do more.
                limited = not KEY_IN_LINE.match(line)
                if limited and any(not f"{each} ".startswith(f"{line} ") for each in others.splitlines()):
                    ours[other] = None
        if not wanted and seen is None:
            return None
        return {"type": "file", "mode": self.mode, "owner": self.user} | wanted | ours

    def refuses(self, change: Change) -> str | None:
        if "type" in change.deltas and change.seen is not None:
            return f"{self.path} is a {change.seen['type']}, not a file; move it away by hand"
        return None

    def verb(self, change: Change) -> str:
        return "remove" if self.absent else super().verb(change)

    def steps(self, change: Change) -> Iterable[Step]:
        if change.creates:
            user, path = quote(self.user), quote(self.path)
            make = f'install -m {self.mode} -o {user} -g "$(id -g {user})" /dev/null {path}'
            yield Step(make, "makes the file", where=(self.path,))
        else:
            yield from chown_steps(self.path, change)
        for field, delta in change.deltas.items():
            if field.startswith("line "):
                yield self._settle(field[5:], delta.want, change.creates)
        # Last: until then they may be what lets the key in.
        for field in change.deltas:
            if field.startswith(OTHER):
                yield self._without(field.removeprefix(OTHER))

    def _settle(self, name: str, line: Value, created: bool) -> Step:
        mark = f" {self.tag} {name}"
        remove = [] if created else [f"-e {quote(f'/{literally(mark)}$/d')} -e '$a\\'"]
        if line is None:
            return self._edit("ours, and no longer declared", remove)
        return self._edit(f"the line for {name}", remove, f"{line}{mark}")

    def _without(self, key: str) -> Step:
        kept = f"-e {quote(f'/ {literally(self.tag)} [^ ]*$/b')} -e {quote('/^[[:blank:]]*#/b')}"
        edit = f"{kept} -e {quote(f'/{literally(key)}/d')}"
        return self._edit("let in one of our keys past its options", [edit])

    def _edit(self, why: str, scripts: Iterable[str], line: str | None = None) -> Step:
        """Edits the file by scripts of sed, and adds a line: in a copy, which takes the file's place in
        one rename, so that nobody is shut out by half a file. One that is declared absent goes with the
        last of its lines."""
        path, new = quote(self.path), quote(self.path + NEW)
        commands = [f"cp -p --remove-destination {path} {new}"]
        commands += [f"sed -i {script} {new}" for script in scripts]
        if line is not None:
            commands.append(f"printf '%s\\n' {quote(line)} >>{new}")
        commands.append(into_place(self.path + NEW, self.path))
        if self.absent:
            commands.append(f"find {path} -empty -delete")
        return Step(" && ".join(commands), why, where=(self.path,))

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        return (*parents(self.path), f"account:{self.user}")

    def refers(self) -> Iterable[Ref]:
        return (ref for _, ref in self.keys_of)

    def _public_keys(self, look: View) -> Iterable[tuple[str, str | CannotSee]]:
        for name, ref in self.keys_of:
            value = look.value(ref, "public")
            yield name, value if isinstance(value, CannotSee) else str(value)


@lru_cache(maxsize=KEPT)
def _one(entry: tuple[str, Any]) -> tuple[str, Any]:
    return entry


@lru_cache(maxsize=KEPT)
def _field(name: str) -> str:
    return f"line {name}"


@lru_cache(maxsize=KEPT)
def _line(start: str, key: str) -> str:
    """A line as one object for all hosts that have it: there are as many lines as pairs of hosts."""
    return f"{start} {key}".lstrip()


def literally(text: str) -> str:
    """A text as sed's pattern for just that text."""
    return "".join(f"\\{c}" if c in r".[]*^$/" + "\\" else c for c in text)


@dataclass(frozen=True, kw_only=True)
class AuthorizedKeys(TaggedLines):
    """Public keys that may log in to an account; keys that are not ours stay."""

    kind: ClassVar[str] = "authorized_keys"

    options: str = option(
        'Options for each key, such as `restrict,command="…"` (sshd(8)).', default="", schema=LINE
    )
    keys: Mapping[str, str] = option(
        "Name to public key.",
        default=(),
        schema={"type": "object", "propertyNames": ENTRY, "additionalProperties": {"type": "string", **KEY}},
    )
    options_of: tuple[tuple[str, str], ...] = ()
    """Options of single keys in place of `options`: (name, options)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "options_of", tuple(map(_one, dict(self.options_of).items())))

    def lines(self, look: View) -> Mapping[str, str | CannotSee]:
        keys = {**dict(self.keys), **dict(self._public_keys(look))}
        options = dict.fromkeys(keys, self.options) | dict(self.options_of)
        return {
            name: key if isinstance(key, CannotSee) else _line(options[name], key)
            for name, key in keys.items()
        }

    def keys_in(self, line: str) -> Iterable[str]:
        return KEY_IN_LINE.findall(line)


@dataclass(frozen=True, kw_only=True)
class KnownHosts(TaggedLines):
    """Host keys that are pinned for an account; lines that are not ours stay."""

    kind: ClassVar[str] = "known_hosts"

    keys: Mapping[str, str] = option(
        "Host name to its public host key.",
        default=(),
        schema={"type": "object", "propertyNames": ENTRY, "additionalProperties": {"type": "string", **KEY}},
    )

    def lines(self, look: View) -> Mapping[str, str | CannotSee]:
        keys = {**dict(self.keys), **dict(self._public_keys(look))}
        return {name: key if isinstance(key, CannotSee) else _line(name, key) for name, key in keys.items()}
