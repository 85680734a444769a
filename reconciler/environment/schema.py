"""The JSON Schema of the environment file, made from the classes that it becomes. Pure.

`make schemas` writes it, for editors; a test compares.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any

from reconciler.environment.brought import Brought
from reconciler.environment.certificate import Certificate, Fallback
from reconciler.environment.form import VERSION
from reconciler.environment.ordered import OWN_ALONE, Ordered
from reconciler.environment.rules import HOST_NAME, Acknowledged, Notices, Policy
from reconciler.environment.services import Consumer, Services, TomcatTls
from reconciler.environment.settings import WORD, Host, HostSsh, Nats, Paths, SiteSettings, Ssh, Sync
from reconciler.kinds import DECLARABLE
from reconciler.kinds.paths import LINE
from reconciler.model import LocalFile, Resource


def needed(kind: type[Resource]) -> list[tuple[str, ...]]:
    """What a resource of a kind needs unless it is declared absent: one key of each group."""
    return [
        (each.name, *each.metadata["files"])
        for each in dataclasses.fields(kind)
        if each.metadata.get("needed")
    ]


def local_files(kind: type[Resource]) -> dict[str, tuple[str, LocalFile]]:
    """The keys that name a local file, each with the option that gets its text."""
    return {
        key: (each.name, file)
        for each in dataclasses.fields(kind)
        for key, file in each.metadata.get("files", {}).items()
    }


def options(cls: type[Any]) -> dict[str, dict[str, Any]]:
    """The schema of each field of a class that the YAML may set."""
    hints = _hints(cls)  # type: ignore[arg-type]  # mypy: a class is not Hashable
    found = {}
    for each in dataclasses.fields(cls):
        if "doc" in each.metadata:
            schema = _type(hints[each.name]) | each.metadata["schema"]
            schema["description"] = each.metadata["doc"]
            if each.default not in (dataclasses.MISSING, None, ()) and not each.metadata["needed"]:
                schema["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
            found[each.name] = schema
    return found


# It compiles each annotation anew, and takes most of the time that the schema does.
_hints = functools.cache(typing.get_type_hints)


def _type(hint: Any) -> dict[str, Any]:
    plain = {str: "string", bool: "boolean", int: "integer"}
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        found = [_type(each) for each in arguments if each is not type(None)]
        return found[0] if len(found) == 1 else {"type": [each["type"] for each in found]}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _type(arguments[0])}
    if hint in plain:
        return {"type": plain[hint]}
    return {"type": "object"}


def kind_schema(kind: type[Resource]) -> dict[str, Any]:
    """The schema of one item under `resources:`."""
    own = options(kind)
    named = {kind.kind: own.pop(kind.title)}
    local = {
        key: {"type": "string", "description": file.text, **LINE}
        for key, (_, file) in local_files(kind).items()
    }
    always = [
        each.name
        for each in dataclasses.fields(kind)
        if each.name in own and each.default is dataclasses.MISSING
    ]
    shared = {
        "hosts": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string"},
            "description": "The hosts it is for: names, groups, `primary`, `replicas`; all by default.",
        },
        "needs": {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": r"^\S+ \S",
                "x-want": "KIND NAME or HOST KIND NAME",
            },
            "description": "What must be settled first: `KIND NAME` on the same host, or `HOST KIND NAME`.",
        },
    }
    schema: dict[str, Any] = {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split()),
        "properties": named | own | local | shared,
        "required": [kind.kind, *always],
        "additionalProperties": False,
    }
    if groups := needed(kind):
        schema["if"] = {"not": {"required": ["absent"], "properties": {"absent": {"const": True}}}}
        schema["then"] = {"allOf": [{"anyOf": [{"required": [key]} for key in group]} for group in groups]}
    return schema


def _section(cls: type[Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": " ".join((cls.__doc__ or "").split()),
        "properties": options(cls),
        "additionalProperties": False,
    }


def _services() -> dict[str, Any]:
    section = _section(Services)
    section["properties"]["tomcat_tls"] = _section(TomcatTls)
    return section


def _certificate() -> dict[str, Any]:
    section = _section(Certificate)
    section["properties"]["fallback"] = _section(Fallback) | {"required": ["server"]}
    return section


def _ordered() -> dict[str, Any]:
    """A further certificate that is ordered: what it may say of all that `certificate` says; nothing is the
    default but what is said there."""
    section = _section(Ordered) | {"required": ["name", "names"]}
    for name, schema in options(Certificate).items():
        if name not in OWN_ALONE:
            section["properties"][name] = {key: each for key, each in schema.items() if key != "default"}
    section["properties"]["fallback"] = _certificate()["properties"]["fallback"]
    return section


def _sections() -> dict[str, Any]:
    known = _section(Acknowledged) | {"required": ["kind", "owner", "reason", "until"]}
    return {
        "ssh": _section(Ssh),
        "sync": _section(Sync),
        "certificate": _certificate(),
        "paths": _section(Paths),
        "services": _services(),
        "consumers": {
            "type": "array",
            "items": _section(Consumer) | {"required": ["unit", "port"]},
            "description": "Further services that use the certificate.",
        },
        "certificates": {
            "type": "array",
            "items": {
                "type": "object",
                "if": {"required": ["file"]},
                "then": _section(Brought) | {"required": ["name", "file"]},
                "else": _ordered(),
            },
            "description": "Further certificates. One with `file` is brought by somebody: looked at and"
            " proven, never ordered. One without is ordered.",
        },
        "policy": _section(Policy),
        "notices": _section(Notices),
        "acknowledged": {"type": "array", "items": known, "description": "Drift that is known."},
    }


_FIRST: dict[str, Any] = {
    "version": {
        "type": "integer",
        "enum": [VERSION],
        "default": VERSION,
        "description": "The version of this file's form; `reconcile fmt` brings it to the latest.",
    },
    "environment": {
        "type": "string",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9-]*$",
        "x-want": "a name of letters, digits and `-`",
        "description": "What the environment is called; it marks lines on hosts as ours.",
    },
    "include": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Files below this one's folder with what it has in common with others."
        " Mappings are merged key by key; of anything else, this file's counts, then the last one's.",
    },
    "router": {
        "type": "string",
        **HOST_NAME,
        "description": "The name in front of all hosts; the certificate's first name."
        " Needed unless `blueprint` is false.",
    },
}


def environment_schema() -> dict[str, Any]:
    """The schema of the environment file (JSON Schema, draft 2020-12)."""
    host = _section(Host) | {"required": ["name"]}
    host["properties"]["ssh"] = _section(HostSsh)
    site = _section(SiteSettings)
    site["properties"]["ssh"] = _section(HostSsh)
    retired = host | {"properties": {k: v for k, v in host["properties"].items() if k != "primary"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "reconcile: an environment",
        "type": "object",
        "properties": {
            **_FIRST,
            "hosts": {"type": "array", "minItems": 1, "items": host, "description": "The hosts."},
            "retired": {
                "type": "array",
                "items": retired,
                "description": "Hosts that left: what they were trusted with is taken away from them.",
            },
            "sites": {
                "type": "object",
                "propertyNames": WORD,
                "additionalProperties": site,
                "description": "The sites, by name, whose hosts are looked at by a machine there.",
            },
            "nats": _section(Nats) | {"required": ["servers"]},
            **_sections(),
            "blueprint": {
                "type": "boolean",
                "default": True,
                "description": "Whether the hosts are coordinating nodes; if not, only `resources` count,"
                " and neither a router nor a primary is needed.",
            },
            "resources": {
                "type": "array",
                "items": {"oneOf": [{"$ref": f"#/$defs/{kind.kind}"} for kind in DECLARABLE]},
                "description": "Anything else that is desired.",
            },
        },
        "required": ["environment", "hosts"],
        "if": {"not": {"required": ["blueprint"], "properties": {"blueprint": {"const": False}}}},
        "then": {"required": ["router"]},
        "additionalProperties": False,
        "$defs": {kind.kind: kind_schema(kind) for kind in DECLARABLE},
    }
