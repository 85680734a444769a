"""Every kind of resource. A class with a `kind` in a module of this package is one of them; no list
names it."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from reconciler.model import Resource


def _found() -> Iterator[type[Resource]]:
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and issubclass(each, Resource) and each.__module__ == module.name:
                yield each


KINDS: Mapping[str, type[Resource]] = {
    # What only lends kinds their common part has no `kind` of its own.
    each.kind: each
    for each in sorted((each for each in _found() if "kind" in vars(each)), key=lambda each: each.kind)
}
"""Every kind by its name, in the order of the names."""

DECLARABLE = tuple(each for each in KINDS.values() if each.declarable)
"""The kinds that the YAML may declare under `resources:`."""
