"""Values that only apply can know: how they are written, recognised, and compared with what came of them.

An unknown says of what type its value will be. A plan is approved with its unknowns in it, so the type
is what limits them: no type lets through what a shell, or a line of a file, takes for more than a word
(or, of a public key, two).
"""

from __future__ import annotations

import re

UNKNOWN_PREFIX = "(known after apply"
"""How a value that only apply can know begins, in a plan, a diff and a command."""

PUBLIC_KEY, CERTIFICATE, RELEASE, WORD = "a public key", "a certificate", "a release", "a word"
TYPES = {
    PUBLIC_KEY: r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{4,2000}={0,2}",
    CERTIFICATE: r"[A-Za-z0-9+/]{100,4000}={0,2}",
    RELEASE: r"[0-9a-f]{16,64}",
    WORD: r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
}
"""The types, and all that each of them can be."""

_UNKNOWN = re.compile(rf"\(known after apply: [^()]*, ({'|'.join(TYPES)})\)")
_QUOTED = re.compile(r"('[^']*')")
_BARE = re.compile(r"[\w@%+=:,./-]*", re.ASCII)  # what `shlex.quote` leaves without quotes


def known_after_apply(ref: object, name: str = "", kind: str = WORD) -> str:
    """The text that stands for a value which only `ref`'s action can bring about; `kind` is one of
    `TYPES`."""
    what = f"{name} of {ref}" if name else str(ref)
    return f"{UNKNOWN_PREFIX}: {what.translate({40: 91, 41: 93})}, {kind})"


def is_unknown(value: object) -> bool:
    """Whether a value, or a part of it, is not known yet."""
    return isinstance(value, str) and UNKNOWN_PREFIX in value


def matches(template: object, value: object) -> bool:
    """Whether `value` is `template` with what was unknown filled in, each by a value of its type (or
    left as it is). In a command a word may have lost the quotes that only the unknown had needed."""
    if not is_unknown(template) or not isinstance(template, str) or not isinstance(value, str):
        return template == value
    parts = (_word(part) if part.startswith("'") else _filled(part) for part in _QUOTED.split(template))
    return re.fullmatch("".join(parts), value) is not None


def _word(quoted: str) -> str:
    """A pattern for a quoted word and what came of it."""
    inner = _filled(quoted[1:-1])
    texts, types = _UNKNOWN.split(quoted[1:-1])[::2], _UNKNOWN.split(quoted[1:-1])[1::2]
    bare = types and PUBLIC_KEY not in types and all(_BARE.fullmatch(text) for text in texts)
    return f"(?:'{inner}'|{inner})" if bare else f"'{inner}'"


def _filled(text: str) -> str:
    """A pattern for a text with its unknowns filled in."""
    found, at = "", 0
    for unknown in _UNKNOWN.finditer(text):
        found += f"{re.escape(text[at : unknown.start()])}(?:{TYPES[unknown[1]]}|{re.escape(unknown[0])})"
        at = unknown.end()
    return found + re.escape(text[at:])
