"""The JSON Schemas of the documents, made of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler import document
from reconciler.document import Document
from reconciler.monitor.notices import Notice
from reconciler.output.documents import (
    drifts,
    forecast,
    health,
    log,
    observation,
    plan,
    resources,
    results,
    status,
    tasks,
)

DOCUMENTS: tuple[type[Document], ...] = (
    results.ApplyDocument,
    results.ApprovalDocument,
    health.DoctorDocument,
    drifts.DriftsDocument,
    resources.ExplainDocument,
    forecast.ForecastDocument,
    results.FilesDocument,
    resources.GraphDocument,
    results.HistoryDocument,
    resources.ImportDocument,
    results.LocksDocument,
    log.LogDocument,
    Notice,
    observation.ObservationDocument,
    plan.PlanDocument,
    status.StatusDocument,
    tasks.TaskDocument,
    tasks.AnswerDocument,
    results.ValidationDocument,
    results.FormattingDocument,
    results.VerifyDocument,
)


def document_schema(kind: type[Document]) -> dict[str, Any]:
    """The JSON Schema of a document; the classes of its parts are in `$defs`."""
    made = document.schema(kind)
    definitions: dict[str, Any] = {}
    for name, each in made["$defs"].items():
        # msgspec takes what has a default for optional, but a document of ours always has it.
        # Only what may be left out (`UNSET`) has no default in the schema.
        always = {key for key, field in each["properties"].items() if "default" in field}
        required = [key for key in each["properties"] if key in {*each["required"], *always}]
        definitions[name] = _tidied({**each, "required": required})
    top = definitions.pop(made["$ref"].rpartition("/")[2])
    name = top["properties"]["document"]["const"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"reconcile: {name}",
        **top,
        **({"$defs": definitions} if definitions else {}),
    }


def _tidied(node: Any) -> Any:
    """Without what only Python has (names of classes, defaults, indents), and in fewer lines: `const`
    for an enumeration of one, a list of types for a choice of them."""
    if isinstance(node, list):
        return [_tidied(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _tidied(each) for key, each in node.items()}
    for key in ("title", "default"):
        if not isinstance(node.get(key, {}), dict):  # a field may have that name
            del node[key]
    if isinstance(text := node.get("description"), str):
        node["description"] = " ".join(text.split())
    if len(node.get("enum", ())) == 1:
        node["const"] = node.pop("enum")[0]
    if all(isinstance(each.get("type"), str) for each in node.get("anyOf", [{}])):
        choices = node.pop("anyOf")
        types = [each["type"] for each in choices]
        node = {**{key: value for each in choices for key, value in each.items()}, **node, "type": types}
    return node


def inlined(schema: Mapping[str, Any]) -> Any:
    """A schema with the parts in their places, for those who read it from top to bottom."""
    definitions = schema.get("$defs", {})

    def within(node: Any) -> Any:
        if isinstance(node, list):
            return [within(each) for each in node]
        if not isinstance(node, dict):
            return node
        node = {key: within(each) for key, each in node.items() if key != "$defs"}
        part = within(definitions[node.pop("$ref").rpartition("/")[2]]) if "$ref" in node else {}
        return {**part, **node}

    return _tidied(within(schema))
