"""The kinds `apache_module` and `apache_site`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import NAME, unseen
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion


@dataclass(frozen=True, kw_only=True)
class _Enabled(Resource):
    """What is enabled in /etc/apache2 by a link that Debian's a2en* and a2dis* keep."""

    folder: ClassVar[str]
    suffix: ClassVar[str]
    command: ClassVar[str]
    disable_flags: ClassVar[str] = ""

    def _link(self) -> str:
        return f"/etc/apache2/{self.folder}-enabled/{self.name}.{self.suffix}"

    def ask(self) -> Mapping[str, Question]:
        return {"link": StatQuestion(self._link())}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(answers["link"]):
            return hidden
        return None if answers["link"] is None else {"enabled": True}

    def want(self, look: View) -> State | None:
        return None if self.absent else {"enabled": True}

    def steps(self, change: Change) -> Iterable[Step]:
        verb = f"a2dis{self.command} -q{self.disable_flags}" if change.removes else f"a2en{self.command} -q"
        yield Step(f"{verb} {quote(self.name)}", "disables it" if change.removes else "enables it")

    def provides(self) -> Iterable[str]:
        return (f"path:{self._link()}",)

    def requires(self) -> Iterable[str]:
        available = f"/etc/apache2/{self.folder}-available/{self.name}.{self.suffix}"
        return ("package:apache2", f"path:{available}")


@dataclass(frozen=True, kw_only=True)
class ApacheModule(_Enabled):
    """A module of Apache that is enabled; those it depends on come with it (a2enmod(8))."""

    kind: ClassVar[str] = "apache_module"
    title: ClassVar[str] = "module"
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
    folder: ClassVar[str] = "sites"
    suffix: ClassVar[str] = "conf"
    command: ClassVar[str] = "site"

    site: str = option(
        "Its name, such as `000-default`.",
        schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "x-want": "a site's name without .conf"},
    )
