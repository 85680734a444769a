"""What a schema cannot say of the certificates whose key is thought compromised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.environment.ordered import is_ordered
from reconciler.environment.yaml_reader import Path, Placed, Problem
from reconciler.kinds.certificate.compromised import FIELD, canonical


def check_compromised(placed: Placed) -> list[Problem]:
    """Every problem of this kind; a value of a wrong type is left to the schema."""
    value = placed.value if isinstance(placed.value, dict) else {}
    first: dict[str, Path] = {}
    found: list[Problem] = []
    for path, certificate in _declaring(value):
        if why := _in_vain(value, certificate):
            found.append(Problem(placed.place((*path, FIELD)), f"{why}, so nothing revokes it: {DO}"))
        for number, text in enumerate(certificate[FIELD]):
            if not isinstance(text, str):
                continue
            here: Path = (*path, FIELD, number)
            if (known := first.setdefault(canonical(text), here)) is not here:
                line = placed.place(known).line
                found.append(Problem(placed.place(here), f"{text} is here already, in line {line}"))
    return found


DO = "revoke it by hand (`certbot revoke --reason keycompromise`) and leave `compromised` out"


def _declaring(value: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The certificates that are ordered and declare some, each with its path."""
    items = value.get("certificates")
    entries: Iterable[tuple[Path, Any]] = (
        (("certificates", number), item)
        for number, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and is_ordered(item)
    )
    for path, certificate in ((("certificate",), value.get("certificate")), *entries):
        if isinstance(certificate, dict) and isinstance(certificate.get(FIELD), list):
            yield path, certificate


def _in_vain(value: Mapping[str, Any], certificate: Mapping[str, Any]) -> str | None:
    """Why nothing would be done about it."""
    if certificate.get("manage") is False:
        return "`manage` is false"
    if certificate.get("absent") is True:
        return "the certificate is declared absent"
    return "`blueprint` is false" if value.get("blueprint") is False else None
