"""What commands print, save and read back: lines, JSON documents, saved plans and observations."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.cli.exit import Code, CommandError
from reconciler.printable import json_text

if TYPE_CHECKING:
    from reconciler.document import Document
    from reconciler.output.documents.observation import ObservationDocument
    from reconciler.output.documents.plan import PlanDocument


STDOUT = Path("-")
"""What `-o -` names; nothing else goes to stdout then."""


def print_lines(lines: Iterable[str]) -> None:
    """Prints lines to stdout."""
    for line in lines:
        print(line)


def print_json(document: Document) -> None:
    """Prints a document to stdout; in ASCII where that is not UTF-8, for JSON has escapes."""
    from reconciler.document import as_json

    is_utf8 = sys.stdout.encoding.lower() in ("utf-8", "utf8")
    print(json_text(json.dumps(as_json(document), indent=2, ensure_ascii=not is_utf8)))


def save(path: Path, document: Document) -> None:
    """Saves a document as JSON. Raises `CommandError`."""
    from reconciler.document import as_json

    write(path, json.dumps(as_json(document), indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Writes a file completely or not at all; what is not a file (/dev/null, a pipe) is written to, and
    stays what it is; of a link, the file behind it is written; `STDOUT` is printed. Raises
    `CommandError`."""
    if path == STDOUT:
        print(text, end="")
        return
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        file = Path(os.path.realpath(path))
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise CommandError(Code.LOCAL, f"{path}: cannot be written ({error.strerror})") from None


def read(path: Path) -> Any:
    """The JSON in a file. Raises `CommandError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(Code.USAGE, f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        saved = "expected a file saved by `plan -o`, `rollback -o` or `observe -o`"
        raise CommandError(Code.USAGE, f"{path}: is not JSON ({error}); {saved}") from None


def saved_plan(file: Path, tampered: Code = Code.USAGE) -> PlanDocument:
    """The plan in a file, its types and digest checked. Raises `CommandError`, with the code `tampered`
    where the digest is another one."""
    from reconciler.document import NotADocument
    from reconciler.output.documents.plan import Tampered, read_plan

    try:
        return read_plan(read(file))
    except Tampered as error:
        raise CommandError(tampered, f"{file}: {error}", "nothing was done") from None
    except NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None


def saved_observation(file: Path) -> ObservationDocument:
    """The observation in a file, its types checked. Raises `CommandError`."""
    from reconciler.document import NotADocument
    from reconciler.output.documents.observation import read_observation

    try:
        return read_observation(read(file))
    except NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None
