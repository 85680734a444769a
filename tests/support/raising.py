"""What a function raises to its caller, as far as its own module shows it.

Counted are `raise X` and `raise X(...)` that no `try` around them catches, in the function
itself and in the private functions and methods of its module that it calls.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def bases_of(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """By the name of each class of these modules, the names of its bases."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {each.name: {ast.unparse(base).rpartition(".")[2] for base in each.bases} for each in classes}


class Module:
    """A module, asked what its functions raise. `bases` is what `bases_of` returns."""

    def __init__(self, tree: ast.Module, bases: Mapping[str, set[str]]) -> None:
        self._bases = bases
        self._private: dict[str, Function] = {}
        for node in ast.walk(tree):
            if isinstance(node, Function) and node.name.startswith("_"):
                self._private.setdefault(node.name, node)
        self._known: dict[str, set[str]] = {}

    def raised(self, function: Function) -> set[str]:
        """The names of the exceptions that reach the caller of a function."""
        found: set[str] = set()
        for statement in function.body:
            found |= self._in(statement)
        return found

    def _in(self, node: ast.AST) -> set[str]:
        if isinstance(node, SCOPES):
            return set()
        if isinstance(node, ast.Try):
            return self._in_try(node)
        if isinstance(node, ast.With):
            parts = [*node.body, *(item.context_expr for item in node.items)]
            inside = {name for each in parts for name in self._in(each)}
            return {name for name in inside if not self.lineage(name) & _suppressed(node)}
        found: set[str] = set()
        if isinstance(node, ast.Raise):
            found |= set(_named(node.exc))
        elif isinstance(node, ast.Call):
            found |= self._called(node.func)
        return found.union(*(self._in(child) for child in ast.iter_child_nodes(node)))

    def _in_try(self, node: ast.Try) -> set[str]:
        caught = {name for handler in node.handlers for name in _caught(handler)}
        inside = {name for each in node.body for name in self._in(each) if not self.lineage(name) & caught}
        rest = [*node.orelse, *node.finalbody, *(each for handler in node.handlers for each in handler.body)]
        return inside.union(*(self._in(each) for each in rest))

    def _called(self, function: ast.expr) -> set[str]:
        mine = isinstance(function, ast.Attribute) and ast.unparse(function.value) in ("self", "cls")
        name = function.attr if mine and isinstance(function, ast.Attribute) else ast.unparse(function)
        if name not in self._private:
            return set()
        if name not in self._known:
            self._known[name] = set()  # of a function that calls itself
            self._known[name] = self.raised(self._private[name])
        return self._known[name]

    def lineage(self, name: str) -> set[str]:
        """A class of exceptions and all that it inherits from."""
        built = getattr(builtins, name, None)
        if isinstance(built, type):
            return {each.__name__ for each in built.__mro__}
        return {name, "Exception", "BaseException"}.union(
            *(self.lineage(base) for base in self._bases.get(name, ()))
        )


def _named(raised: ast.expr | None) -> Iterator[str]:
    """The class in `raise X` or `raise X(...)`; nothing where a value is raised again."""
    if isinstance(raised, ast.Call):
        raised = raised.func
    name = ast.unparse(raised).rpartition(".")[2] if isinstance(raised, ast.Name | ast.Attribute) else ""
    if name[:1].isupper():
        yield name


def _suppressed(block: ast.With) -> set[str]:
    """What a `with suppress(…)` catches."""
    calls = [item.context_expr for item in block.items if isinstance(item.context_expr, ast.Call)]
    return {ast.unparse(name) for call in calls if ast.unparse(call.func) == "suppress" for name in call.args}


def _caught(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["BaseException"]
    each = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(name).rpartition(".")[2] for name in each]
