"""The schemas as they are committed, and documents held against them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from tests import ROOT

SCHEMAS = ROOT / "schemas"


def committed(name: str) -> dict[str, Any]:
    """A committed schema by the name of its file."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def hold(document: object, name: str) -> None:
    """Raises `jsonschema.ValidationError` where a document is not as its schema says."""
    jsonschema.validate(document, committed(name))
