"""The kind `login`: sshd lets an account in by key, and the account leads no further."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import Judged
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.sshd import Access, AccessQuestion
from reconciler.subjects import Subject

PRIVILEGED = (
    *("sudo", "admin", "wheel", "root", "shadow", "disk", "kmem", "staff", "ssl-cert"),
    *("docker", "lxd", "incus-admin", "libvirt"),
)
"""Groups of Debian that are root, or as good as root, or read what only root shall read
(wiki.debian.org/SystemGroups); `ssl-cert` reads the key, and `staff` writes to root's PATH."""

NOT_SUDO = ("(ALL : ALL) !ALL", "(ALL) !ALL")
"""sudo's last line for an account that may do nothing, whatever stands before it: the last match wins."""


@dataclass(frozen=True, kw_only=True)
class AccountAccess(Judged):
    """An account that `peers` log in to by key: neither sshd nor PAM nor a mode shuts it out, and it is in
    no group and under no rule of sudo that leads to root. What is asked is what sshd would do with a
    connection now, so that a login that fails has a cause with a place."""

    kind: ClassVar[str] = "login"
    title: ClassVar[str] = "account"
    subject: ClassVar[str] = Subject.ACCOUNTS

    account: str
    home: str
    peers: tuple[str, ...]
    keys: str = ""
    """The one file whose keys shall open it; that of its home otherwise, among others."""

    def ask(self) -> Mapping[str, Question]:
        return {"access": AccessQuestion(self.account, self.peers, self.keys)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        access: Access | None | CannotSee = answers["access"]
        if isinstance(access, CannotSee):
            return access
        if access is None:
            return {}
        faults = [*self._sshd(access), *_account(access), *self._modes(access)]
        named = [name for name in access.groups if name in PRIVILEGED]
        rule = access.sudo[-1] if access.sudo else ""
        return {
            "lets it in": f"no: {'; '.join(faults)}" if faults else True,
            "is not privileged": f"no: it is in the group {', '.join(named)}" if named else True,
            "has no sudo": f"no: sudo allows {rule}" if rule and rule not in NOT_SUDO else True,
        }

    def _sshd(self, access: Access) -> Iterator[str]:
        allows: Mapping[str, Callable[[tuple[str, ...]], bool]] = {
            "allowusers": lambda values: self._matches(values, (self.account,)),
            "denyusers": lambda values: not self._matches(values, (self.account,), every=False),
            "allowgroups": lambda values: self._matches(values, access.groups),
            "denygroups": lambda values: not self._matches(values, access.groups, every=False),
            "pubkeyauthentication": lambda values: values == ("yes",),
            "authenticationmethods": lambda values: all(map(_by_key_alone, values)),
            "authorizedkeysfile": lambda values: all(map(self._reads_keys, values)),
            "forcecommand": lambda values: values == ("none",),
            "chrootdirectory": lambda values: values == ("none",),
            "pubkeyacceptedalgorithms": lambda values: all(
                "ssh-ed25519" in each.split(",") for each in values
            ),
        }
        if "error" in access.settings:
            yield f"sshd refuses its configuration: {access.settings['error'][0]}"
        for name, allow in allows.items():
            values = access.settings.get(name)
            if values is not None and not allow(values):
                lines = [
                    each for each in access.lines if each.split(":", 2)[-1].strip().lower().startswith(name)
                ]
                place = ", ".join(":".join(each.split(":", 2)[:2]) for each in lines) or "sshd's settings"
                yield f"sshd's {_spelled(name, lines)} {' '.join(values)} ({place})"

    def _matches(self, values: Iterable[str], names: Iterable[str], *, every: bool = True) -> bool:
        """Whether the patterns name one of the names, from every peer or from one (sshd_config(5))."""
        patterns = [each for value in values for each in value.split()]
        found = [
            any(_named(pattern, name, peer) for pattern in patterns for name in names) for peer in self.peers
        ]
        return all(found) if every else any(found)

    def _reads_keys(self, value: str) -> bool:
        paths = [each.replace("%u", self.account).replace("%h", self.home) for each in value.split()]
        if self.keys:
            return paths == [self.keys]
        own = f"{self.home}/.ssh/authorized_keys"
        return own in {path if path.startswith("/") else f"{self.home}/{path}" for path in paths}

    def _modes(self, access: Access) -> Iterator[str]:
        if "yes" not in access.settings.get("strictmodes", ("yes",)):
            return
        for mode, owner, path in access.paths:
            if int(mode, 8) & 0o022 or owner not in (self.account, "root"):
                yield f"StrictModes refuses {path} ({owner}, {mode.zfill(4)})"

    def wanted(self) -> Mapping[str, Value]:
        return {"lets it in": True, "is not privileged": True, "has no sudo": True}

    def advice(self, field: str, seen: str) -> str:
        if field == "is not privileged":
            return f"its key is on every peer: `gpasswd -d {self.account} GROUP`"
        if field == "has no sudo":
            return f"its key is on every peer: remove the rule; `sudo -l -U {self.account}` shows it"
        if self.keys and "authorizedkeysfile" in seen.lower():
            return (
                "put `Include /etc/ssh/sshd_config.d/*.conf` before everything else in /etc/ssh/sshd_config"
            )
        if "has expired" in seen:
            return f"if it shall be used again: `usermod --expiredate '' {self.account}`"
        if "StrictModes" in seen:
            return "`chmod go-w` what is named, and give it to the account or to root"
        return f"correct what is named, so that {self.account} may log in by key from {', '.join(self.peers)}"

    def watches(self) -> Iterable[str]:
        return (self.home, "/etc/ssh")

    def requires(self) -> Iterable[str]:
        return (f"account:{self.account}",)


def _account(access: Access) -> Iterator[str]:
    for path in access.nologin:
        yield f"{path} keeps everybody out"
    for rule in access.rules:
        place, _, text = rule.partition(":")
        line, _, text = text.partition(":")
        yield f"{place}:{line} refuses {text.strip()!r}"
    if not access.shell:
        yield "its shell cannot be used"
    hash_, changed, _, longest, _, inactive, expires = (*access.shadow, *[""] * 7)[:7]
    if expires.isdigit() and access.days >= int(expires):
        yield "the account has expired"
    if changed == "0":
        yield "its password must be changed first"
    old = longest.isdigit() and changed.isdigit() and access.days > int(changed) + int(longest)
    if old and inactive.isdigit() and access.days > int(changed) + int(longest) + int(inactive):
        yield "its password has aged out"
    # sshd itself looks for a locked password only where PAM does not (OpenSSH's auth.c, allowed_user).
    if hash_ == "!" and "no" in access.settings.get("usepam", ()):
        yield "its password is locked, and sshd does not use PAM"


def _by_key_alone(value: str) -> bool:
    return any(each in ("any", "publickey") for each in value.split())


def _named(pattern: str, name: str, peer: str) -> bool:
    user, _, host = pattern.partition("@")
    # An address in a pattern is not compared: which one a peer comes from is not known here.
    by_host = not host or fnmatch.fnmatchcase(peer, host) or host[:1].isdigit()
    return by_host and fnmatch.fnmatchcase(name, user)


def _spelled(name: str, lines: Iterable[str]) -> str:
    """The keyword as the configuration spells it."""
    text = next((each.split(":", 2)[-1].strip() for each in lines), name)
    return text[: len(name)]
