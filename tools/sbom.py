"""The list of parts of the package, as CycloneDX: `python -m tools.sbom LOCK` prints it.

What the lock pins, with its hashes, and which part needs which; the graph is that of the installed
distributions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import reconciler

NAME = "reconcile-certificates"
_PIN = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def bom(lock: str) -> Bom:
    """The parts that a lock (the text of a requirements file with hashes) pins."""
    pins = _PIN.findall(lock)
    parts: dict[str, Component] = {canonicalize_name(pin[0]): _part(*pin) for pin in pins}
    made = Bom(components=parts.values())
    made.metadata.component = root = Component(
        name=NAME, version=reconciler.__version__, type=ComponentType.APPLICATION, bom_ref=NAME
    )
    for component in (root, *parts.values()):
        needed = {parts[name] for name in _needs(component.name) if name in parts}
        made.register_dependency(component, needed)
    return made


def _part(name: str, version: str, rest: str) -> Component:
    hashes = re.findall(r"sha256:([0-9a-f]{64})", rest)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", name=canonicalize_name(name), version=version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes],
    )


def _needs(name: str) -> Iterator[str]:
    """What a distribution requires where none of its extras was asked for; nothing where it is
    not installed, because it is for another system."""
    try:
        lines = metadata.requires(name) or ()
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


if __name__ == "__main__":
    print(JsonV1Dot6(bom(Path(sys.argv[1]).read_text(encoding="utf-8"))).output_as_string(indent=2))
