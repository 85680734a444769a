"""The kind `package`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import LINE, unseen
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.system import InstalledQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Package(Resource):
    """A Debian package that is installed. Its version is looked at, and is only compared
    where the YAML names one."""

    kind: ClassVar[str] = "package"
    title: ClassVar[str] = "package"
    subject: ClassVar[str] = Subject.PROGRAMS

    package: str = option(
        "Its name.",
        schema={"pattern": "^[a-z0-9][a-z0-9+.-]+$", "x-want": "the name of a Debian package"},
    )
    version: str | None = option("Exactly this version.", default=None, schema=LINE)

    def ask(self) -> Mapping[str, Question]:
        return {"version": InstalledQuestion(self.package)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        version = answers["version"]
        if version is None or (hidden := unseen(version)):
            return version if version is None else hidden
        return {"installed": True, "version": version}

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        return {"installed": True} | ({"version": self.version} if self.version else {})

    def steps(self, change: Change) -> Iterable[Step]:
        apt = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300"
        if change.removes:
            yield Step(f"{apt} remove {quote(self.package)}", "declared absent", minutes=10)
            return
        what = quote(f"{self.package}={self.version}" if self.version else self.package)
        install = f"{apt} install --no-install-recommends {what}"
        yield Step(
            f"{install} || {{ apt-get -q update && {install}; }}",
            "installs it, with newer package lists if the ones at hand do not do",
            minutes=15,
        )

    def provides(self) -> Iterable[str]:
        return (f"package:{self.package}",)
