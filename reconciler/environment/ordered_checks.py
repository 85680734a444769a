"""What a schema cannot say of the further certificates that are ordered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.environment.certificate import CHALLENGES, Certificate
from reconciler.environment.ordered import inherited, is_ordered
from reconciler.environment.profiles import days_of
from reconciler.environment.rules import safe_gap
from reconciler.environment.yaml_reader import Path, Placed, Problem

ON_PORT_80, IN_THE_DNS = CHALLENGES
ONLY_BROUGHT = {"key", "purpose", "owner", "group", "mode", "users", "warn"}
"""What only an entry with a `file` may say."""
NO_HOOK = (
    "dns-01, and nothing says how a record gets into the DNS: name the program on the primary with"
    " `dns_hook:`"
)
UNPROVEN = (
    "http-01, and `certificate: challenge` is dns-01: that port 80 of the hosts answers challenges is proven"
    " only where the environment's own certificate needs it; let both be http-01, or this one dns-01"
)


def check_ordered(placed: Placed) -> list[Problem]:
    """Every problem of this kind; a value of a wrong type is left to the schema."""
    value = placed.value if isinstance(placed.value, dict) else {}
    items, own = value.get("certificates"), value.get("certificate")
    own = own if isinstance(own, dict) else {}
    found: list[Problem] = []
    for number, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and is_ordered(item):
            for key, message in _wrong(value, own, item):
                path: Path = ("certificates", number, *key)
                found.append(Problem(placed.place(path), message))
    return found


def _wrong(
    value: Mapping[str, Any], own: Mapping[str, Any], item: Mapping[str, Any]
) -> Iterable[tuple[Path, str]]:
    name = item.get("name")
    if of_others := sorted(ONLY_BROUGHT & item.keys()):
        why = f"it has no `file`, so it is ordered here, and {of_others[0]} is for one that somebody brings"
        yield (), f"{why}: name the `file` that it is in"
    if value.get("blueprint") is False:
        why = f"{name} has no `file`, so it would be ordered on the primary, and `blueprint` is false"
        yield (), f"{why}: have it brought, and name its `file`"
    elif own.get("manage") is False:
        yield (), f"{name} would be ordered as `certificate` is, and `certificate: manage` is false"
    if item.get("absent") is True and name in _served(value):
        yield ("absent",), f"a consumer serves {name}: let it serve another one first"
    if name == value.get("router"):
        yield ("name",), f"certbot's lineage {name} is the environment's own certificate: take another name"
    settings = {**inherited(own, item), **item}
    yield from _wrong_key(item, settings)
    yield from _wrong_challenge(own, item, settings)
    yield from _wrong_schedule(item, settings)


def _served(value: Mapping[str, Any]) -> set[Any]:
    """The entries of `certificates` that a consumer names."""
    items = value.get("consumers")
    found = (
        (each.get("certificate") for each in items if isinstance(each, dict))
        if isinstance(items, list)
        else ()
    )
    return {name for name in found if isinstance(name, str)}


def _wrong_key(item: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[tuple[Path, str]]:
    kind = settings.get("key_type")
    if isinstance(kind, str) and kind.startswith("ecdsa-") and "key_size" in item:
        yield (
            ("key_size",),
            f"it says how many bits an RSA key has, and `key_type` is {kind}: leave one of them out",
        )


def _wrong_challenge(
    own: Mapping[str, Any], item: Mapping[str, Any], settings: Mapping[str, Any]
) -> Iterable[tuple[Path, str]]:
    where: Path = ("challenge",) if "challenge" in item else ()
    if settings.get("challenge", ON_PORT_80) == IN_THE_DNS:
        if "dns_hook" not in settings:
            yield (
                where,
                NO_HOOK,
            )
        return
    if own.get("challenge") == IN_THE_DNS:
        yield (
            where,
            UNPROVEN,
        )
    for key in ("dns_hook", "dns_wait"):
        if key in item:
            yield (key,), "it is for `challenge: dns-01`, which is not declared here"
    names = item.get("names")
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and name.startswith("*."):
            yield (
                ("names", number),
                f"{name} is a wildcard: CAs issue those by `challenge: dns-01` only",
            )


def _wrong_schedule(item: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[tuple[Path, str]]:
    if not {"schedule", "lifetime", "profile"} & item.keys():
        return  # then it is `certificate`'s, which is judged there
    schedule = settings.get("schedule", Certificate.schedule)
    lifetime = settings.get("lifetime", Certificate.lifetime)
    if not isinstance(schedule, str) or not isinstance(lifetime, int):
        return
    where: Path = next((key,) for key in ("schedule", "lifetime", "profile") if key in item)
    if why := too_slow(schedule, days_of(settings.get("profile"), lifetime)):
        yield where, why


def too_slow(schedule: str, lifetime: int) -> str | None:
    """Why a schedule of cron's is none, or not often enough for certificates of so many days; see
    `safe_gap`."""
    from reconciler.environment.cron import longest_gap  # noqa: PLC0415 - most files have the default

    try:
        gap = longest_gap(schedule)
    except ValueError as error:
        return f"`{schedule}` is not a schedule as in crontab(5): {error}"
    most = safe_gap(lifetime)
    if gap.total_seconds() <= most * 3600:
        return None
    return (
        f"too slow: certificates live {lifetime} days and are renewed in their last third, and this"
        f" leaves up to {gap.total_seconds() / 3600:.0f} hours between two tries; {most} are safe"
    )
