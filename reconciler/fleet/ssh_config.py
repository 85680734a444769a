"""What the client configuration of ssh says of a host: ssh_config(5). No command of the file is run."""

from __future__ import annotations

import getpass
import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from reconciler.fleet.known_hosts import names_host

DEPTH = 16
"""How deep files may include each other (OpenSSH's readconf.c, READCONF_MAX_DEPTH)."""

SEVERAL = {"identityfile", "certificatefile"}
"""What may be said several times; of anything else, what is said first counts."""

UNDERSTOOD = {"hostname", "port", "user", "hostkeyalias", "identitiesonly", "proxyjump", "proxycommand"}

NOT_FOLLOWED = {
    "addressfamily", "bindaddress", "bindinterface", "canonicalizehostname", "ciphers",
    "globalknownhostsfile", "hostkeyalgorithms", "identityagent", "kexalgorithms", "knownhostscommand",
    "macs", "pkcs11provider", "pubkeyacceptedalgorithms", "pubkeyauthentication", "remotecommand",
    "revokedhostkeys", "securitykeyprovider", "tag", "userknownhostsfile",
}  # fmt: skip
"""What decides for ssh how, or with what, it connects, and is not followed here: told where it applies."""

_LINE = re.compile(r"(\w+)(?:[ \t]*=[ \t]*|[ \t]+|$)(.*)")


class UnusableConfig(Exception):
    """The file cannot be read as ssh would; the text says where and why."""


@dataclass(frozen=True)
class ConfigValue:
    """A value, and the FILE:LINE that says it."""

    value: str
    where: str


@dataclass
class HostSettings:
    """What applies to one host, by keyword in small letters, and remarks about what is not followed."""

    found: dict[str, list[ConfigValue]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def first(self, keyword: str) -> ConfigValue | None:
        """What counts of a keyword; None where nothing is said."""
        return next(iter(self.found.get(keyword, ())), None)


@dataclass(frozen=True)
class _Line:
    keyword: str
    rest: str
    where: str

    @cached_property
    def words(self) -> list[str]:
        """Raises `UnusableConfig`."""
        try:
            found = _words(self.rest)
        except ValueError as error:
            raise UnusableConfig(f"{self.where}: {error}") from None
        if not found:
            raise UnusableConfig(f"{self.where}: `{self.keyword}` lacks its value")
        return found

    @property
    def value(self) -> str:
        """All that is said, for what is not made of words. Raises `UnusableConfig`."""
        return self.rest.strip() if self.words else ""


@dataclass(frozen=True)
class _Include:
    files: Sequence[_File]


_File = Sequence["_Line | _Include"]


class SshConfig:
    """A client configuration and what it includes. Raises `UnusableConfig` where a file cannot be read; one
    that is not there is empty."""

    def __init__(self, path: str) -> None:
        self._file = _read(Path(path), 0)

    def lookup(self, name: str, given: Mapping[str, str], default_user: str) -> HostSettings:
        """What applies to `ssh NAME`, where `given` (by keyword) comes first, as options of a command line
        do. Raises `UnusableConfig`."""
        settings = HostSettings({key: [ConfigValue(value, "")] for key, value in given.items()})
        self._walk(self._file, name, settings, default_user)
        for key in given:
            del settings.found[key]
        return settings

    def names(self) -> list[str]:
        """The hosts that `Host` lines name, in their order, and no patterns. Raises `UnusableConfig`."""
        return list(dict.fromkeys(_names(self._file)))

    def _walk(self, file: _File, name: str, settings: HostSettings, default_user: str) -> None:
        applies = True
        for each in file:
            if isinstance(each, _Include):
                # What is included stands within the section that includes it, and ends none.
                for included in each.files if applies else ():
                    self._walk(included, name, settings, default_user)
            elif each.keyword == "host":
                applies = names_host(each.words, name)
            elif each.keyword == "match":
                applies = _holds(each, name, settings, default_user)
            elif applies:
                _take(each, settings)


def _names(file: _File) -> Iterable[str]:
    for each in file:
        if isinstance(each, _Include):
            for included in each.files:
                yield from _names(included)
        elif each.keyword == "host":
            yield from (word for word in each.words if not set(word) & set("*?!"))


def _take(line: _Line, settings: HostSettings) -> None:
    keyword = line.keyword
    if keyword in ("proxyjump", "proxycommand"):
        # Whichever of the two is said first keeps the other from counting.
        if not settings.found.keys() & {"proxyjump", "proxycommand"}:
            settings.found[keyword] = [ConfigValue(line.value, line.where)]
    elif keyword in SEVERAL:
        values = settings.found.setdefault(keyword, [])
        if line.words[0] not in [each.value for each in values]:
            values.append(ConfigValue(line.words[0], line.where))
    elif keyword in UNDERSTOOD:
        settings.found.setdefault(keyword, [ConfigValue(line.words[0], line.where)])
    elif keyword in NOT_FOLLOWED and line.words[0].lower() not in ("no", "none", "any"):
        settings.remarks.append(f"{line.where}: `{keyword}` of ssh's configuration is not followed here")


def _read(path: Path, depth: int) -> _File:
    if depth > DEPTH:
        raise UnusableConfig(f"{path}: included more than {DEPTH} files deep; does it include itself?")
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UnusableConfig(f"{path}: cannot be read ({error.strerror})") from None
    if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        # ssh refuses it as well: whoever can write it decides which machine is reached.
        raise UnusableConfig(f"{path}: others can write it; `chmod go-w` it, and it must be yours or root's")
    return list(_entries(path, text, depth))


def _entries(path: Path, text: str, depth: int) -> Iterable[_Line | _Include]:
    for number, each in enumerate(text.splitlines(), 1):
        stripped, where = each.strip(), f"{path}:{number}"
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None:
            raise UnusableConfig(f"{where}: expected a keyword and its value, as in ssh_config(5)")
        line = _Line(found[1].lower(), found[2], where)
        if line.keyword == "include":
            # Relative paths are below ~/.ssh, wherever the file is: ssh_config(5).
            patterns = [Path("~/.ssh").expanduser() / Path(word).expanduser() for word in line.words]
            # A pattern may lie anywhere, which Path.glob cannot say.
            files = [file for each in patterns for file in sorted(glob.glob(str(each)))]  # noqa: PTH207
            yield _Include([_read(Path(file), depth + 1) for file in files])
        else:
            yield line


def _words(text: str) -> list[str]:
    """The words of a value, as OpenSSH's argv_split() makes them. Raises `ValueError`."""
    words: list[str] = []
    word, quote, position = None, "", 0
    while position < len(text):
        character, after = text[position], text[position + 1 : position + 2]
        position += 1
        if word is None and character == "#":
            break
        if not quote and character in " \t":
            words += [word] if word is not None else []
            word = None
            continue
        word = word or ""
        if character == "\\" and after and (after in "'\"\\" or (after == " " and not quote)):
            word += after
            position += 1
        elif quote == character or (not quote and character in "'\""):
            quote = "" if quote else character
        else:
            word += character
    if quote:
        raise ValueError("a quote is not closed")
    return [*words, word] if word is not None else words


def _holds(line: _Line, name: str, settings: HostSettings, default_user: str) -> bool:
    """Whether a `Match` line holds; of what cannot be told without running or resolving something, a remark
    says that it does not count. Raises `UnusableConfig`."""
    host, user = settings.first("hostname"), settings.first("user")
    subjects = {
        "host": (host.value.replace("%h", name).replace("%%", "%") if host else name).lower(),
        "originalhost": name.lower(),
        "user": user.value if user else default_user,
        "localuser": getpass.getuser(),
    }
    words, unknown = list(line.words), []
    while words:
        word = words.pop(0)
        criterion, negated = word.lstrip("!").lower(), word.startswith("!")
        if criterion == "all":
            continue
        if criterion in ("canonical", "final"):
            unknown.append(criterion)
            continue
        if not words:
            raise UnusableConfig(f"{line.where}: `Match {word}` lacks its value")
        value = words.pop(0)
        if criterion not in subjects:
            unknown.append(criterion)
            continue
        value = value.lower() if criterion.endswith("host") else value
        if names_host(value.split(","), subjects[criterion]) is negated:
            return False
    if unknown:
        settings.remarks.append(
            f"{line.where}: `Match {unknown[0]}` is not judged here, so what stands under it does not count"
        )
    return not unknown
