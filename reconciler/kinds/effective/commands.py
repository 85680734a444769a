"""The kind `commands`: what the scripts and steps on a host call is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import Judged
from reconciler.kinds.package import Package
from reconciler.model import CannotSee, Question, Ref, Seen, State, Value, View
from reconciler.questions.commands import CommandsQuestion
from reconciler.subjects import Subject
from reconciler.unknowns import is_unknown


@dataclass(frozen=True, kw_only=True)
class NeededCommands(Judged):
    """Every command that is called on a host later on can be run there, so that none is missed in the
    middle of a change. `packages` has the Debian package of each; one that is about to be installed
    brings its own."""

    kind: ClassVar[str] = "commands"
    title: ClassVar[str] = "commands"
    subject: ClassVar[str] = Subject.PROGRAMS

    commands: str = "needed"
    packages: tuple[tuple[str, str], ...]

    def ask(self) -> Mapping[str, Question]:
        return {"missing": CommandsQuestion(tuple(name for name, _ in self.packages))}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        missing: frozenset[str] | CannotSee = answers["missing"]
        if isinstance(missing, CannotSee):
            return missing
        return {name: "missing" if name in missing else True for name, _ in self.packages}

    def wanted(self) -> Mapping[str, Value]:
        return {name: True for name, _ in self.packages}

    def want(self, look: View) -> State | None:
        coming = {
            name
            for name, package in self.packages
            if is_unknown(look.value(Ref(self.host, Package.kind, package), "installed"))
        }
        return {name: value for name, value in (super().want(look) or {}).items() if name not in coming}

    def advice(self, field: str, seen: str) -> str:
        package = dict(self.packages)[field]
        return f"{field} is missing: `apt-get install --reinstall {package}`"

    def refers(self) -> Iterable[Ref]:
        return [Ref(self.host, Package.kind, package) for _, package in self.packages]
