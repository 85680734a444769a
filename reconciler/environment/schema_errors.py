"""A file against its JSON Schema, with messages for people. The one door for jsonschema."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.environment.conforms import conforms, matches
from reconciler.environment.schema import environment_schema, kind_schema
from reconciler.environment.yaml_reader import Number, Path, Placed, Problem
from reconciler.kinds import DECLARABLE, KINDS

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list (`- …` items)",
    "object": "keys with values",
}


def check(placed: Placed) -> list[Problem]:
    """Everything in which the document is not as the schema wants it."""
    schema = environment_schema()
    # Items are checked against the one kind that they name: "none of sixteen" helps nobody.
    schema["properties"]["resources"] = {"type": "array"}
    problems = _problems(placed, (), _errors(placed.value, schema))
    items = placed.value.get("resources") if isinstance(placed.value, dict) else None
    schemas: dict[str, Any] = {}
    for number, item in enumerate(items if isinstance(items, list) else ()):
        path: Path = ("resources", number)
        kind, problem = _kind(item)
        if kind is None:
            problems.append(Problem(placed.place(path), problem))
            continue
        if kind not in schemas:
            schemas[kind] = kind_schema(KINDS[kind])
        problems += _problems(placed, path, _errors(item, schemas[kind]))
    return problems


def _errors(value: Any, schema: Mapping[str, Any]) -> Iterable[Any]:
    if conforms(value, schema):
        return ()
    from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: PLC0415 - slow to load

    def pattern(_: Any, wanted: str, text: Any, __: Any) -> Iterable[Any]:
        if isinstance(text, str) and not matches(wanted, text):
            yield ValidationError(f"{text!r} does not match {wanted!r}")

    validator = validators.extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return validator(schema).iter_errors(value)  # type: ignore[no-any-return]


def _kind(item: Any) -> tuple[str | None, str]:
    known = [kind.kind for kind in DECLARABLE]
    if not isinstance(item, dict):
        return None, "a resource is keys with values, such as `- file: /etc/motd`"
    found = [key for key in item if key in known]
    if len(found) == 1:
        return found[0], ""
    if found:
        return None, f"a resource is of one kind; this one names {' and '.join(found)}"
    near = next((hint for key in item if (hint := nearest(key, known))), "")
    return None, f"no key names a kind{near} (kinds: {', '.join(known)})"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like one, as the end of a message; empty where none is."""
    near = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def _problems(placed: Placed, base: Path, errors: Iterable[Any]) -> list[Problem]:
    found = []
    for error in errors:
        path: Path = (*base, *error.absolute_path)
        if error.validator == "additionalProperties":
            allowed = error.schema["properties"]
            for key in sorted(set(error.instance) - set(allowed)):
                near = nearest(key, allowed)
                known = ", ".join(sorted(allowed))
                where = placed.keys.get((*path, key), placed.place(path))
                found.append(Problem(where, f'unknown key "{key}"{near} (known: {known})'))
            continue
        found.append(Problem(placed.place(path), _message(path, error)))
    return found


def _message(path: Path, error: Any) -> str:
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    value, schema = error.instance, error.schema
    match error.validator:
        case "type":
            return _wrong_type(name, value, error.validator_value, schema)
        case "required":
            missing = next(key for key in error.validator_value if key not in value)
            return f'"{missing}" is missing'
        case "pattern":
            return f"{name}: {_shortened(value)} is not {schema.get('x-want', 'of the right form')}"
        case "enum":
            return f"{name}: {_shortened(value)} is not one of {', '.join(map(str, error.validator_value))}"
        case "minItems" | "minLength":
            return f"{name}: must not be empty"
        case "maxLength":
            return f"{name}: is longer than {error.validator_value} characters"
        case "uniqueItems":
            return f"{name}: is there twice"
        case "minimum" | "maximum":
            side = "at least" if error.validator == "minimum" else "at most"
            return f"{name}: {value} is out of range; {side} {error.validator_value}"
        case "anyOf":
            return f"{_needed(error)} is missing; only with `absent: true` is it not needed"
        case _:
            return f"{name}: {error.message}"


def _needed(error: Any) -> str:
    return " or ".join(f'"{each["required"][0]}"' for each in error.validator_value)


def _wrong_type(name: str, value: Any, wanted: str, schema: Mapping[str, Any]) -> str:
    right = schema.get("x-want") or TYPES[wanted]
    if wanted == "string" and isinstance(value, Number):
        return f'{name}: YAML reads {value.written} as a number; write it in quotes: "{value.written}"'
    if wanted == "string" and isinstance(value, bool):
        return f"{name}: YAML reads this as true or false; write it in quotes"
    if value is None:
        return f"{name}: has no value; wanted is {right}"
    return f"{name}: {_shortened(value)} is not {right}"


def _shortened(value: Any) -> str:
    text = str(value) if not isinstance(value, (dict, list)) else "this"
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"' if text != "this" else text
