"""The settings of `certificate:` that the renewal script keeps, how they are written there and read back.

The one table of them: the blueprint writes the script by it, a survey finds and reads them by it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.environment.certificate import (
    CHALLENGES,
    CURVES,
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    Certificate,
)
from reconciler.model import Value

SETTINGS: Mapping[str, type[str | int]] = {
    "server": str,
    "rehearsal": str,
    "email": str,
    "key_type": str,
    "key_size": int,
    "challenge": str,
    "dns_hook": str,
    "resolver": str,
    "ca_bundle": str,
    "orders_a_week": int,
    "failures_an_hour": int,
}
"""By their name, as a field of `Certificate` and as a variable of the script: the type of the field."""

OPTIONAL: Mapping[str, type[str | int]] = {
    "profile": str,
    "fallback_server": str,
    "fallback_email": str,
    "fallback_ca_bundle": str,
    "overdue": int,
}
"""Those that only a script has for which they are declared."""

KNOWN: Mapping[str, tuple[str, ...]] = {"key_type": ("rsa", *CURVES), "challenge": CHALLENGES}
"""The values that some of them may have."""


def variables(certificate: Certificate) -> dict[str, str]:
    """The variables of the script; an empty one is a setting that has no value."""
    values = {name: getattr(certificate, name) for name in SETTINGS}
    values["rehearsal"] = certificate.rehearsal or _usual_rehearsal(certificate.server)
    return {
        name: "" if value is None or (name, value) == ("rehearsal", "none") else str(value)
        for name, value in values.items()
    }


def optional(certificate: Certificate) -> dict[str, str]:
    """The variables of the script for settings that it only has where they are declared."""
    found = {} if certificate.profile is None else {"profile": certificate.profile}
    if second := certificate.fallback:
        found |= {
            "fallback_server": second.server,
            "fallback_email": second.email or certificate.email or "",
            "fallback_ca_bundle": second.ca_bundle or "",
            "overdue": str(certificate.overdue),
        }
    return found


def settings(variables: Mapping[str, str]) -> dict[str, Value]:
    """The fields of `Certificate` that a script's variables say, without those that say nothing.

    Variables come from hosts: one that is not known, or not of its type, is left out.
    """
    found: dict[str, Value] = {}
    for name, kind in {**SETTINGS, **OPTIONAL}.items():
        value = variables.get(name, "")
        if name in KNOWN and value not in KNOWN[name]:
            continue
        if value and (kind is str or value.isdecimal()):
            found[name] = kind(value)
    if "rehearsal" in variables:
        rehearsal = variables["rehearsal"] or "none"
        usual = _usual_rehearsal(variables.get("server", LETS_ENCRYPT))
        found["rehearsal"] = None if rehearsal == usual else rehearsal
    return found


def _usual_rehearsal(server: str) -> str:
    """Where an order is rehearsed unless `certificate: rehearsal` says otherwise."""
    return LETS_ENCRYPT_STAGING if server == LETS_ENCRYPT else "none"
