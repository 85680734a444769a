"""What commands print, save and read back: lines, JSON documents, saved plans and observations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.cli.exit import Code, CommandError

if TYPE_CHECKING:
    from reconciler.model import Observation, Plan


def print_lines(lines: Iterable[str]) -> None:
    """Prints lines to stdout."""
    for line in lines:
        print(line)


def print_json(document: Any) -> None:
    """Prints a document to stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def save(path: Path, document: Any) -> None:
    """Saves a document as JSON. Raises `CommandError`."""
    write(path, json.dumps(document, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Writes a file completely or not at all. Raises `CommandError`."""
    try:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise CommandError(Code.ERROR, f"{path}: cannot be written ({error.strerror})") from None


def read(path: Path) -> Any:
    """The JSON in a file. Raises `CommandError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(Code.USAGE, f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        saved = "expected a file saved by `plan -o`, `rollback -o` or `observe -o`"
        raise CommandError(Code.USAGE, f"{path}: is not JSON ({error}); {saved}") from None


def saved_plan(file: Path, document: Any) -> Plan:
    """The plan in a document. Raises `CommandError`."""
    from reconciler.output import documents

    try:
        return documents.plan_from(document)
    except documents.NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None


def saved_observation(file: Path, document: Any) -> Observation:
    """The observation in a document. Raises `CommandError`."""
    from reconciler.output import documents

    try:
        return documents.observation_from(document)
    except documents.NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None


def expiry(document: Mapping[str, Any]) -> datetime:
    """Until when a saved plan is valid; the beginning of time where it does not say so."""
    try:
        return datetime.fromisoformat(str(document.get("expires")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
