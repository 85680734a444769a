"""What an environment file lists, as it is written: enough to complete names by, and quick to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.environment.include import include
from reconciler.environment.local_files import SIZE
from reconciler.environment.yaml_reader import parse

GROUPS = ("primary", "replicas")
"""The groups that every environment has, as in `environment.settings`, which takes longer to load."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The names in a file; none of them is checked."""

    name: str = ""
    hosts: Sequence[str] = ()
    groups: Sequence[str] = ()
    resources: Sequence[tuple[str, str]] = ()
    """Kind and name of each of `resources:`, by its first key."""


def outline(env: str) -> Outline:
    """The outline of a path, or of environments/ENV.yaml; empty where the YAML is broken. Raises `OSError`
    where it cannot be read."""
    path = Path(env)
    if "/" not in env and not path.is_file():
        path = Path("environments") / f"{env}.yaml"
    if path.stat().st_size > SIZE:
        return Outline()
    placed = parse(str(path), path.read_bytes())
    include(placed)
    if placed.problems or not isinstance(placed.value, dict):
        return Outline()
    hosts = [each for each in _list(placed.value, "hosts") if isinstance(each, dict)]
    resources = [each for each in _list(placed.value, "resources") if isinstance(each, dict) and each]
    return Outline(
        name=str(placed.value.get("environment", "")),
        hosts=[str(each["name"]) for each in hosts if "name" in each],
        groups=sorted(
            {
                *GROUPS,
                *(str(group) for each in hosts for group in (*_list(each, "groups"), *_word(each, "site"))),
            }
        ),
        resources=[(str(kind), str(name)) for kind, name in (next(iter(each.items())) for each in resources)],
    )


def _word(value: dict[str, Any], key: str) -> list[Any]:
    return [value[key]] if isinstance(value.get(key), str) else []


def _list(value: dict[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []
