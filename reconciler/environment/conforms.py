"""Whether a value certainly conforms to its schema. Pure.

jsonschema takes as long to load as the rest of `validate` takes to run, and most files are
valid. This knows only the keywords that our schemas use, and says no wherever it is not certain:
then jsonschema judges, and words what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
_NO_CONDITION = {"$schema", "title", "description", "default", "x-want", "$defs", "if"}
"""Keywords that ask for nothing; `if` is looked at by `then` and `else`."""

Schema = Mapping[str, Any]


def conforms(value: Any, schema: Schema) -> bool:
    """Whether jsonschema would find nothing wrong (draft 2020-12); False where that is not certain."""
    return all(
        keyword in _NO_CONDITION or _holds(keyword, wanted, value, schema)
        for keyword, wanted in schema.items()
    )


def _holds(keyword: str, wanted: Any, value: Any, schema: Schema) -> bool:
    for_type, rule = _RULES.get(keyword, (object, lambda *_: False))
    if not isinstance(value, for_type) and isinstance(schema.get("type"), list):
        return True  # a keyword asks nothing of a value of another type; which it may have, `type` says
    return isinstance(value, for_type) and bool(rule(wanted, value, schema))


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _of_type(wanted: Any, value: Any, schema: Schema) -> bool:
    if isinstance(wanted, list):
        return any(_of_type(each, value, schema) for each in wanted)
    known = isinstance(wanted, str) and isinstance(value, _TYPES.get(wanted, ()))
    return known and isinstance(value, bool) == (wanted == "boolean")


def _only_known(wanted: Any, value: Any, schema: Schema) -> bool:
    if wanted is False:
        return bool(value.keys() <= schema["properties"].keys())
    return "properties" not in schema and all(conforms(each, wanted) for each in value.values())


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches the pattern of a schema, whose `$` is the end of the text; in Python, it is also
    before a newline at the end (re, "Regular Expression Syntax"; ECMA-262, without the flag m)."""
    return bool(re.search(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern, text))


def _unique(_: Any, value: Any, __: Schema) -> bool:
    return all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _is(value: Any, schema: Schema, holds: bool) -> bool:
    """Whether the condition of a schema certainly holds, or certainly does not."""
    condition = schema["if"]
    if condition.keys() != {"required"} or not isinstance(value, dict):
        return False
    return (set(condition["required"]) <= value.keys()) is holds


_RULES: Mapping[str, tuple[type, Callable[[Any, Any, Schema], Any]]] = {
    "type": (object, _of_type),
    "enum": (object, lambda wanted, value, _: any(_equal(each, value) for each in wanted)),
    "const": (object, lambda wanted, value, _: _equal(wanted, value)),
    "then": (object, lambda wanted, value, schema: _is(value, schema, False) or conforms(value, wanted)),
    "else": (object, lambda wanted, value, schema: _is(value, schema, True) or conforms(value, wanted)),
    "allOf": (object, lambda wanted, value, _: all(conforms(value, each) for each in wanted)),
    "anyOf": (object, lambda wanted, value, _: any(conforms(value, each) for each in wanted)),
    "pattern": (str, lambda wanted, value, _: matches(wanted, value)),
    "propertyNames": (dict, lambda wanted, value, _: all(conforms(each, wanted) for each in value)),
    "minLength": (str, lambda wanted, value, _: len(value) >= wanted),
    "maxLength": (str, lambda wanted, value, _: len(value) <= wanted),
    "minimum": (int, lambda wanted, value, _: value >= wanted),
    "maximum": (int, lambda wanted, value, _: value <= wanted),
    "minItems": (list, lambda wanted, value, _: len(value) >= wanted),
    "items": (list, lambda wanted, value, _: all(conforms(each, wanted) for each in value)),
    "uniqueItems": (list, _unique),
    "required": (dict, lambda wanted, value, _: set(wanted) <= value.keys()),
    "properties": (
        dict,
        lambda wanted, value, _: all(
            conforms(value[name], each) for name, each in wanted.items() if name in value
        ),
    ),
    "additionalProperties": (dict, _only_known),
}
"""For each keyword, to what values it applies, and what it asks of one: (wanted, value, schema)."""
