"""Further lineages of certbot's, beside the router's: what a host shows of each, and the entries of
`certificates` that follow. Pure; all of it is data from hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from reconciler import x509
from reconciler.blueprint.renewal import settings
from reconciler.discovery.parsing import key_settings, lineage_of, second_ca, times_of_job, variables
from reconciler.environment.certificate import CHALLENGES, LETS_ENCRYPT, Certificate
from reconciler.environment.ordered import OF_EACH, OF_THE_CA, OWN_ALONE, Ordered
from reconciler.environment.rules import CERTIFICATE_NAME
from reconciler.model import State, Value

ON_PORT_80, IN_THE_DNS = CHALLENGES
LINEAGE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FIELD: Final = re.compile(rf"further ({LINEAGE.pattern}) ([a-z_ ]+)")
"""A field of a survey's state: which lineage, and what of it."""
STORE: Final = re.compile(r"/var/lib/reconciler/certificates/([A-Za-z0-9_-]+)/current")


def shown(seen: Mapping[str, Any], stores: str, own: Value, now: datetime) -> dict[str, Value]:
    """What a host shows of each lineage but `own`: its CA, the names, key and days of its certificate, and
    what our own script and cron job say. `stores` are the links by which services read such ones here."""
    found: dict[str, Value] = {f"further {name} store": True for name in STORE.findall(stores)}
    servers = {lineage_of(path): line.removeprefix("server = ") for path, line in seen["lineages"]}
    leaves = {path.split("/")[-2]: pem for path, pem in seen["leaves"] if path.count("/") > 1}
    in_the_dns = {lineage_of(path) for path, _ in seen["in the dns"]}
    for name, server in servers.items():
        if name == own:
            continue
        of: dict[str, Value] = {"server": server, **_of_leaf(leaves.get(name, ""), now)}
        if name in in_the_dns:
            of["challenge"] = IN_THE_DNS
        of |= settings(variables(_lines(seen["further scripts"], f"/certificate-{name}.sh")))
        of |= times_of_job(_lines(seen["further jobs"], f"-{name}"))
        found |= {f"further {name} {field}": value for field, value in of.items()}
    return found


def _lines(found: Iterable[tuple[str, str]], end: str) -> list[tuple[str, str]]:
    return [(path, line) for path, line in found if path.endswith(end)]


def _of_leaf(pem: str, now: datetime) -> dict[str, Value]:
    try:
        leaf = x509.chain(pem)[0]
    except (x509.Unreadable, IndexError):
        return {}
    begin, end = x509.window(leaf)
    return {
        "names": " ".join(x509.names(leaf)),
        "key": x509.key_type(leaf),
        "lifetime": round((end - begin).total_seconds() / 86400),
        **({"ended": end.date().isoformat()} if end < now else {}),
    }


@dataclass(frozen=True)
class Found:
    """The surveys of all hosts in the order of the file, the primary's name, and the router's settings."""

    surveys: Mapping[str, State]
    primary: str
    router: str
    own: Certificate
    remark: Callable[[str, str], None]


def entries(found: Found) -> tuple[Ordered, ...]:
    """An entry for each lineage of the primary that could be ordered so, and a remark on each other one."""
    made: dict[str, Ordered] = {}
    here = _lineages(found.surveys.get(found.primary, {}))
    for host, state in found.surveys.items():
        for name in sorted(_lineages(state).keys() - here.keys()):
            why = f"{name} is on {host}, and not on the primary {found.primary}: not taken over"
            found.remark("certificates", f"certbot's lineage {why}")
    for name, of in sorted(here.items()):
        called = name.replace(".", "-")
        entry = _entry(found, name, called, of)
        why_not = f"{called} is there already" if called in made else _why_not(found, of, entry)
        if why_not:
            found.remark("certificates", f"certbot's lineage {name} is not taken over: {why_not}")
            continue
        made[called] = entry
        for text in _remarks(name, of, entry):
            found.remark("certificates", text)
    return tuple(made.values())


def _lineages(state: State) -> dict[str, dict[str, Value]]:
    """What a host shows of each that it has; a store of ours is none of certbot's."""
    lineages: dict[str, dict[str, Value]] = {}
    for key, value in state.items():
        if match := FIELD.fullmatch(key):
            lineages.setdefault(match[1], {})[match[2]] = value
    return {name: of for name, of in lineages.items() if "server" in of}


def _entry(found: Found, name: str, called: str, of: Mapping[str, Value]) -> Ordered:
    same_ca = of["server"] == found.own.server
    taken = {each.name for each in fields(Certificate)} - {
        *OWN_ALONE,
        *OF_EACH,
        *(() if same_ca else OF_THE_CA),
    }
    base = Certificate(
        **{key: getattr(found.own, key) for key in taken - {"trusted", "key_type", "key_size"}}
    )
    known = {key: value for key, value in of.items() if key in taken | {*OF_THE_CA}}
    key = key_settings(of.get("key"), known)
    said: Any = {**{each: value for each, value in known.items() if value is not None}, **key}
    fallback = second_ca(of, base.email)
    if not fallback or (base.fallback and fallback.server == base.fallback.server):
        fallback = base.fallback
    holders = [
        host
        for host, state in found.surveys.items()
        if host == found.primary or f"further {name} server" in state or f"further {called} store" in state
    ]
    return Ordered(
        name=called,
        names=tuple(str(of.get("names", "")).split()),
        hosts=None if len(holders) == len(found.surveys) else tuple(holders),
        settings=replace(base, **said, fallback=fallback),
    )


def _why_not(found: Found, of: Mapping[str, Value], entry: Ordered) -> str | None:
    """Why no entry is made of a lineage."""
    settings_of = entry.settings
    if of.get("ended"):
        return f"it ended on {of['ended']}, and nothing renews it; if it is needed, write an entry for it"
    if not entry.names:
        return "its certificate was not seen"
    if odd := [name for name in entry.names if not re.fullmatch(CERTIFICATE_NAME["pattern"], name)]:
        return f"{odd[0]} is no name that a CA can ask for"
    if entry.name == found.router:
        return "it is called like the router"
    if not settings_of.on_port_80:
        return (
            None if settings_of.dns_hook else "it is ordered by dns-01; write an entry with your `dns_hook`"
        )
    if not found.own.on_port_80:
        return "it is ordered by http-01, and the router's by dns-01; write an entry with dns-01"
    return None


def _remarks(name: str, of: Mapping[str, Value], entry: Ordered) -> Iterable[str]:
    if name != entry.name:
        yield f"certbot's lineage is named {name}; a new one named {entry.name} will be ordered"
    serve = f"name that below `consumers`, with `certificate: {entry.name}`"
    yield f"{entry.name}: no host shows what serves it; {serve}"
    if of["server"] != LETS_ENCRYPT and entry.settings.roots is None:
        yield f"{entry.name}: its CA is not Let's Encrypt's; its roots cannot be found out (`roots`)"
