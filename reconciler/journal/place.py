"""Where the journal lies."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "journal.sqlite"


def folder() -> Path:
    """The folder of the journal: $RECONCILE_STATE, or reconcile/ in the XDG state folder."""
    if given := os.environ.get("RECONCILE_STATE"):
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "reconcile"
