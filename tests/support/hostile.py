"""Values that somebody could write for any string of an environment file, to do more than it is for."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.environment.conforms import matches
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.schema import kind_schema, local_files
from reconciler.environment.settings import Environment
from reconciler.kinds import DECLARABLE

MANY = int(os.environ.get("RECONCILE_HOSTILE", "0"))
"""How many values a test tries, where it is to be more than the sample of each run."""

Place = tuple[str | int, ...]
"""Where a string is in the document."""

WHOLE: dict[str, Any] = {
    "environment": "e",
    "router": "cn.example.org",
    "hosts": [
        {"name": "cn-1.example.org", "address": "10.0.0.1", "primary": True},
        {"name": "cn-2.example.org", "address": "10.0.0.2"},
    ],
    "sync": {"account": "sync", "home": "/home/sync"},
    "certificate": {
        "administrators": "a@example.org", "email": "b@example.org", "server": "https://ca.example.org/d",
        "rehearsal": "https://ca.example.org/r", "ca_bundle": "/etc/ca.pem", "resolver": "10.0.0.53",
        "schedule": "1 2 * * *", "ping": "/ping", "names": ["more.example.org"],
        "profile": "classic",
        "fallback": {"server": "https://cb.example.org/d", "email": "c@example.org", "ca_bundle": "/etc/cb.pem"},
        "challenge": "dns-01", "dns_hook": "/opt/dns/hook",
    },
    "paths": {
        "node_properties": "/etc/d/node.properties", "challenge": "/srv/w/c", "letsencrypt": "/etc/le",
        "certificate": "/srv/x/cert",
    },
    "services": {
        "client_ca": "/etc/ssl/ca.crt", "postgresql": "15", "tomcat": "10",
        "tomcat_tls": {"reload": "systemctl reload x"}, "portal": True,
    },
}  # fmt: skip

ITSELF = "@itself@"
"""Stands for the value that is right in a place."""
PIECES = [
    "$(: >canary)", "`: >canary`", "';: >canary;'", '";: >canary;"', "\n: >canary\n", ";: >canary;", "&& : >canary",
    "'", '"', "\\", "\\'", " ", "  ", "\t", "\n", "\r", "\x85", "\u2028", "\x00", "\x1b", "\x7f", "é", "\u202e",
    "%", "#", "$", "${x}", "$1", "@router@", "{}", "*", "~", "!", "|", "&", "<", ">", "(", ")", "=", ":", ",", "?",
    "-o", "--", "..", "/", "/../", "a", "b.c", "0", "]", "[", "<VirtualHost *:1>", "ALL=(ALL) NOPASSWD: ALL",
]  # fmt: skip
STARTS = [
    *[ITSELF] * 8,
    "", "", "/", "/a", "a", "a@b.org", "https://a.org/", "ssh-ed25519 A", "1 2 3 4 ", "tmpfs", "u@h", "-",
]  # fmt: skip
ENDS = ["", "", "\n", "x", ".org"]


def strings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all strings in a document."""
    if isinstance(value, str):
        yield path
    for key, each in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from strings(each, (*path, key))


def fitting(schema: dict[str, Any]) -> Any:
    """Some value that a schema lets through."""
    if schema["type"] == "array":
        return [fitting(schema["items"])]
    if schema["type"] == "object":
        return {"a": "ssh-ed25519 AAAA"}
    if "enum" in schema:
        return schema["enum"][0]
    tried = ("/srv/x", "name", "0644", "net.ipv4.x", "u@cn-2", "user:a:r--", "1 2 * * *", "tmpfs", "rw")
    return next(each for each in tried if matches(schema.get("pattern", ""), each))


def items() -> list[dict[str, Any]]:
    """One resource of each kind, with every string that it may have."""
    found = []
    for kind in DECLARABLE:
        schema = kind_schema(kind)
        own = {
            key: fitting(each)
            for key, each in schema["properties"].items()
            if each["type"] in ("string", "object")
            or key in schema["required"]
            or key in ("entries", "loads")
        }
        for key in (*local_files(kind), "needs", "hosts"):
            own.pop(key, None)
        found.append(own)
    return found


BASE = {**WHOLE, "resources": items()}
PLACES = [place for place in strings(BASE) if place != ("environment",)]
OURS = [place for place in PLACES if place[0] != "resources"]


def environment(changes: Iterable[tuple[tuple[str | int, ...], str]]) -> Environment | None:
    """The environment with these values; None where one of them is refused, which names a line."""
    made = copy.deepcopy(BASE)
    for place, value in changes:
        inside: Any = made
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = value.replace(ITSELF, inside[place[-1]])
    try:
        return load("e.yaml", json.dumps(made).encode())
    except InvalidEnvironment:
        return None


def accepted(count: int, seed: int, places: list[Place] = PLACES) -> Iterator[tuple[Place, str, Environment]]:
    """Of so many values in some place each, those that `validate` lets through."""
    chance = random.Random(seed)
    for _ in range(count):
        place, value = chance.choice(places), _value(chance)
        made = environment([(place, value)])
        if made is not None:
            yield place, value, made


def _value(chance: random.Random) -> str:
    if chance.random() < 0.3:
        middle = "".join(_letter(chance) for _ in range(chance.randrange(12)))
    else:
        middle = "".join(chance.choices(PIECES, k=chance.randrange(5)))
    return chance.choice(STARTS) + middle + chance.choice(ENDS)


def _letter(chance: random.Random) -> str:
    """Any character but a surrogate, those of ASCII as often as all others together."""
    code = chance.randrange(0x80 if chance.random() < 0.5 else 0x110000)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
