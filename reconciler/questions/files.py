"""Questions about paths. Each class is one or two processes on the host for all its paths.

Answers are NUL-ended records, so that any path the schema lets through survives, and end
with an empty record, so that a reply cut short is not taken for "not there".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reconciler.model import CannotSee, quote

SUM_LIMIT = 16 * 1024 * 1024
TEXT_LIMIT = 64 * 1024
NO_ANSWER = CannotSee("the host did not answer this question")
# find(1) ends with 1 also where a path is not there; with more, it has not looked at all.
FOUND = "[ $? -le 1 ] || exit"


IS_ROOT = '[ "${root:=$(id -u)}" = 0 ]'
"""Shell: whether it is root that asks. In a look that is found out once, by `fleet/foreign.sh`."""

_Answer = TypeVar("_Answer")


def each_record(
    output: bytes, questions: Sequence[object], read: Callable[[str], _Answer | CannotSee]
) -> list[_Answer | CannotSee]:
    """What `read` makes of the record of each question. A record ends with a NUL byte; a reply that does
    not have one for each is no answer to any."""
    records = output.decode("utf-8", "backslashreplace").split("\0")
    if len(records) != len(questions) + 1:
        return [NO_ANSWER for _ in questions]
    return [read(record.strip()) for record in records[:-1]]


@dataclass(frozen=True)
class FileEntry:
    """What lies at a path. `type` is find's letter: f, d, l, p, s, b or c. `acts_as` is the account that
    is asked and acts there in root's place, because it can change what the path leads to; "" for root."""

    type: str
    mode: str
    owner: str
    group: str
    size: int
    target: str
    acts_as: str = ""


@dataclass(frozen=True)
class StatQuestion:
    """Type, mode (octal, four digits), owner, group, size in bytes, link target.

    The answer is a `FileEntry`, or None. A path below a folder that the account may not
    search cannot be seen: `find` alone would call it absent.
    """

    path: str

    @property
    def location(self) -> str:
        return self.path

    @classmethod
    def script(cls, questions: list[StatQuestion]) -> str:
        return f"""find "$@" -maxdepth 0 -printf '%p\\0%y\\0%m\\0%u\\0%g\\0%s\\0%l\\0' 2>/dev/null
{FOUND}
printf '\\0'
# What find did not name: hidden if the nearest folder above that exists may not be searched.
n=0; for p do
  if [ -e "$p" ] || [ -L "$p" ]; then n=$((n+1)); continue; fi
  d=$p; while d=${{d%/*}}; [ "$d" ] && [ ! -e "$d" ]; do :; done
  [ -d "${{d:-/}}" ] && [ ! -x "${{d:-/}}" ] && printf '%s\\0' "$p"
done
printf '\\0%d' $n"""

    @classmethod
    def parse(cls, output: bytes, questions: list[StatQuestion]) -> list[FileEntry | None | CannotSee]:
        words = iter(output.decode("utf-8", "surrogateescape").split("\0"))
        found: dict[str, FileEntry] = {}
        hidden: set[str] = set()
        try:
            while path := next(words):
                kind, mode, owner, group, size, target = (next(words) for _ in range(6))
                found[path] = FileEntry(kind, mode.zfill(4), owner, group, int(size), target)
            while path := next(words):
                hidden.add(path)
            there = int(next(words) or 0)
        except (StopIteration, RuntimeError, ValueError):
            return [NO_ANSWER for _ in questions]
        if len(found) < there:
            return [CannotSee("`find` does not name every path that is there") for _ in questions]
        return [
            CannotSee("the account may not look into the folder that holds it")
            if q.path in hidden
            else found.get(q.path)
            for q in questions
        ]


@dataclass(frozen=True)
class SumQuestion:
    """The SHA-256 of a regular file, in hexadecimal; None for all that is not a regular
    file, cannot be read, or is larger than `SUM_LIMIT` bytes."""

    path: str

    @property
    def location(self) -> str:
        return self.path

    @classmethod
    def script(cls, questions: list[SumQuestion]) -> str:
        return f"""find "$@" -maxdepth 0 -type f -size -{SUM_LIMIT + 1}c -exec sha256sum -z {{}} + 2>/dev/null
{FOUND}
printf '\\0'"""

    @classmethod
    def parse(cls, output: bytes, questions: list[SumQuestion]) -> list[str | None | CannotSee]:
        records = output.decode("utf-8", "surrogateescape").split("\0")
        if records[-2:] != ["", ""] and records != ["", ""]:
            return [NO_ANSWER for _ in questions]
        sums = {record[66:]: record[:64] for record in records if record}
        return [sums.get(q.path) for q in questions]


@dataclass(frozen=True)
class TextQuestion:
    """The bytes of a regular file of at most `TEXT_LIMIT` bytes; None for anything else.

    Never asked of a file that may hold a secret.
    """

    path: str

    @property
    def location(self) -> str:
        return self.path

    @classmethod
    def script(cls, questions: list[TextQuestion]) -> str:
        test = f'find "$@" -maxdepth 0 -type f -readable -size -{TEXT_LIMIT + 1}c'
        return f"""{test} -printf '%p\\0%s\\0' 2>/dev/null
{FOUND}
printf '\\0'
{test} -exec head -q -c {TEXT_LIMIT} -- {{}} + 2>/dev/null"""

    @classmethod
    def parse(cls, output: bytes, questions: list[TextQuestion]) -> list[bytes | None | CannotSee]:
        sizes: list[tuple[str, int]] = []
        while True:
            head, ended, output = output.partition(b"\0")
            if not ended:
                return [NO_ANSWER for _ in questions]
            if not head:
                break
            size, ended, output = output.partition(b"\0")
            if not size.isdigit():
                return [NO_ANSWER for _ in questions]
            sizes.append((head.decode("utf-8", "surrogateescape"), int(size)))
        if len(output) != sum(size for _, size in sizes):
            return [CannotSee("a file changed while it was being read") for _ in questions]
        texts: dict[str, bytes] = {}
        start = 0
        for path, length in sizes:
            texts[path] = output[start : start + length]
            start += length
        return [texts.get(q.path) for q in questions]


@dataclass(frozen=True)
class AclQuestion:
    """The access and default ACL of a path: entry (`user:name`, `default:mask:` …) to
    permissions (`rw-`). None where there is nothing. Symbolic links are followed.

    Format: getfacl(1); in its `# file:` line odd characters are octal escapes.
    """

    path: str

    @property
    def location(self) -> str:
        return f"@{self.path}"

    @classmethod
    def script(cls, questions: list[AclQuestion]) -> str:
        return """if command -v getfacl >/dev/null; then getfacl -pE -- "$@" 2>/dev/null
n=0; for p; do [ ! -e "$p" ] || n=$((n+1)); done; echo "done $n"
else echo missing; fi"""

    @classmethod
    def parse(cls, output: bytes, questions: list[AclQuestion]) -> list[dict[str, str] | None | CannotSee]:
        text = output.decode("utf-8", "surrogateescape")
        if text.endswith("missing\n"):
            return [CannotSee("getfacl is missing: install the package acl") for _ in questions]
        *lines, last = text.splitlines() or [""]
        word, _, there = last.partition(" ")
        if word != "done" or not there.isdigit():
            return [NO_ANSWER for _ in questions]
        found: dict[str, dict[str, str]] = {}
        entries: dict[str, str] = {}
        for line in lines:
            if line.startswith("# file: "):
                found[_unescape(line[8:])] = entries = {}
            elif line and not line.startswith("#"):
                entry, _, permissions = line.rpartition(":")
                entries[_unescape(entry)] = permissions
        if len(found) < int(there):
            return [CannotSee("`getfacl` does not tell of every path that is there") for _ in questions]
        return [found.get(q.path) for q in questions]


def _unescape(text: str) -> str:
    escape = re.compile(r"\\(?:([0-7]{3})|\\)")
    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    raw = escape.sub(lambda match: chr(int(match[1], 8)) if match[1] else "\\", raw)
    return raw.encode("latin-1").decode("utf-8", "surrogateescape")


def tree_digest(paths: tuple[str, ...]) -> str:
    """The command that prints one SHA-256 over all files at and below `paths`.

    Links are followed, so a change of what a link leads to is a change of the tree.
    """
    names = " ".join(quote(path) for path in paths)
    return (
        f"find -L {names} -type f -print0 2>/dev/null | LC_ALL=C sort -z"
        " | xargs -0r sha256sum -z | sha256sum | cut -c1-64"
    )


@dataclass(frozen=True)
class TreeQuestion:
    """One SHA-256 over all files at and below some paths (see `tree_digest`).

    Cannot be seen where the account may not read one of the files.
    """

    paths: tuple[str, ...]

    @classmethod
    def script(cls, questions: list[TreeQuestion]) -> str:
        lines = []
        for q in questions:
            names = " ".join(quote(path) for path in q.paths)
            lines.append(
                f"if {IS_ROOT} || [ -z \"$(find -L {names} '(' ! -readable -o -type d ! -executable ')'"
                f' -print 2>/dev/null | head -n 1)" ]; then {tree_digest(q.paths)}; else echo hidden; fi'
            )
        return "\n".join(lines)

    @classmethod
    def parse(cls, output: bytes, questions: list[TreeQuestion]) -> list[str | CannotSee]:
        lines = output.decode("ascii", "replace").split()
        if len(lines) != len(questions):
            return [NO_ANSWER for _ in questions]
        return [
            line if re.fullmatch("[0-9a-f]{64}", line) else CannotSee("the account may not read it")
            for line in lines
        ]
