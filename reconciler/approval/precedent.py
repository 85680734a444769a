"""What was last approved of an environment: its policy, and the settings of what may run without an
approval. What differs from that is a change of its own, although no host shows it. Pure.

`policy: without_approval` lets a renewal or a reload run by itself. What those run is in the YAML (the check
of a service, how Tomcat loads a certificate), so it is let only where those settings are the ones that
somebody has approved. Which those are, the journal knows: each approved run writes down what of them is new.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import Joint, Ref, Resource, Value

RELOADS = frozenset({"answer", "service", "serving"})
"""The kinds whose actions may be a reload or a restart."""

LONGEST = 300
"""Characters of a setting that are written down; of a longer one it is the SHA-256."""

Settings = Mapping[str, Mapping[str, Value]]
"""By `HOST KIND NAME`: what is set of a resource, not by default; of what it holds, by dotted names."""


@dataclass(frozen=True)
class Approved:
    """What was last approved, as far as it is known. `policy` is None where nothing was."""

    policy: Mapping[str, Any] | None = None
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """A setting that is not the one last approved: of the `policy`, or of HOST KIND NAME. What was not
    approved before has the field "", and `was` None."""

    subject: str
    field: str
    was: Value
    now: Value


def recorded(bodies: Iterable[Mapping[str, Any]]) -> Approved:
    """What the ends of runs in the journal say was approved, oldest first; see `to_record`."""
    policy: Mapping[str, Any] | None = None
    settings: dict[str, Mapping[str, Value]] = {}
    for body in bodies:
        found = body.get("approved")
        if isinstance(found, Mapping) and isinstance(found.get("settings"), Mapping):
            policy = found["policy"] if isinstance(found.get("policy"), Mapping) else policy
            settings |= found["settings"]
    return Approved(policy, settings)


def to_record(approved: Approved, policy: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """What the end of an approved run has to say that is not known yet; None where nothing is new."""
    new = {ref: each for ref, each in settings.items() if approved.settings.get(ref) != each}
    if not new and approved.policy == policy:
        return None
    return {"policy": dict(policy), "settings": new}


def settings_of(resources: Iterable[Resource]) -> Settings:
    """What is set of each resource that may run without an approval as a renewal or a reload."""
    return {
        str(each.ref): dict(sorted(_flat("", _set(each))))
        for each in resources
        if each.renews or each.kind in RELOADS
    }


def declarations(
    approved: Approved, policy: Mapping[str, Any], default: Mapping[str, Any], settings: Settings
) -> list[Declaration]:
    """What differs from what was last approved; against the `default` policy where nothing was. Settings
    matter only where the policy lets renewals or reloads run by themselves."""
    then = default if approved.policy is None else approved.policy
    found = [
        Declaration("policy", name, _value(then.get(name)), _value(policy[name]))
        for name in policy
        if then.get(name) != policy[name]
    ]
    if not {"renewal", "reload"} & set(policy["without_approval"]):
        return found
    for ref, now in sorted(settings.items()):
        was = approved.settings.get(ref)
        if was is None:
            found.append(Declaration(ref, "", None, digest_of(now)))
            continue
        found += [
            Declaration(ref, name, was.get(name), now.get(name))
            for name in sorted({*was, *now})
            if was.get(name) != now.get(name)
        ]
    return found


def unplanned(
    declared: Iterable[Declaration], planned: Iterable[Declaration], settings: Settings
) -> list[str]:
    """What is not as it was last approved and is in no plan, one line each. A plan that was made where
    nothing was known of a resource has all of its settings as one."""
    known = {(each.subject, each.field, each.now) for each in planned}
    return [
        f"{each.subject}: {each.field or 'its settings'} changed since it was last approved, and the plan"
        " does not say so; make the plan here"
        for each in declared
        if (each.subject, each.field, each.now) not in known
        and (each.subject, "", digest_of(settings.get(each.subject, {}))) not in known
    ]


def digest_of(settings: Mapping[str, Value]) -> str:
    """A short sum over the settings of one resource."""
    return hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:32]


def with_precedent(approved: Approved, settings: Settings) -> frozenset[str]:
    """Those resources whose settings are the ones last approved, as `HOST KIND NAME`."""
    return frozenset(ref for ref, each in settings.items() if approved.settings.get(ref) == each)


def _set(each: Any) -> dict[str, Any]:
    """The fields of a resource, or of what one holds, that are not as by default."""
    return {
        one.name: value
        for one in dataclasses.fields(each)
        if one.compare and (value := getattr(each, one.name)) != one.default
    }


def _flat(name: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, bytes):
        return  # the roots that a chain must lead to: they are this machine's, and change by themselves
    if isinstance(value, Ref | Joint):
        value = str(value)
    elif dataclasses.is_dataclass(value):
        value = _set(value)
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), each)
    elif isinstance(value, tuple | list | frozenset):
        for number, each in enumerate(sorted(value, key=repr) if isinstance(value, frozenset) else value):
            yield from _flat(f"{name}.{number}", each)
    else:
        yield name, _value(value)


def _value(value: Any) -> Value:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple | list):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
