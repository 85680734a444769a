"""The quick check against jsonschema itself: it may say no too often, but never yes wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler.environment.conforms import conforms
from reconciler.environment.load import load
from reconciler.environment.schema import environment_schema, kind_schema
from reconciler.kinds import DECLARABLE
from tests import CASES, ROOT

ODD = (None, True, False, 0, 1, -1, 10**9, 1.5, "", "x", "a b", "a\n", [], ["x", "x"], [1], {}, {"x": 1})
FILES = [*(ROOT / "environments").glob("*.yaml"), ROOT / "examples" / "three-hosts.yaml"]
SCHEMA = {**environment_schema(), "properties": {**environment_schema()["properties"], "resources": {}}}


def values() -> Iterator[tuple[Any, dict[str, Any]]]:
    """Valid values with their schemas: whole files, and resources of every kind."""
    for file in FILES:
        document = yaml.safe_load(load(str(file)).text)
        document.pop("resources", None)
        yield document, {**SCHEMA, "properties": {**SCHEMA["properties"], "resources": {"type": "array"}}}
    for kind in DECLARABLE:
        for case in yaml.safe_load_all((CASES / "kinds" / f"{kind.kind}.yaml").read_text("utf-8")):
            for each in (case or {}).get("resources", ()):
                yield each, kind_schema(kind)
        sample = {kind.kind: "/x", "absent": True}
        yield sample, kind_schema(kind)


def spoiled(value: Any) -> Iterator[Any]:
    """The value with one odd part, in every place and of every sort; or with one more, or one less."""
    yield from ODD
    if isinstance(value, dict):
        yield {**value, "unknown": 1}
        for key, each in value.items():
            yield {name: other for name, other in value.items() if name != key}
            for odd in spoiled(each):
                yield {**value, key: odd}
    if isinstance(value, list):
        for number, each in enumerate(value):
            for odd in spoiled(each):
                yield [*value[:number], odd, *value[number + 1 :]]


def filled(schema: Any) -> Iterator[Any]:
    """An odd value for everything that a schema knows, each alone."""
    yield from ODD
    for name, each in schema.get("properties", {}).items():
        for odd in filled(each):
            yield {name: odd}
    if "items" in schema:
        for odd in filled(schema["items"]):
            yield [odd]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_valid_file_conforms_without_jsonschema(file: Any) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document.pop("resources", None)
    assert conforms(document, SCHEMA)


def test_what_conforms_has_no_error_by_jsonschema() -> None:
    accepted = 0
    for value, schema in values():
        validator = Draft202012Validator(schema)
        for each in (*spoiled(value), *({**value, **odd} for odd in filled(schema) if isinstance(odd, dict))):
            if conforms(each, schema):
                accepted += 1
                assert validator.is_valid(each), each
    assert accepted > 500
