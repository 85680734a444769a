"""Every kind of resource. A class with a `kind` in a module of this package is one of them; no list
names it."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Resource


def _found() -> Iterator[type[Resource]]:
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and issubclass(each, Resource) and each.__module__ == module.name:
                yield each


KINDS: Mapping[str, type[Resource]]
"""Every kind by its name, in the order of the names."""

DECLARABLE: tuple[type[Resource], ...]
"""The kinds that the YAML may declare under `resources:`."""


def __getattr__(name: str) -> Any:
    """Loads every kind where one of the two is asked for first: `--help` needs none of them."""
    if name not in ("KINDS", "DECLARABLE"):
        raise AttributeError(name)
    # What only lends kinds their common part has no `kind` of its own.
    found = sorted((each for each in _found() if "kind" in vars(each)), key=lambda each: each.kind)
    declarable = tuple(each for each in found if each.declarable)
    globals().update(KINDS={each.kind: each for each in found}, DECLARABLE=declarable)
    return globals()[name]
