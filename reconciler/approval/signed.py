"""What a plan says of its own making, against what is so where it is applied. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""


def invalid_times(made: datetime, expires: datetime, hours: int, now: datetime) -> list[str]:
    """What is wrong with the times of a plan, one line each; all times are aware. `hours` is for how
    long the policy has plans be valid."""
    lines = []
    if made > now + SKEW:
        lines.append(f"it was made at {made.isoformat()}, and it is {now.isoformat(timespec='seconds')} now")
    if expires > made + timedelta(hours=hours):
        lines.append(f"it is valid until {expires.isoformat()}, longer than the {hours} hours of the policy")
    return lines


def differences(signed: Mapping[str, Any], here: Mapping[str, Any], file: str) -> list[str]:
    """How what a plan was made from differs from what is here, one line each. Both have `environment`,
    `file_digest`, `sources` and `policy`, as in a plan's document; `file` is the environment file here."""
    lines = []
    if signed["environment"] != here["environment"]:
        lines.append(f"it is of {signed['environment']}; {file} declares {here['environment']}")
    if signed["file_digest"] != here["file_digest"]:
        lines.append(f"{file} is not the file that was planned, or has changed since")
    then, now = signed["sources"], here["sources"]
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    lines += [f"{name}, which {file} names, has changed since" for name in changed]
    then, now = signed["policy"], here["policy"]
    changed = [name for name in now if then.get(name) != now[name]]
    return lines + [
        f"policy: {name} was {_value_text(then.get(name))}, and is {_value_text(now[name])} here"
        for name in changed
    ]


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)
