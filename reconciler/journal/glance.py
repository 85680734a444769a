"""What completion needs of the journal, without all that a journal can do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from reconciler.journal.place import NAME, folder


def runs() -> list[int]:
    """The numbers of all runs. Raises `sqlite3.Error` where the journal cannot be read."""
    return [number for (number,) in _rows("SELECT run FROM entries WHERE what = 'begin' ORDER BY run")]


def settled(environment: str) -> list[str]:
    """HOST KIND NAME of what was ever seen as desired. Raises `sqlite3.Error`."""
    return [ref for (ref,) in _rows("SELECT ref FROM settled WHERE environment = ?", environment)]


def _rows(query: str, *values: Any) -> list[Any]:
    path = folder() / NAME
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)) as data:
        return data.execute(query, values).fetchall()
