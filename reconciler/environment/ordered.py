"""A further certificate that is ordered, beside the environment's own: settings, and nothing that acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from reconciler.environment.certificate import CHALLENGES, Certificate
from reconciler.environment.rules import CERTIFICATE_NAME
from reconciler.model import option

OWN_ALONE: Final = ("manage", "names", "administrators", "ping", "challenge_at")
"""Settings of `certificate:` that are about the environment's own certificate alone."""

OF_EACH: Final = ("compromised",)
"""Settings that each has for itself: none is taken over."""

OF_THE_CA: Final = ("server", "rehearsal", "ca_bundle", "roots", "profile", "fallback")
"""Settings that belong to a CA: with another `server` none of them is taken over."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A further certificate that certbot orders on the primary, as it does `certificate`, and that is
    distributed, used and proven by itself: the `consumers` that name it serve it. What it does not say is as
    in `certificate`, but for `compromised`; with a `server` of its own, `rehearsal`, `ca_bundle`, `roots`,
    `profile` and `fallback` are not taken over."""

    name: str = option(
        "What it is called here, and at certbot.",
        schema={
            "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
            "x-want": "a name of letters, digits, `-` and `_`",
        },
    )
    names: tuple[str, ...] = option(
        "Its names; with `dns-01` also `*.example.org`.",
        schema={
            "minItems": 1,
            "items": {"type": "string", **CERTIFICATE_NAME},
            "uniqueItems": True,
        },
    )
    hosts: tuple[str, ...] | None = option(
        "The hosts that get it: names, groups, `primary`, `replicas`; all by default. The primary has it"
        " always, for it is ordered there.",
        default=None,
        schema={"minItems": 1, "items": {"type": "string"}},
    )
    absent: bool = option(
        "It has come to its end: nothing renews it any more, and certbot's lineage is moved aside. Its"
        " releases stay on the hosts.",
        default=False,
    )
    settings: Certificate = field(default_factory=Certificate)
    """All else."""


def is_ordered(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `certificates` is one of these: it names no file that somebody brings."""
    return "file" not in entry


def said(own: Certificate, entry: Ordered) -> dict[str, Any]:
    """What an entry has to say of its settings to have them, beside an own certificate with these: what
    `inherited` does not bring. That it has none where the own one has some cannot be said."""
    mine, its = (
        {each.name: getattr(of, each.name) for each in fields(Certificate) if each.name != "trusted"}
        for of in (own, entry.settings)
    )
    usual = {each.name: each.default for each in fields(Certificate)}
    found = {key: its[key] for key in ("server", "key_type", "challenge") if its[key] != mine[key]}
    has = {**usual, **inherited({key: mine[key] for key in mine if mine[key] != usual[key]}, found)}
    return {
        key: value
        for key, value in its.items()
        if key in found or (key not in OWN_ALONE and value is not None and value != has[key])
    }


def inherited(own: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry takes over from `certificate:`, where it does not say it."""
    left = {*OWN_ALONE, *OF_EACH, *entry}
    if "server" in entry:
        left |= {*OF_THE_CA}
    if "key_type" in entry:
        left.add("key_size")
    if entry.get("challenge") == CHALLENGES[0]:
        left |= {"dns_hook", "dns_wait"}
    return {key: value for key, value in own.items() if key not in left}
