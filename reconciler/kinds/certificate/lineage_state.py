"""What a state of a lineage comes to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler import x509
from reconciler.model import Seen, State, Value


def origin(chain: tuple[Any, ...]) -> dict[str, Value]:
    """Where its chain leads and what it is for: for `forecast`, never a delta."""
    return {"anchor": x509.anchor(chain), "usages": " ".join(x509.usages(chain[0]))}


def release_of(seen: State) -> str:
    """The release that an order is to replace: where another is there by then, nothing is ordered."""
    release = str(seen.get("release"))
    return release if re.fullmatch("[0-9a-f]{32}", release) else "none"


def is_absent(own: Seen) -> bool:
    """Whether certbot has no lineage that it could use."""
    return isinstance(own, Mapping) and own.get("lineage") == "absent"


def is_unusable(seen: State) -> bool:
    """Whether certbot cannot read what it has, so that it could neither renew nor replace it."""
    return is_unreadable(seen) or seen.get("pair") == "there is no usable key"


def is_unreadable(seen: State) -> bool:
    """Whether what certbot has is no certificate."""
    return str(seen.get("release")).startswith("unreadable")


def has_stale_links(own: Seen) -> bool:
    """Whether certbot's links lead to another version than the newest."""
    return isinstance(own, Mapping) and own.get("links", "newest") != "newest"


def may_be_between_two(seen: State) -> bool:
    """Whether the parts do not fit together, as they do not while certbot sets one link after another."""
    if is_absent(seen):
        return "remains" in seen
    return has_stale_links(seen) or seen.get("pair") != "matches" or seen.get("files", "whole") != "whole"
