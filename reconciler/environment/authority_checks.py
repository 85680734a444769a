"""What a schema cannot say of the CAs that a certificate is ordered at: what a profile takes, and that the
second is another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.environment.certificate import Certificate
from reconciler.environment.ordered import inherited, is_ordered
from reconciler.environment.profiles import PROFILES
from reconciler.environment.yaml_reader import Path, Placed, Problem


def check_authorities(placed: Placed) -> list[Problem]:
    """Certificates with more names than their profile takes, or one CA twice; what has a wrong type is left
    to the schema."""
    value = placed.value if isinstance(placed.value, dict) else {}
    return [Problem(placed.place(path), message) for path, message in _wrong(value)]


def _wrong(value: Mapping[str, Any]) -> Iterable[tuple[Path, str]]:
    own = value.get("certificate")
    own = own if isinstance(own, dict) else {}
    if value.get("blueprint") is not False and own.get("manage") is not False:
        hosts = [host.get("name") for host in _items(value, "hosts")]
        yield from _too_many(("certificate", "profile"), own, [value.get("router"), *hosts, *_names(own)])
        yield from _one_ca(("certificate",), own)
    items = value.get("certificates")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and is_ordered(item):
            path: Path = ("certificates", number, "profile" if "profile" in item else "names")
            settings = {**inherited(own, item), **item}
            yield from _too_many(path, settings, _names(item))
            if "fallback" in item:
                yield from _one_ca(("certificates", number), settings)


def _items(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    items = value.get(key)
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []


def _names(section: Mapping[str, Any]) -> list[Any]:
    names = section.get("names")
    return names if isinstance(names, list) else []


def _too_many(path: Path, section: Mapping[str, Any], names: Iterable[Any]) -> Iterable[tuple[Path, str]]:
    profile = section.get("profile")
    known = PROFILES.get(profile) if isinstance(profile, str) else None
    count = len({name.lower() for name in names if isinstance(name, str)})
    if known and count > known.names:
        why = f"the certificate has {count} names, and the profile {profile} takes {known.names}"
        yield path, f"{why}: take names out, or order some of them as one of `certificates`"


def _one_ca(path: Path, section: Mapping[str, Any]) -> Iterable[tuple[Path, str]]:
    second = section.get("fallback")
    server = second.get("server") if isinstance(second, dict) else None
    if isinstance(server, str) and server == section.get("server", Certificate.server):
        yield (*path, "fallback", "server"), "it is the CA of `server` itself: name another one"
