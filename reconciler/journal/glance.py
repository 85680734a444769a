"""What completion needs of the journal, without all that a journal can do."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing, suppress
from typing import Any

from reconciler.journal.place import NAME, folder


def runs() -> list[int]:
    """The numbers of all runs. Raises `sqlite3.Error` where the journal cannot be read."""
    return [number for (number,) in _rows("SELECT run FROM entries WHERE what = 'begin' ORDER BY run")]


def runs_elsewhere() -> list[str]:
    """What runs of other machines are called (`x3f2a9c1b04d2`); none in a journal of a version that did not
    know of them."""
    with suppress(sqlite3.OperationalError):
        told = _rows("SELECT line FROM elsewhere ORDER BY number")
        # A line is its digest, a signature and the JSON that they are of (`journal.lines`).
        found = (re.search(r'"run":\s*"(x[0-9a-f]+)"', line) for (line,) in told)
        return list(dict.fromkeys(each[1] for each in found if each))
    return []


def file_of(run: str) -> str:
    """The environment file that a run was of; "" where there is no such run."""
    rows = _rows("SELECT body FROM entries WHERE what = 'begin' AND run = ?", run)
    return str(json.loads(rows[0][0]).get("file", "")) if rows else ""


def hosts() -> list[str]:
    """The hosts of all that was ever seen as desired."""
    return [host for (host,) in _rows("SELECT DISTINCT substr(ref, 1, instr(ref, ' ') - 1) FROM settled")]


def settled(environment: str) -> list[str]:
    """HOST KIND NAME of what was ever seen as desired. Raises `sqlite3.Error`."""
    return [ref for (ref,) in _rows("SELECT ref FROM settled WHERE environment = ?", environment)]


def _rows(query: str, *values: Any) -> list[Any]:
    path = folder() / NAME
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)) as data:
        return data.execute(query, values).fetchall()
