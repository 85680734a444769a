"""What a look at a host tells of each resource: the states, as the kinds read them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reconciler.environment.settings import Environment
from reconciler.kinds.certificate import returning
from reconciler.kinds.certificate.answer import ANSWERS
from reconciler.kinds.certificate.answer import NOTHING as SILENT
from reconciler.kinds.certificate.arrival import NOTHING_USABLE
from reconciler.kinds.certificate.outside import WEB
from reconciler.kinds.certificate.release import KEY_FILE, LOADABLE
from reconciler.kinds.certificate.serving import OLDER, OVERDUE
from reconciler.kinds.service import STARTS_WITHIN, just_started
from reconciler.questions.system import CommandResult
from reconciler.questions.tls import NOTHING
from tests.simulation.commands import answers_web, limited
from tests.simulation.world import APACHE, POSTGRESQL, TLS, SimHost, Unit, World

DEADLINE = 60
LABELS = {443: "apache on 443", 5432: "postgresql on 5432", 8443: "tomcat on 8443"}


def told(world: World, host: SimHost, env: Environment, kind: str, name: str, absent: bool) -> Any:
    """The answer to `declared.Told`."""
    return TELLS[kind](world, host, env, name, absent)


def _unit(world: World, unit: Unit) -> dict[str, str]:
    return {
        "LoadState": "loaded",
        "ActiveState": "active" if unit.active else "failed",
        "UnitFileState": "enabled" if unit.enabled else "disabled",
        "NRestarts": "0",
        "Age": str(max(0, int(world.now - unit.since))),
    }


def _service(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    unit = host.units[name]
    valid = host.valid(APACHE) if name == APACHE else host.configured(name) != "broken"
    return {
        "unit": _unit(world, unit),
        "ports": host.ports(world.now),
        "check": CommandResult(0, "") if valid else CommandResult(1, "syntax error"),
        "group": CommandResult(0, ""),
        "tree": host.tree(name),
        "record": unit.record.encode(),
    }


def _pair(world: World, release: str) -> dict[str, Any]:
    found = world.ca.issued[release]
    return {
        "release": release,
        "names": " ".join(sorted(found.names)),
        "key": "RSA",
        "pair": "matches",
        "chain": "trusted" if found.begin <= world.wall < found.end else "it has expired",
        "expires": datetime.fromtimestamp(found.end, UTC).isoformat(timespec="minutes"),
    }


def _certificate(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    mine = host.lineage
    if absent:
        return {"lineage": "present"} if mine else None
    overdue = env.certificate.overdue / 100
    state: dict[str, Any] = {}
    if why := limited(host.ledger, world.wall):
        state["limit"] = why
    copy, spare = host.copy("current"), "none"
    if copy and copy.intact and _is_good(world, copy.release, env) and world.left(copy.release) >= overdue:
        spare = copy.release
    if mine is None:
        leads = {returning.LEADS: "" if spare == "none" else _begin(world, spare)}
        return {"lineage": "absent", **state, **leads, "release": spare}
    state |= {"lineage": "present", **_pair(world, mine.release), "fresh": world.fresh(mine.release, overdue)}
    state["links"] = "newest" if mine.newest else "cert.pem leads to an older version"
    issued = world.ca.issued
    if mine.newest and spare != "none" and issued[spare].begin > issued[mine.release].begin:
        state["release in use"] = f"newer: {spare}"
        state[returning.LEADS] = _begin(world, spare)
    elif mine.newest:
        state[returning.LEADS] = _begin(world, mine.release)
    state |= {"renewal file": "whole", "account": "there"}
    return state | {f"renewal: {key}": value for key, value in mine.conf.items()}


def _is_good(world: World, release: str, env: Environment) -> bool:
    found = world.ca.issued[release]
    return sorted(found.names) == sorted(env.names) and world.accepted(release)


def _release(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    copy = host.copy("staged")
    if copy is None:
        return None
    pair = _pair(world, copy.release)
    if not copy.intact:
        pair["pair"] = "the key belongs to another certificate"
    return {
        **pair,
        "key file": KEY_FILE if copy.mode else "root:root 0600",
        "parts": "whole",
        "readable by postgres": copy.mode,
        "readable by tomcat": copy.mode,
    }


def _arrival(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    copy = host.copy("staged")
    arrived = host.incoming
    staged = copy.release if copy and copy.intact else None
    found = {"arrived": arrived, "staged": staged}
    state: dict[str, Any] = {
        key: value if value and _is_good(world, value, env) else NOTHING_USABLE
        for key, value in found.items()
    }
    usable, overdue = state["staged"], env.certificate.overdue / 100
    if usable != NOTHING_USABLE and world.left(usable) >= overdue:
        release, since = host.sealed
        is_fresh = world.now - since < returning.FRESH * 60
        state |= {returning.BEGINS: _begin(world, usable)}
        state |= {returning.SEALED: release if is_fresh else "none"}
    return state


def _begin(world: World, release: str) -> str:
    return datetime.fromtimestamp(world.ca.issued[release].begin, UTC).isoformat(timespec="seconds")


def _current(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    if "current" not in host.store:
        return None
    copy = host.copy("current")
    why = "there is no fullchain.pem" if copy is None else None
    if copy and not copy.loadable:
        why = "privkey.pem is root:root 0600" if copy.intact else "there is no usable key"
    return {"type": "link", "leads to": why or LOADABLE}


def _serving(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    found = {link: _identity(host, link) for link in ("staged", "current", "proven")}
    state = {"current": found["current"], "proven": found["proven"]}
    if found["current"] == found["staged"] and host.store.get("current") != host.store.get("staged"):
        state["current"] = f"{found['current']}{OLDER}"
    for port, unit_name in TLS.items():
        unit = host.units[unit_name]
        state[LABELS[port]] = _presented(world, unit)
        coming = just_started(unit_name, _unit(world, unit), DEADLINE)
        if coming and found["current"] not in ("none", state[LABELS[port]]):
            return coming
    if (current := host.copy("current")) and world.left(current.release) <= env.certificate.overdue / 100:
        state[OVERDUE] = True
    return state


def _presented(world: World, unit: Unit) -> str:
    """The release that a service presents. PostgreSQL listens without TLS too, and refuses the handshake."""
    if found := unit.presents(world.now):
        return found
    listens = unit.active and world.now >= unit.listens_at
    return "it does not do TLS" if listens and unit.name == POSTGRESQL else NOTHING


def _identity(host: SimHost, link: str) -> str:
    copy = host.copy(link)
    return copy.release if copy else "none"


def _outside(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    peer = world.hosts[name]
    state: dict[str, Any] = {}
    for port, unit_name in TLS.items():
        unit = peer.units[unit_name]
        reached = peer.up and not unit.loopback
        state[LABELS[port]] = _presented(world, unit) if reached else NOTHING
    return {**state, WEB: ANSWERS if answers_web(world, name) else SILENT}


def _answer(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    unit = host.units[APACHE]
    answers = ANSWERS if 80 in host.ports(world.now) else SILENT
    coming = just_started(APACHE, _unit(world, unit), STARTS_WITHIN)
    if coming and answers != ANSWERS and unit.record == host.tree(APACHE):
        return coming
    return {f"as {each}": answers for each in (env.router, host.name)}


def _file(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    text = host.files.get(name)
    if text is None:
        return None
    mode = "0755" if name.endswith(".sh") else "0644"
    content = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return {"type": "file", "content": content, "text": text, "mode": mode, "owner": "root", "group": "root"}


def _symlink(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    target = host.links.get(name)
    return None if target is None else {"type": "link", "target": target}


def _directory(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    mode = host.folders.get(name)
    return None if mode is None else {"type": "directory", "mode": mode, "owner": "root", "group": "root"}


def _judged(world: World, host: SimHost, env: Environment, name: str, absent: bool) -> Any:
    return {}


TELLS: dict[str, Callable[..., Any]] = {
    "service": _service,
    "certificate": _certificate,
    "release": _release,
    "arrival": _arrival,
    "current": _current,
    "serving": _serving,
    "outside": _outside,
    "answer": _answer,
    "file": _file,
    "symlink": _symlink,
    "directory": _directory,
    "delivery": _judged,
    "reachable": _judged,
}
