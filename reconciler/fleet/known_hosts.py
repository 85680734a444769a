"""What a known_hosts file says of one host, as ssh reads it: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Pure."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownHost:
    """Keys as `TYPE BASE64`: those that are pinned for a host, those that are revoked for it, and those
    of the certificate authorities that may vouch for it."""

    pinned: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()


def find(lines: Iterable[str], label: str) -> KnownHost:
    """What the lines say of a host, which is called `NAME`, or `[NAME]:PORT` where its port is not 22.

    As with ssh, a line that is none says nothing, and a revoked key is pinned nowhere.
    """
    found: dict[str, list[str]] = {"": [], "@revoked": [], "@cert-authority": []}
    for words in map(str.split, lines):
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) > 2 and not words[0].startswith("#") and marker in found and _names(words[0], label):
            found[marker].append(f"{words[1]} {words[2]}")
    revoked = found["@revoked"]
    pinned = (key for key in found[""] if key not in revoked)
    return KnownHost(tuple(pinned), tuple(revoked), tuple(found["@cert-authority"]))


def host_label(name: str, port: int) -> str:
    """What a known_hosts file calls a host."""
    return name if port == 22 else f"[{name}]:{port}"


def find_host(lines: Sequence[str], name: str, address: str, port: int) -> KnownHost:
    """What the lines say of a host that is reached at an address: the keys pinned for its name, or else
    for the address, without those that are revoked for either."""
    # One label, where a host is reached by its name.
    labels = dict.fromkeys((host_label(name, port), host_label(address, port)))
    found = [find(lines, label) for label in labels]
    revoked = tuple(key for each in found for key in each.revoked)
    pins = next((each.pinned for each in found if each.pinned), ())
    pinned = tuple(key for key in pins if key not in revoked)
    authorities = () if pinned else tuple(key for each in found for key in each.authorities)
    return KnownHost(pinned, revoked, authorities)


def _names(patterns: str, label: str) -> bool:
    """Whether the first field of a line names the host: one pattern does, and none with a `!`."""
    label, matched = label.lower(), False
    for each in patterns.split(","):
        if each.startswith("!"):
            if _matches(each[1:].lower(), label):
                return False
        else:
            matched |= _is_hash(each, label) if each.startswith("|1|") else _matches(each.lower(), label)
    return matched


def _matches(pattern: str, label: str) -> bool:
    """Only `*` and `?` have a meaning; the brackets of `[NAME]:PORT` are brackets."""
    return fnmatch.fnmatchcase(label, pattern.replace("[", "[[]"))


def _is_hash(text: str, label: str) -> bool:
    """Whether `|1|SALT|HASH` is that of the host: an HMAC-SHA1 of its name (OpenSSH's hostfile.c)."""
    try:
        salt, digest = (base64.b64decode(each, validate=True) for each in text.split("|")[2:4])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, label.encode(), hashlib.sha1).digest(), digest)
