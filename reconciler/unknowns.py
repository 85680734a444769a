"""Values that only apply can know: how they are written, recognised, and compared with what came of them."""

from __future__ import annotations

import re

UNKNOWN_PREFIX = "(known after apply"
"""How a value that only apply can know begins, in a plan, a diff and a command."""

_UNKNOWN = re.compile(r"\(known after apply: [^()]*\)")


def known_after_apply(ref: object, name: str = "") -> str:
    """The text that stands for a value which only `ref`'s action can bring about."""
    what = f"{name} of {ref}" if name else str(ref)
    return f"{UNKNOWN_PREFIX}: {what.translate({40: 91, 41: 93})})"


def is_unknown(value: object) -> bool:
    """Whether a value, or a part of it, is not known yet."""
    return isinstance(value, str) and UNKNOWN_PREFIX in value


def matches(template: object, value: object) -> bool:
    """Whether `value` is `template` with what was unknown filled in (or left as it is)."""
    if not is_unknown(template) or not isinstance(template, str) or not isinstance(value, str):
        return template == value
    parts = _UNKNOWN.split(template)
    pattern = r"'?.+?'?".join(re.escape(part.strip("'")) for part in parts)
    return re.fullmatch(rf"'?{pattern}'?", value, re.DOTALL) is not None
