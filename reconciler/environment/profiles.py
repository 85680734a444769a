"""What is known of the profiles that Let's Encrypt offers: kinds of certificates, asked for by name
(draft-aaron-acme-profiles). Any other name is passed to the CA as it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Profile:
    """The rules of one: the days for which its certificates live at most, and how many names they carry."""

    days: int
    names: int
    common_name: bool = False


PROFILES: Final[Mapping[str, Profile]] = {
    "classic": Profile(90, 100, common_name=True),
    "tlsserver": Profile(45, 25),
    "shortlived": Profile(6, 25),
}
"""As https://letsencrypt.org/docs/profiles/ had them on 2026-08-21; `shortlived` is 160 hours."""


def days_of(profile: Any, lifetime: int) -> int:
    """For how many days certificates of this profile live, where `lifetime` is what is declared."""
    known = PROFILES.get(profile) if isinstance(profile, str) else None
    return min(known.days, lifetime) if known else lifetime
