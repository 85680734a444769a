"""The kind `postgresql_config`: what PostgreSQL's settings are after its next reload or start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import LOOPBACK, Judged
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.postgresql import PostgresqlQuestion, Setting
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class PostgresqlSettings(Judged):
    """PostgreSQL's settings, as PostgreSQL itself reads its files: TLS is on, certificate and key are the
    declared ones, and it listens for other hosts too. What counts is what a reload or a start would load,
    not what is loaded."""

    kind: ClassVar[str] = "postgresql_config"
    title: ClassVar[str] = "unit"
    subject: ClassVar[str] = Subject.SERVICES

    unit: str
    version: str
    certificate: str
    key: str

    def ask(self) -> Mapping[str, Question]:
        return {"settings": PostgresqlQuestion(self.version)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        settings: Mapping[str, Setting] | None | CannotSee = answers["settings"]
        if isinstance(settings, CannotSee):
            return settings
        if not settings:
            # That it is not installed, or cannot read its configuration, its service says.
            return {}
        default = Setting("", "")
        state: dict[str, Value] = {}
        for name, value in self._files().items():
            found = settings.get(name, default)
            same = (
                found.value.lower() in ("on", "true", "yes", "1") if name == "ssl" else found.value == value
            )
            state[name] = value if same else _with_place(found)
        addresses = settings.get("listen_addresses", default)
        outside = [
            each.strip() for each in addresses.value.split(",") if not each.strip().startswith(LOOPBACK)
        ]
        state["listen_addresses"] = True if any(outside) else f"no: {_with_place(addresses)}"
        return state

    def _files(self) -> dict[str, Value]:
        return {"ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": self.key}

    def wanted(self) -> Mapping[str, Value]:
        return {**self._files(), "listen_addresses": True}

    def advice(self, field: str, seen: str) -> str:
        if "postgresql.auto.conf" in seen:
            return f"somebody used ALTER SYSTEM: `ALTER SYSTEM RESET {field};` as postgres"
        if "the command line" in seen:
            return f"{field} is set where the server is started: look at pg_ctl.conf and the unit"
        if field == "listen_addresses":
            return "set `listen_addresses = '*'` in postgresql.conf, or where that line is; then restart"
        return f"remove that line of {field}, so that conf.d/zz-reconcile.conf counts"

    def watches(self) -> Iterable[str]:
        return (f"/etc/postgresql/{self.version}/main",)


def _with_place(found: Setting) -> str:
    return f"{found.value or 'nothing'} ({found.place or 'the default'})"
