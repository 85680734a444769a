"""The kind `apache_config`: which vhost answers, and where Apache listens."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.apache import LOADS as APACHE_LOADS
from reconciler.kinds.effective.judged import LOOPBACK, Judged
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.apache import ApacheConfig, ApacheQuestion, Listening, VirtualHost
from reconciler.subjects import Subject


@dataclass(frozen=True)
class Site:
    """A port and the file of the vhost for it. With `certificates`, the folders that hold the declared
    certificate, it is that vhost that answers, or another that names the same certificate."""

    port: int
    file: str
    certificates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ApacheSites(Judged):
    """Apache's configuration on disk, as Apache itself reads it: it listens on each port for other hosts
    too, and for every name it is the declared vhost that answers, or one with the declared certificate.

    Which vhost answers on port 80 does not matter as long as it answers challenges: `answer` proves that."""

    kind: ClassVar[str] = "apache_config"
    title: ClassVar[str] = "unit"
    subject: ClassVar[str] = Subject.SERVICES

    unit: str = "apache2"
    names: tuple[str, ...]
    sites: tuple[Site, ...]

    def ask(self) -> Mapping[str, Question]:
        return {"config": ApacheQuestion()}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        config: ApacheConfig | None | CannotSee = answers["config"]
        if isinstance(config, CannotSee):
            return config
        if config is None or config.refused:
            # The package, or the service's check, is what says so.
            return {}
        state: dict[str, Value] = {}
        for site in self.sites:
            state[f"listens on {site.port}"] = _listens(config.listens, site.port)
            if site.certificates:
                for name in self.names:
                    state[f"answers {name} on {site.port}"] = _answers(config, site, name)
                state[f"certificate on {site.port}"] = _certificate(config, site)
        return state

    def wanted(self) -> Mapping[str, Value]:
        secure = [site for site in self.sites if site.certificates]
        return {
            **{f"listens on {site.port}": True for site in self.sites},
            **{f"answers {name} on {site.port}": True for site in secure for name in self.names},
            **{f"certificate on {site.port}": True for site in secure},
        }

    def advice(self, field: str, seen: str) -> str:
        if field.startswith("listens"):
            return "let Apache listen on every address: correct the `Listen` named, or add one"
        if field.startswith("certificate"):
            return "remove that line: the vhost's certificate is the declared one"
        return (
            "take the name out of the vhost that answers instead, or disable it (`a2dissite`, or declare"
            " `apache_site: NAME` with `absent: true`)"
        )

    def watches(self) -> Iterable[str]:
        return APACHE_LOADS

    def requires(self) -> Iterable[str]:
        return ("package:apache2",)


def _listens(listens: Iterable[Listening], port: int) -> Value:
    found = [each for each in listens if each.port == port]
    if not found:
        return "no: there is no `Listen` for it"
    inside = [f"{each.address} ({each.place})" for each in found if each.address.startswith(LOOPBACK)]
    return True if len(inside) < len(found) else f"no: only on {', '.join(dict.fromkeys(inside))}"


def _answers(config: ApacheConfig, site: Site, name: str) -> Value:
    """The vhost of an address goes before those of any (Apache's documentation, "VirtualHost Matching");
    among them the first with the name answers, and otherwise the first of all."""
    groups: dict[tuple[str, int], list[VirtualHost]] = {}
    for each in config.vhosts:
        groups.setdefault((each.address, each.port), []).append(each)
    own = [
        group
        for (address, port), group in groups.items()
        if address in config.addresses and port == site.port
    ]
    anywhere = groups.get(("*", site.port)) or groups.get(("*", 0))
    candidates = own + ([anywhere] if anywhere else [])
    if not candidates:
        return f"no: there is no vhost for port {site.port}"
    for group in candidates:
        first = next((each for each in group if _has(each, name)), group[0])
        if first.file != site.file and _foreign(config, first, site) != "":
            only = f", on {first.address}" if first.address != "*" else ""
            return f"no: {first.file}:{first.line} ({first.names[0]}) answers{only}"
    return True


def _has(each: VirtualHost, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in each.names)


def _certificate(config: ApacheConfig, site: Site) -> Value:
    own = [each for each in config.vhosts if each.file == site.file and each.port == site.port]
    foreign = next((found for each in own if (found := _foreign(config, each, site))), None)
    return f"no: {foreign}" if foreign else True


def _foreign(config: ApacheConfig, vhost: VirtualHost, site: Site) -> str | None:
    """Where a vhost names a certificate or a key that is not the declared one; "" where all are, None
    where it names none itself."""
    named: str | None = None
    inside = False
    for file, line, directive, value in config.files:
        if file != vhost.file:
            continue
        if directive in ("<virtualhost", "</virtualhost"):
            inside = line == vhost.line
        elif inside:
            named = ""
            if not value.startswith(tuple(f"{folder}/" for folder in site.certificates)):
                return f"{file}:{line} names {value}"
    return named
