"""The question about Apache's configuration as Apache itself reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from reconciler.model import CannotSee
from reconciler.questions.files import NO_ANSWER

DIRECTIVES = r"<VirtualHost|</VirtualHost|SSLCertificateFile|SSLCertificateKeyFile"


@dataclass(frozen=True)
class VirtualHost:
    """A vhost: the address and port that it is for, its names in lower case, and where it begins."""

    address: str
    port: int
    names: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True)
class Listening:
    """A `Listen` of the configuration."""

    address: str
    port: int
    place: str


@dataclass(frozen=True)
class ApacheConfig:
    """Vhosts in the order in which Apache considers them, what it listens on, where certificates
    are named (file, line, directive, value), and the addresses of the host. `refused` is why Apache
    would not start."""

    vhosts: tuple[VirtualHost, ...] = ()
    listens: tuple[Listening, ...] = ()
    files: tuple[tuple[str, int, str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class ApacheQuestion:
    """What Apache would do with the configuration on disk: an `ApacheConfig`; None without Apache.

    `apache2ctl -t -D DUMP_VHOSTS -D DUMP_INCLUDES` checks it, and prints every vhost with its file and
    line and every file that was read (httpd's main.c, server/core.c and server/vhost.c). Directives are
    looked for in those files only.
    """

    @classmethod
    def script(cls, questions: list[ApacheQuestion]) -> str:
        return rf"""if ! command -v apache2ctl >/dev/null; then echo missing; else
o=$(timeout 20 apache2ctl -t -D DUMP_VHOSTS -D DUMP_INCLUDES 2>&1); s=$?
printf '%s\n' "$o" | grep -v '^ *([0-9*]*) /' | head -c 262144; printf '\0'
printf '%s\n' "$o" | sed -n 's/^ *([0-9*]*) //p' | tr '\n' '\0' |
  xargs -0r grep -D skip -nHi -E '^[[:space:]]*Listen[[:space:]]' 2>/dev/null; printf '\0'
printf '%s\n' "$o" | sed -n 's/.*(\(\/.*\):[0-9]*)$/\1/p' | sort -u | tr '\n' '\0' |
  xargs -0r grep -D skip -nHi -E '^[[:space:]]*({DIRECTIVES})' 2>/dev/null | head -c 262144; printf '\0'
hostname -I; printf '\0%d' $s; fi"""

    @classmethod
    def parse(cls, output: bytes, questions: list[ApacheQuestion]) -> list[ApacheConfig | None | CannotSee]:
        return [cls._config(output.decode("utf-8", "backslashreplace")) for _ in questions]

    @classmethod
    def _config(cls, output: str) -> ApacheConfig | None | CannotSee:
        if output.strip() == "missing":
            return None
        sections = output.split("\0")
        if len(sections) != 5 or not sections[4].isdigit():
            return NO_ANSWER
        dump, listens, files, addresses, status = sections
        if status == "124":
            return CannotSee("apache2ctl did not answer within 20 s")
        if status != "0":
            return ApacheConfig(refused=dump.strip()[-500:] or f"apache2ctl ended with {status}")
        return ApacheConfig(
            tuple(_vhosts(dump)),
            tuple(_listens(listens)),
            tuple(_directives(files)),
            tuple(addresses.split()),
        )


_PLACE = re.compile(r"^(.*) \((/.*):(\d+)\)$")


def _vhosts(dump: str) -> list[VirtualHost]:
    found: list[VirtualHost] = []
    address, port = "", 0
    for line in dump.splitlines():
        words = line.split()
        match = _PLACE.match(line)
        if line[:1] not in ("", " ") and (head := re.match(r"(\S+):(\d+|\*)\s", line)):
            address, port = head[1], int(head[2]) if head[2] != "*" else 0
            if match:  # the only vhost of its address and port
                found.append(VirtualHost(address, port, (words[1].lower(),), match[2], int(match[3])))
        elif words[:1] == ["port"] and match:
            found.append(VirtualHost(address, port, (words[3].lower(),), match[2], int(match[3])))
        elif words[:1] == ["alias"] or words[:2] == ["wild", "alias"]:
            last = found.pop()
            found.append(replace(last, names=(*last.names, words[-1].lower())))
    return found


def _listens(text: str) -> list[Listening]:
    pattern = re.compile(r"(/.*?):(\d+):\s*Listen\s+(?:(\S+):)?(\d+)(?:\s|$)", re.IGNORECASE)
    return [
        Listening(found[3] or "*", int(found[4]), f"{found[1]}:{found[2]}")
        for found in map(pattern.match, text.splitlines())
        if found
    ]


def _directives(text: str) -> list[tuple[str, int, str, str]]:
    pattern = re.compile(r"(/.*?):(\d+):\s*(\S+?)(?:\s+(.*?))?\s*$")
    return [
        (found[1], int(found[2]), found[3].lower().rstrip(">"), (found[4] or "").strip("\"'"))
        for found in map(pattern.match, text.splitlines())
        if found
    ]
