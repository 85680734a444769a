"""What a schema cannot say of the CA that a certificate is ordered at: what its profile takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.environment.ordered import inherited, is_ordered
from reconciler.environment.profiles import PROFILES
from reconciler.environment.yaml_reader import Path, Placed, Problem


def check_authorities(placed: Placed) -> list[Problem]:
    """Certificates with more names than their profile takes; what has a wrong type is left to the schema."""
    value = placed.value if isinstance(placed.value, dict) else {}
    return [Problem(placed.place(path), message) for path, message in _wrong(value)]


def _wrong(value: Mapping[str, Any]) -> Iterable[tuple[Path, str]]:
    own = value.get("certificate")
    own = own if isinstance(own, dict) else {}
    if value.get("blueprint") is not False and own.get("manage") is not False:
        hosts = [host.get("name") for host in _items(value, "hosts")]
        yield from _too_many(("certificate", "profile"), own, [value.get("router"), *hosts, *_names(own)])
    items = value.get("certificates")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and is_ordered(item):
            path: Path = ("certificates", number, "profile" if "profile" in item else "names")
            yield from _too_many(path, {**inherited(own, item), **item}, _names(item))


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
