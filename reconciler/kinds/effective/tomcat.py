"""The kind `tomcat_config`: the connector that Tomcat would open at its next start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import LOOPBACK, Judged
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.tomcat import Connector, ConnectorsQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class TomcatConnector(Judged):
    """Tomcat's connector for TLS, as server.xml has it: it is there, for other hosts too, and names no
    certificate but those in the declared folder. Tomcat reads that file only when it starts."""

    kind: ClassVar[str] = "tomcat_config"
    title: ClassVar[str] = "unit"
    subject: ClassVar[str] = Subject.SERVICES

    unit: str
    path: str
    port: int
    certificates: tuple[str, ...]
    """The folders that hold the declared certificate."""

    def ask(self) -> Mapping[str, Question]:
        return {"connectors": ConnectorsQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        connectors: tuple[Connector, ...] | None | CannotSee = answers["connectors"]
        if isinstance(connectors, CannotSee):
            return connectors
        if connectors is None:
            return {}
        mine = [each for each in connectors if each.port == str(self.port)]
        if not mine:
            others = [f"{each.port or 'no port'} ({self.path}:{each.line})" for each in connectors]
            return {"connector": f"no: {self.path} has only {', '.join(others) or 'none at all'}"}
        (one, *_) = mine
        inside = one.address.startswith(LOOPBACK)
        place = f"{self.path}:{one.line}"
        return {
            "connector": f"no: only on {one.address} ({place})" if inside else True,
            "certificate": self._certificate(one),
        }

    def _certificate(self, one: Connector) -> Value:
        if not one.files:
            return f"no: {self.path}:{one.line} names none"
        folders = tuple(f"{folder}/" for folder in self.certificates)
        # How a keystore comes from the certificate is not known here; what is served is proven.
        for line, name, value in one.files:
            if "keystore" not in name.lower() and not value.startswith(folders):
                return f"no: {self.path}:{line} names {value}"
        return True

    def wanted(self) -> Mapping[str, Value]:
        return {"connector": True, "certificate": True}

    def advice(self, field: str, seen: str) -> str:
        what = "a connector" if field == "connector" else "files"
        below = f" for port {self.port}" if field == "connector" else f" below {self.certificates[0]}"
        return f"edit {self.path}, which is Tomcat's own: it needs {what}{below}; then restart {self.unit}"

    def watches(self) -> Iterable[str]:
        return (self.path,)
