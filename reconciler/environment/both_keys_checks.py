"""What a schema cannot say of two certificates on one port: one has an RSA key, the other an ECDSA key, and
the service shows each client what it takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.environment.certificate import Certificate
from reconciler.environment.ordered import inherited, is_ordered
from reconciler.environment.yaml_reader import Path, Placed, Problem

ONE_ALONE: Final[Mapping[str, str]] = {
    r"slapd": "it has one `TLSCertificateFile` (slapd.conf(5)), and takes the last",
    r"vsftpd": "it has one `rsa_cert_file`, and none for ECDSA (vsftpd.conf(5))",
    r"mariadb|mysql": "it has one `ssl_cert`",
    r"postgresql(@.*)?": "it has one `ssl_cert_file`",
}
"""Services that cannot have two certificates on a port, by their units, and why. What is not here may, and
the handshakes of the proof will tell."""

APACHE: Final[Path] = ("services", "apache_also")


def check_both_keys(placed: Placed) -> list[Problem]:
    """Every problem of this kind; a value of a wrong type is left to the schema."""
    value = placed.value if isinstance(placed.value, dict) else {}
    return [Problem(placed.place(path), message) for path, message in _wrong(value, placed)]


def _wrong(value: Mapping[str, Any], placed: Placed) -> Iterator[tuple[Path, str]]:
    known = _known(value)
    ports: dict[tuple[Any, Any], list[tuple[int, Mapping[str, Any]]]] = {}
    for number, item in enumerate(_items(value, "consumers")):
        if isinstance(item.get("unit"), str):
            what = (item["unit"].removesuffix(".service"), item.get("port"))
            ports.setdefault(what, []).append((number, item))
    for (unit, port), paragraphs in ports.items():
        (first, one), *more = paragraphs
        for count, (number, other) in enumerate(more):
            why = _why_not(unit, one, other, known) if not count else "a port has two certificates at most"
            if why:
                line = placed.place(("consumers", first)).line
                yield ("consumers", number), f"{unit} on {port} is here already, in line {line}: {why}"
    yield from _apache(value, known)


def _apache(value: Mapping[str, Any], known: Mapping[Any, Mapping[str, Any]]) -> Iterator[tuple[Path, str]]:
    services = value.get("services")
    also = services.get("apache_also") if isinstance(services, dict) else None
    if not isinstance(services, dict) or not isinstance(also, str):
        return
    own = value.get("certificate")
    if services.get("apache") is False or (isinstance(own, dict) and own.get("manage") is False):
        yield APACHE, "Apache does not serve the environment's own certificate, so none is beside it"
    elif also not in known:
        there = ", ".join(sorted(map(str, known.keys() - {None}))) or "none"
        yield APACHE, f"there is no certificate {also} in `certificates` (known: {there})"
    elif known[also].get("absent") is True:
        yield APACHE, f"{also} is declared absent: leave this out"
    elif why := _why_not("apache2", {}, {"certificate": also}, known):
        yield APACHE, why


def _why_not(
    unit: str, one: Mapping[str, Any], other: Mapping[str, Any], known: Mapping[Any, Mapping[str, Any]]
) -> str | None:
    """Why a service cannot have the certificates of both paragraphs on one port; None where it can, and where
    one names a certificate that is not there, which is told elsewhere."""
    names = one.get("certificate"), other.get("certificate")
    if names[0] == names[1]:
        return "the second paragraph of a port is for another certificate, with the other kind of key"
    for pattern, why in ONE_ALONE.items():
        if re.fullmatch(pattern, unit):
            return f"{unit} cannot serve two certificates on a port: {why}"
    if one.get("protocol", "tls") != other.get("protocol", "tls"):
        return "both have to say the same `protocol`"
    if not {*names} <= known.keys():
        return None
    return _why_no_pair(*((_called(name), known[name]) for name in names))


def _why_no_pair(one: tuple[str, Mapping[str, Any]], other: tuple[str, Mapping[str, Any]]) -> str | None:
    for called, certificate in (one, other):
        if not is_ordered(certificate):
            return f"{called} is brought, and nothing says which kind of key it has"
    kind = _kind(one[1])
    if kind == _kind(other[1]):
        return (
            f"{one[0]} and {other[0]} both have {kind} keys, and a service chooses between two by the kind of"
            " key that the client takes: give one of them another `key_type`"
        )
    for (called, certificate), (others, of) in ((other, one), (one, other)):
        if lacking := sorted({*of["names"]} - {*certificate["names"]}):
            return (
                f"{called} lacks {', '.join(lacking)}: clients that take its kind of key would be shown it"
                f" under all names of {others}; both have to have the same `names`"
            )
    return None


def _called(name: str | None) -> str:
    return name or "the environment's own certificate"


def _kind(certificate: Mapping[str, Any]) -> str:
    return "ECDSA" if str(certificate.get("key_type", Certificate.key_type)).startswith("ecdsa") else "RSA"


def _known(value: Mapping[str, Any]) -> Mapping[Any, Mapping[str, Any]]:
    """The certificates by the name under which consumers use them, None for the environment's own, with all
    that each has taken over, and its names in small letters."""
    section = value.get("certificate")
    own: Mapping[str, Any] = section if isinstance(section, dict) else {}
    hosts = (host.get("name") for host in _items(value, "hosts"))
    found: dict[Any, Mapping[str, Any]] = {
        None: {**own, "names": _lower((value.get("router"), *hosts, *_list(own.get("names"))))}
    }
    for item in _items(value, "certificates"):
        taken = inherited(own, item) if is_ordered(item) else {}
        names = _lower(_list(item.get("names")))
        found.setdefault(item.get("name"), {**taken, **item, "names": names})
    return found


def _lower(names: Iterable[Any]) -> set[str]:
    return {name.lower() for name in names if isinstance(name, str)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [each if isinstance(each, dict) else {} for each in _list(value.get(key))]
