"""What JSON documents are made of: their base class, and how one is read. The door to msgspec.

A document is a class and nothing else: msgspec writes it as JSON, makes its JSON Schema (`make
schemas`), and checks the types of one that is read, once, at the door.

No document holds a secret: of what is fed to a command only the size is told, contents are digests
and, where they are not secret, unified diffs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

__all__ = ["UNSET", "Document", "Meta", "NotADocument", "Part", "UnsetType", "replace"]

WORDS = {
    "str": "text", "int": "a whole number", "bool": "true or false", "array": "a list", "null": "null",
    "object": "an object",
}  # fmt: skip


class NotADocument(ValueError):
    """A file is not the document it is taken for. The message says where in it (`actions[0].verb`),
    what was expected there and what was found."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document. A field that may be left out has `UNSET` as its default."""


class Document(Part, frozen=True, kw_only=True):
    """A document. Each class also has its name: `document: Literal["plan"] = "plan"`."""

    version: Literal[1] = 1


_Document = TypeVar("_Document", bound=Document)


def as_json(document: Part) -> dict[str, Any]:
    """The document as `json.dumps` takes it."""
    found: dict[str, Any] = msgspec.to_builtins(document)
    return found


def schema(kind: type[Document]) -> dict[str, Any]:
    """The JSON Schema of a document as msgspec makes it: `$ref` and `$defs`, a definition for each class."""
    return msgspec.json.schema(kind)


def check_name(found: Any, name: str, expected: str, version: int = 1) -> None:
    """Whether parsed JSON says that it is a document of this name and version. `expected` is
    for people: "a plan saved by `reconcile plan -o`". Raises `NotADocument`."""
    if not isinstance(found, dict) or found.get("document") != name:
        raise NotADocument(f"expected {expected}, found {_named(found)}")
    if found.get("version") != version:
        raise NotADocument(f"version: expected {version}, found {_named(found.get('version'))}")


def read(kind: type[_Document], found: Any) -> _Document:
    """The document in parsed JSON. Raises `NotADocument` for the first thing in it that is wrong."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise NotADocument(_explained(kind, found, str(error))) from None
    except UnicodeEncodeError:
        raise NotADocument("one of its fields has a name that is not UTF-8") from None


def check_time(name: str, text: str) -> None:
    """Raises ValueError where the field of this name is not a time (ISO 8601) with its zone."""
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError(
            f".{name}: expected a time with its zone (2026-01-31T12:00:00Z), found {_named(text)}"
        )


def _explained(kind: type[Document], found: Any, error: str) -> str:
    """Msgspec's message ("Expected `str`, got `int` - at `$.actions[0].host`") in our words."""
    message, _, place = error.partition(" - at `$")
    path, value = _followed(kind, found, re.findall(r"\w+|\.\.\.", place))
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    field = re.search(r"field `(.*)`", message)
    if field and "missing" in message:
        text = f"{where}.{field[1]}: is missing"
    elif field:
        text = f"{where}.{field[1]}: no such field is known"
    elif types := re.match(r"Expected `([^`]*)`, got", message):
        expected = " or ".join(WORDS.get(word, word) for word in types[1].split(" | "))
        text = f"{where}: expected {expected}, found {_named(value)}"
    elif "enum" in message:
        expected = ", ".join(map(str, _allowed(kind, path)))
        text = f"{where}: expected one of {expected}, found {_named(value)}"
    elif pattern := re.search(r"regex '(.*)'", message):
        text = f"{where}: expected text that matches {pattern[1]}, found {_named(value)}"
    else:
        text = f"{where}{'' if message.startswith('.') else ': '}{message}"
    return text.removeprefix(".").removeprefix(": ")


def _followed(kind: type[Document], found: Any, parts: Sequence[str]) -> tuple[list[str | int], Any]:
    """Where that is, and what is there. Of a mapping msgspec does not say which key it means
    (`[...]`): it is the first that is refused when it is alone."""
    path: list[str | int] = []
    found = value = deepcopy(found)
    for part in parts:
        key: Any = int(part) if isinstance(value, list) else part
        if part == "...":
            key = next(each for each in list(value) if _refused_alone(kind, found, value, each))
        path.append(key)
        value = value[key]
    return path, value


def _refused_alone(kind: type[Document], found: Any, mapping: dict[str, Any], key: str) -> bool:
    every = dict(mapping)
    mapping.clear()
    mapping[key] = every[key]
    try:
        msgspec.convert(found, kind)
    except msgspec.ValidationError:
        return True
    finally:
        mapping.update(every)
    return False


def _allowed(kind: type[Document], path: Sequence[str | int]) -> Sequence[Any]:
    """The values that a class allows at a place."""
    whole = schema(kind)
    node = whole
    for part in (*path, None):
        while "$ref" in node or "anyOf" in node:
            node = whole["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node["anyOf"][0]
        if part is not None:
            node = (
                node["items"]
                if isinstance(part, int)
                else node.get("properties", {}).get(part) or node["additionalProperties"]
            )
    allowed: Sequence[Any] = node["enum"]
    return allowed


def _named(value: Any) -> str:
    if isinstance(value, dict):
        name = value.get("document")
        return f"the document {json.dumps(name)}" if isinstance(name, str) else "an object"
    return "a list" if isinstance(value, list) else json.dumps(value)[:60]
