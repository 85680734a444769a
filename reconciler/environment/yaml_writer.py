"""An environment as the file that declares it. Pure.

What equals the default is left out; a remark is a comment where its setting would stand.
"""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.environment.certificate import Fallback
from reconciler.environment.form import VERSION
from reconciler.environment.ordered import said
from reconciler.environment.services import TomcatTls
from reconciler.environment.settings import Environment, HostSsh

Remarks = Mapping[str, Sequence[str]]
"""What to say of a setting, by its name (`certificate.email`); of the whole file under ``."""

SECTIONS = ("ssh", "sync", "certificate", "paths", "services")
WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def text(environment: Environment, schema: str, remarks: Remarks) -> str:
    """The file, with the line by which editors check it first."""
    lines = [f"# yaml-language-server: $schema={schema}", *_comments("", remarks, "")]
    lines += [f"version: {VERSION}", f"environment: {scalar(environment.name)}"]
    lines += [*_comments("router", remarks, ""), f"router: {scalar(environment.router)}"]
    lines += ["", *_comments("hosts", remarks, ""), "hosts:"]
    for host in environment.hosts:
        first, *more = _settings(host, "", {}, "    ")
        lines += [f"  - {first.strip()}", *more]
    for name in SECTIONS:
        section = list(_section(name, getattr(environment, name), remarks))
        lines += ["", *section] if section else []
    further = list(_entries(environment, remarks))
    return "\n".join([*lines, "", *further] if further else lines) + "\n"


def _entries(environment: Environment, remarks: Remarks) -> Iterable[str]:
    """The further certificates that are ordered."""
    yield from _comments("certificates", remarks, "")
    if environment.ordered:
        yield "certificates:"
    for entry in environment.ordered:
        yield f"  - name: {scalar(entry.name)}"
        yield f"    names: {scalar(entry.names)}"
        if entry.hosts is not None:
            yield f"    hosts: {scalar(entry.hosts)}"
        for key, value in said(environment.certificate, entry).items():
            if isinstance(value, Fallback):
                yield f"    {key}:"
                yield from _settings(value, "", {}, "      ")
            else:
                yield f"    {key}: {scalar(value)}"


def scalar(value: Any) -> str:
    """A value as YAML reads it back: plain where that is safe, else in double quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(scalar(each) for each in value)}]"
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return str(value)
    quoted = json.dumps(value, ensure_ascii=False)
    # YAML 1.2, section 5.1: JSON lets through a few characters that YAML does not print.
    return "".join(
        c if c.isprintable() else f"\\U{ord(c):08x}" if ord(c) > 0xFFFF else f"\\u{ord(c):04x}"
        for c in quoted
    )


def _section(name: str, section: Any, remarks: Remarks) -> Iterable[str]:
    settings = list(_settings(section, f"{name}.", remarks, "  "))
    if any(not line.lstrip().startswith("#") for line in settings):
        yield f"{name}:"
        yield from settings
    else:  # a section that holds nothing is none
        for each in dataclasses.fields(section):
            yield from _comments(f"{name}.{each.name}", remarks, "", each=f"{name}.{each.name}")


def _settings(section: Any, prefix: str, remarks: Remarks, indent: str) -> Iterable[str]:
    """The settings of a section that are not as they would be anyway, and what is to be said."""
    for each in dataclasses.fields(section):
        name, value = f"{prefix}{each.name}", getattr(section, each.name)
        yield from _comments(name, remarks, indent, each=each.name)
        if isinstance(value, TomcatTls):
            # That there is one is said by its port, even where that is the usual one.
            inner = list(_settings(value, f"{name}.", remarks, f"{indent}  "))
            usual = value.port == TomcatTls.port
            yield f"{indent}{each.name}:"
            yield from [f"{indent}  port: {value.port}"] if usual else []
            yield from inner
        elif isinstance(value, (HostSsh, Fallback)):
            yield f"{indent}{each.name}:"
            yield from _settings(value, f"{name}.", remarks, f"{indent}  ")
        elif "doc" in each.metadata and value != each.default:
            yield f"{indent}{each.name}: {scalar(value)}"


def _comments(name: str, remarks: Remarks, indent: str, each: str = "") -> Iterable[str]:
    for remark in remarks.get(name, ()):
        told = "".join(c if c.isprintable() else "?" for c in (f"{each}: {remark}" if each else remark))
        for line in textwrap.wrap(told, WIDTH - len(indent), break_long_words=False, break_on_hyphens=False):
            yield f"{indent}# {line}"
