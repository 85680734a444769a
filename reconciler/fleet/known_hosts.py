"""What a known_hosts file says of hosts, as ssh reads it: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Pure."""

from __future__ import annotations

import base64
import fnmatch
import hmac
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

MARKERS = ("", "@revoked", "@cert-authority")


@dataclass(frozen=True)
class KnownHost:
    """Keys as `TYPE BASE64`: those that are pinned for a host, those that are revoked for it, and those
    of the certificate authorities that may vouch for it."""

    pinned: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Key:
    number: int
    marker: str
    key: str


class PinnedKeys:
    """The lines of a file, read once: clear names are looked up, patterns and hashed names are tried.

    As with ssh, a line that is none says nothing, and a revoked key is pinned nowhere.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._clear: dict[str, list[_Key]] = defaultdict(list)
        self._patterns: list[tuple[list[str], _Key]] = []
        self._hashed: list[tuple[bytes, bytes, _Key]] = []
        for number, words in enumerate(map(str.split, lines)):
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) > 2 and not words[0].startswith("#") and marker in MARKERS:
                self._add(words[0], _Key(number, marker, f"{words[1]} {words[2]}"))

    def _add(self, names: str, key: _Key) -> None:
        if names.startswith("|"):
            salt, digest = _hash(names)
            if digest:
                self._hashed.append((salt, digest, key))
            return
        patterns = names.lower().split(",")
        if any(set(each) & set("*?!") for each in patterns):
            self._patterns.append((patterns, key))
        else:
            for each in dict.fromkeys(patterns):
                self._clear[each].append(key)

    def find(self, label: str) -> KnownHost:
        """What the lines say of a host, which is called `NAME`, or `[NAME]:PORT` where its port is not 22."""
        label = label.lower()
        found = list(self._clear.get(label, ()))
        found += (key for patterns, key in self._patterns if names_host(patterns, label))
        name = label.encode()
        # An HMAC-SHA1 of the name, with a salt for each line (OpenSSH's hostfile.c): each must be tried.
        found += (key for salt, digest, key in self._hashed if hmac.digest(salt, name, "sha1") == digest)
        found.sort(key=lambda each: each.number)
        by_marker = {marker: [each.key for each in found if each.marker == marker] for marker in MARKERS}
        revoked = by_marker["@revoked"]
        pinned = (key for key in by_marker[""] if key not in revoked)
        return KnownHost(tuple(pinned), tuple(revoked), tuple(by_marker["@cert-authority"]))

    def find_host(self, labels: Iterable[str]) -> KnownHost:
        """What the lines say of a host that has several labels: the keys pinned for the first of them that
        has any, without those that are revoked for one of them."""
        found = [self.find(label) for label in dict.fromkeys(labels)]
        revoked = tuple(key for each in found for key in each.revoked)
        pins = next((each.pinned for each in found if each.pinned), ())
        pinned = tuple(key for key in pins if key not in revoked)
        authorities = () if pinned else tuple(key for each in found for key in each.authorities)
        return KnownHost(pinned, revoked, authorities)


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


def _hash(text: str) -> tuple[bytes, bytes]:
    """Salt and digest of `|1|SALT|HASH`; empty where it is none."""
    try:
        _, version, salt, digest = text.split("|")
        if version == "1":
            return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except ValueError:
        pass
    return b"", b""
