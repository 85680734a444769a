"""The kinds `apache_module` and `apache_site`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import NAME, type_of, unseen
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion
from reconciler.subjects import Subject

LOADS = ("/etc/apache2",)
"""What Debian's apache2 loads its configuration from."""


@dataclass(frozen=True, kw_only=True)
class _Enabled(Resource):
    """What is enabled in /etc/apache2 by a link that Debian's a2en* and a2dis* keep.

    Apache also reads a copy in the link's place, or a link to another file; neither follows what is
    declared, and a2en* and a2dis* leave both as they are (a2enmod's source), so it is moved aside.
    """

    folder: ClassVar[str]
    suffix: ClassVar[str]
    command: ClassVar[str]
    disable_flags: ClassVar[str] = ""

    def _link(self) -> str:
        return f"/etc/apache2/{self.folder}-enabled/{self.name}.{self.suffix}"

    def _available(self) -> str:
        return f"/etc/apache2/{self.folder}-available/{self.name}.{self.suffix}"

    def ask(self) -> Mapping[str, Question]:
        return {"link": StatQuestion(self._link())}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(answers["link"]):
            return hidden
        entry = answers["link"]
        if entry is None:
            return None
        if entry.type != "l":
            return {"enabled": f"by a {type_of(entry)}, not by a link"}
        target = posixpath.normpath(posixpath.join(posixpath.dirname(self._link()), entry.target))
        return {"enabled": True if target == self._available() else f"by a link to {entry.target}"}

    def want(self, look: View) -> State | None:
        return None if self.absent else {"enabled": True}

    def steps(self, change: Change) -> Iterable[Step]:
        seen = change.seen["enabled"] if change.seen else None
        if seen not in (None, True):
            link = quote(self._link())
            aside = f"mv -T -- {link} {link}.$(date +%Y%m%d-%H%M%S)"
            yield Step(
                aside, f"it is enabled {seen}; that is kept under a dated name, which Apache does not read"
            )
            if change.removes:
                return
        verb = f"a2dis{self.command} -q{self.disable_flags}" if change.removes else f"a2en{self.command} -q"
        yield Step(f"{verb} {quote(self.name)}", "disables it" if change.removes else "enables it")

    def provides(self) -> Iterable[str]:
        return (f"path:{self._link()}",)

    def requires(self) -> Iterable[str]:
        return ("package:apache2", f"path:{self._available()}")


@dataclass(frozen=True, kw_only=True)
class ApacheModule(_Enabled):
    """A module of Apache that is enabled; those it depends on come with it (a2enmod(8))."""

    kind: ClassVar[str] = "apache_module"
    title: ClassVar[str] = "module"
    subject: ClassVar[str] = Subject.SERVICES
    folder: ClassVar[str] = "mods"
    suffix: ClassVar[str] = "load"
    command: ClassVar[str] = "mod"
    disable_flags: ClassVar[str] = " -f"

    module: str = option("Its name, such as `ssl`.", schema=NAME)


@dataclass(frozen=True, kw_only=True)
class ApacheSite(_Enabled):
    """A site of Apache that is enabled; its file in sites-available is declared apart."""

    kind: ClassVar[str] = "apache_site"
    title: ClassVar[str] = "site"
    subject: ClassVar[str] = Subject.SERVICES
    folder: ClassVar[str] = "sites"
    suffix: ClassVar[str] = "conf"
    command: ClassVar[str] = "site"

    site: str = option(
        "Its name, such as `000-default`.",
        schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "x-want": "a site's name without .conf"},
    )
