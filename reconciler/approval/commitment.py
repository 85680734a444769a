"""What a saved plan says of the text that a step is fed: enough to know it again, and no more. Pure.

Of public text that is its SHA-256. A saved plan may be published, and the SHA-256 of a password could
be searched for; so of a secret it is what scrypt makes of it with a random salt.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

PATTERN = "^(sha256:[0-9a-f]{64}|scrypt:[0-9a-f]{32}:[0-9a-f]{64})$"
"""What a commitment looks like."""

COST = {"n": 1 << 15, "r": 8, "p": 3, "maxmem": 64 << 20}
"""32 MB and about 0.2 s for each guess; one of the settings that OWASP's Password Storage Cheat Sheet
recommends. They are not read from the plan: whoever sends one shall not choose how long we compute."""


def commit(text: str, salt: str, *, public: bool) -> str:
    """The commitment to a text; `salt` are 32 hexadecimal digits, made at random for each plan."""
    if public:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return f"scrypt:{salt}:{_scrypt(text, salt)}"


def is_kept(commitment: str, text: str) -> bool:
    """Whether it is this text that was committed to."""
    how, _, rest = commitment.partition(":")
    salt = rest.partition(":")[0] if how == "scrypt" else ""
    return hmac.compare_digest(commit(text, salt, public=how != "scrypt"), commitment)


def is_salted(commitment: object) -> bool:
    """Whether it is another one in each plan."""
    return isinstance(commitment, str) and commitment.startswith("scrypt:")


@lru_cache(maxsize=256)
def _scrypt(text: str, salt: str) -> str:
    return hashlib.scrypt(text.encode(), salt=bytes.fromhex(salt), dklen=32, **COST).hex()
