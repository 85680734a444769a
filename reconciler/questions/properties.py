"""The question about keys in a Java properties file, and the sed that finds a key.

Syntax: the documentation of java.util.Properties.load. A logical line may go on over
several natural lines by a backslash at the end; a key ends at the first unescaped `=`,
`:` or blank. Only the declared keys are ever read: such files hold passwords.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from reconciler.model import CannotSee, quote
from reconciler.printable import SECRET_OTHER, SECRET_SAME
from reconciler.questions.files import NO_ANSWER, SUM_LIMIT

JOIN = r":a;/^[[:space:]]*[#!]/!{/\(^\|[^\]\)\(\\\\\)*\\$/{$!{N;ba}}}"
"""sed: make one pattern space of each logical line; comments never go on."""


def key_pattern(key: str) -> str:
    """A basic regular expression, between slashes, for the logical lines of a key."""
    escaped = "".join(f"\\{c}" if c in r".[]*^$/" + "\\" else c for c in escape_key(key))
    return rf"/^[[:space:]]*{escaped}\([=:[:space:]]\|$\)/"


def escape_key(key: str) -> str:
    """The key as a properties file spells it."""
    return re.sub(r"([\\=: #!])", r"\\\1", key)


def escape_value(value: str) -> str:
    """The value as a properties file spells it: only a backslash and a leading blank need it."""
    escaped = value.replace("\\", "\\\\")
    return f"\\{escaped}" if escaped[:1] in (" ", "\t") else escaped


def parse_line(line: str) -> tuple[str, str]:
    """The key and the value of one logical line (its natural lines still joined by \\n)."""
    text = re.sub(r"\\\r?\n[ \t\f]*", "", line).strip("\r").lstrip(" \t\f")
    match = re.match(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", text, re.DOTALL)
    assert match is not None
    return _unescape(match[1]), _unescape(match[2])


def _unescape(text: str) -> str:
    named = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return named.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", one, text, flags=re.DOTALL)


class PropertyValue(str):
    """The value of a key as Java reads it. `line` is how the file spells it, all of it as it stands
    there; None for a secret."""

    __slots__ = ("line",)
    line: str | None

    def __new__(cls, value: str, line: str | None = None) -> Self:
        self = super().__new__(cls, value)
        self.line = line
        return self


@dataclass(frozen=True)
class PropertyQuestion:
    """The values that a key has in a file, in order; usually one, none where it is absent.

    With `secret_line` (the SHA-256 of the natural line wanted) the value never leaves the
    host: the answer is `SECRET_SAME` or `SECRET_OTHER` in its place.
    """

    path: str
    key: str
    secret_line: str | None = None

    @property
    def location(self) -> str:
        return f"@{self.path}"

    @classmethod
    def script(cls, questions: list[PropertyQuestion]) -> str:
        parts = []
        for path in dict.fromkeys(q.path for q in questions if not q.secret_line):
            keys = [q.key for q in questions if q.path == path and not q.secret_line]
            prints = ";".join(f"{key_pattern(key)}{{s/$/\\x00/p;d}}" for key in keys)
            run = f"sed -n -e {quote(JOIN)} -e {quote(prints)} {quote(path)}"
            parts.append(_guarded(path, f"{run} || echo hidden"))
        for q in questions:
            if q.secret_line:
                found = f"{key_pattern(q.key)}p"
                first = f"sed -n -e {quote(JOIN)} -e {quote(found)} {quote(q.path)}"
                run = f"{first} | sed '$a\\'"
                parts.append(
                    _guarded(
                        q.path,
                        f"if {first} >/dev/null; then o=$({run} | wc -l); [ $o = 0 ] || {{ "
                        f"[ \"$({run} | sha256sum)\" = '{q.secret_line}  -' ] && echo same"
                        " || echo other; }; else echo hidden; fi",
                    )
                )
        return "\n".join(parts)

    @classmethod
    def parse(
        cls, output: bytes, questions: list[PropertyQuestion]
    ) -> list[tuple[PropertyValue, ...] | CannotSee]:
        sections = output.decode("utf-8", "backslashreplace").split("\0\0\n")[:-1]
        paths = list(dict.fromkeys(q.path for q in questions if not q.secret_line))
        secrets = [q for q in questions if q.secret_line]
        if len(sections) != len(paths) + len(secrets):
            return [NO_ANSWER for _ in questions]
        values: dict[str, list[tuple[str, PropertyValue]] | CannotSee] = {}
        for path, section in zip(paths, sections, strict=False):
            # sed ends a last line without newline as it found it: without one.
            lines = [line for line in section.removesuffix("\0").split("\0\n") if line]
            hidden_by = (why for mark, why in _HIDDEN.items() if section.endswith(mark))
            values[path] = next(hidden_by, None) or [_parsed(line) for line in lines]
        hidden = dict(zip(secrets, sections[len(paths) :], strict=True))
        return [_secret(hidden[q]) if q.secret_line else _values(values[q.path], q.key) for q in questions]


_HIDDEN = {
    "hidden\n": CannotSee("the account may not read it"),
    "large\n": CannotSee(f"it is larger than {SUM_LIMIT // 1024 // 1024} MB"),
}


def _guarded(path: str, command: str) -> str:
    name = quote(path)
    # What is longer than memory sed takes for the end of the file.
    fits = f'[ "$(stat -L -c %s -- {name})" -le {SUM_LIMIT} ]'
    return (
        f"if mine {quote(f'@{path}')}; then"
        f" if [ -f {name} ] && [ -r {name} ]; then if {fits}; then {command}; else echo large; fi"
        f"; elif [ -f {name} ]; then echo hidden; fi"
        "; printf '\\0\\0\\n'; fi"
    )


def _parsed(line: str) -> tuple[str, PropertyValue]:
    key, value = parse_line(line)
    return key, PropertyValue(value, line)


def _values(
    found: list[tuple[str, PropertyValue]] | CannotSee, key: str
) -> tuple[PropertyValue, ...] | CannotSee:
    if isinstance(found, CannotSee):
        return found
    return tuple(value for name, value in found if name == key)


def _secret(section: str) -> tuple[PropertyValue, ...] | CannotSee:
    answers = {
        "": (),
        "same\n": (PropertyValue(SECRET_SAME),),
        "other\n": (PropertyValue(SECRET_OTHER),),
    }
    return answers.get(section, _HIDDEN.get(section, _HIDDEN["hidden\n"]))


def line_digest(line: str) -> str:
    """The SHA-256 of a natural line with its newline, as `Property.secret_line` wants it."""
    return hashlib.sha256(f"{line}\n".encode()).hexdigest()
