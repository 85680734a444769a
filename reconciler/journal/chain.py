"""The chain of hashes over the entries of the journal, and what was changed in it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def broken_links(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Which entries are missing or were changed, one line each. `rows` are all entries in their
    order, each with its hash at the end."""
    before, last = "", 0
    for *row, kept in rows:
        number = row[0]
        if number != last + 1:
            yield f"entry {last + 1} is missing"
        elif chained(before, tuple(row)) != kept:
            yield f"entry {number} ({row[1]}) was changed after it was written, or the one before it was"
        before, last = kept, number if isinstance(number, int) else last + 1


def cut_off(rows: Iterable[tuple[Any, ...]], kept: str | None) -> Iterator[str]:
    """What is missing at the end, in one line. `kept` is the text of the record of the end, which may lag
    behind: how many entries there were, and the hash of the last of them."""
    hashes = {row[0]: row[-1] for row in rows}
    if kept is None:
        if hashes:
            yield "the record of its end, journal.head, is missing: entries may have been cut off"
        return
    number, _, digest = kept.strip().partition(" ")
    if not number.isdecimal() or len(digest) != 64:
        yield "the record of its end, journal.head, was changed"
    elif int(number) not in hashes:
        yield f"entries were cut off at its end: there were {number} (journal.head)"
    elif hashes[int(number)] != digest:
        yield f"entry {number} is another than the one that was written (journal.head)"


def changed_texts(texts: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """Which environment files no longer have the SHA-256 that they are kept under."""
    for digest, text in texts:
        if not isinstance(text, bytes) or hashlib.sha256(text).hexdigest() != digest:
            yield f"the environment file {str(digest)[:12]} was changed after it was recorded"


def chained(before: str, row: tuple[Any, ...]) -> str:
    """The hash of an entry: over the hash of the one before it, and all that it says."""
    text = json.dumps(row, ensure_ascii=True, default=repr)  # whatever somebody has put there
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def parsed(body: str) -> dict[str, Any]:
    """The body of a row. Raises `ValueError` or `TypeError` where it is not a JSON object."""
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise TypeError(type(found).__name__)
    return found


def canonical(body: Mapping[str, Any]) -> str:
    """The body of an entry as text: the same for the same body."""
    return json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
