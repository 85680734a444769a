"""What a known_hosts file says of hosts, as ssh reads it: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Pure."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

MARKERS = ("", "@revoked", "@cert-authority")

sha1 = partial(hashlib.sha1, usedforsecurity=False)
_BLOCK = 64
_INNER, _OUTER = (bytes(each ^ mask for each in range(256)) for mask in (0x36, 0x5C))


@dataclass(frozen=True)
class KnownHost:
    """Keys as `TYPE BASE64`: those that are pinned for a host, those that are revoked for it, and those
    of the certificate authorities that may vouch for it."""

    pinned: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()


@dataclass
class _Lines:
    """Keys by what names their hosts."""

    clear: dict[str, list[str]] = field(default_factory=dict)
    patterns: list[tuple[list[str], str]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, bytes, str]] = field(default_factory=list)

    def add(self, names: str, key: str) -> None:
        if names.startswith("|"):
            salt, digest = _hash(names)
            self.hashed += [(*_pads(salt), digest, key)] if digest else []
            return
        patterns = names.lower().split(",")
        if set(names) & set("*?!"):
            self.patterns.append((patterns, key))
        else:
            for each in dict.fromkeys(patterns):
                self.clear.setdefault(each, []).append(key)


class PinnedKeys:
    """The lines of a file, read once: clear names are looked up, patterns and hashed names are tried.

    As with ssh, a line that is none says nothing, and a revoked key is pinned nowhere.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = {marker: _Lines() for marker in MARKERS}
        for words in map(str.split, lines):
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) > 2 and not words[0].startswith("#") and marker in MARKERS:
                self._lines[marker].add(words[0], f"{words[1]} {words[2]}")

    def find(self, label: str) -> KnownHost:
        """What the lines say of a host, which is called `NAME`, or `[NAME]:PORT` where its port is not 22."""
        revoked = self._keys(label, "@revoked")
        pinned = (key for key in self._keys(label, "") if key not in revoked)
        return KnownHost(tuple(pinned), tuple(revoked), tuple(self._keys(label, "@cert-authority")))

    def find_host(self, labels: Iterable[str]) -> KnownHost:
        """What the lines say of a host that has several labels: the keys pinned for the first of them that
        has any, without those that are revoked for one of them."""
        names = list(dict.fromkeys(labels))
        revoked = [key for name in names for key in self._keys(name, "@revoked")]
        for name in names:
            pinned = [key for key in self._keys(name, "") if key not in revoked]
            if pinned:
                return KnownHost(tuple(pinned), tuple(revoked))
        authorities = (key for name in names for key in self._keys(name, "@cert-authority"))
        return KnownHost((), tuple(revoked), tuple(authorities))

    def _keys(self, label: str, marker: str) -> list[str]:
        label, lines = label.lower(), self._lines[marker]
        found = list(lines.clear.get(label, ()))
        found += (key for patterns, key in lines.patterns if names_host(patterns, label))
        name = label.encode()
        # An HMAC-SHA1 of the name, with a salt for each line (OpenSSH's hostfile.c): each must be tried, and
        # of a thousand hosts a million. As RFC 2104 spells it out that costs less than half of `hmac.digest`.
        found += (
            key
            for inner, outer, digest, key in lines.hashed
            if sha1(outer + sha1(inner + name).digest()).digest() == digest
        )
        return found


def host_label(name: str, port: int) -> str:
    """What a known_hosts file calls a host."""
    return name if port == 22 else f"[{name}]:{port}"


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of ssh's files fits: only `*` and `?` have a meaning, brackets are brackets."""
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    return pattern == text


def names_host(patterns: Iterable[str], label: str) -> bool:
    """Whether patterns name a host: one pattern does, and none with a `!`."""
    matched = False
    for each in patterns:
        if matches(each.removeprefix("!"), label):
            if each.startswith("!"):
                return False
            matched = True
    return matched


def _pads(salt: bytes) -> tuple[bytes, bytes]:
    """What an HMAC-SHA1 puts before what it hashes, first and then: RFC 2104."""
    block = (salt if len(salt) <= _BLOCK else sha1(salt).digest()).ljust(_BLOCK, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def _hash(text: str) -> tuple[bytes, bytes]:
    """Salt and digest of `|1|SALT|HASH`; empty where it is none."""
    try:
        _, version, salt, digest = text.split("|")
        if version == "1":
            return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except ValueError:
        pass
    return b"", b""
