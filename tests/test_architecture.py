"""The house's rules, read from the imports: layers, doors, and what is pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from reconciler.kinds import DECLARABLE

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"__main__"},
    {"cli"},
    {"applying", "reporting"},
    {"commands"},
    {"outputs"},
    {"session"},
    {"documents", "junit", "prometheus", "markdown", "github", "page"},
    {"report", "served"},
    {"verify"},
    {"executor"},
    {"look", "approval", "runbook"},
    {"hosts", "handshake"},
    {"ssh"},
    {"environment"},
    {"schema_check", "cross_check"},
    {"schema", "yaml_places", "schedule"},
    {"blueprint"},
    {"declared", "planner", "probe"},
    {"kinds", "graph"},
    {"questions", "certificates", "scripts", "texts"},
    {"replies", "model"},
]
PURE = {
    "approval", "blueprint", "certificates", "declared", "documents", "graph", "kinds", "model",
    "planner", "probe", "questions", "replies", "report", "runbook", "scripts", "texts", "verify", "junit",
    "prometheus", "markdown", "github", "page", "served",
}  # fmt: skip
IMPURE = {"os", "pathlib", "subprocess", "socket", "time", "random", "secrets", "logging", "sys", "shutil"}
DOORS = {
    "paramiko": {"ssh"},
    "tenacity": {"ssh"},
    "yaml": {"yaml_places"},
    "jsonschema": {"schema_check"},
    "typer": {"cli"},
    "cryptography": {"certificates"},
    "OpenSSL": {"handshake"},
    "cronsim": {"schedule"},
}


def modules() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(ROOT / "reconciler")): ast.parse(path.read_text(encoding="utf-8"))
        for path in (ROOT / "reconciler").rglob("*.py")
    }


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str:
    return Path(name).parts[0].removesuffix(".py")


def ours(names: set[str]) -> set[str]:
    known = set().union(*LAYERS)
    return {name.split(".")[1] for name in names if name.startswith("reconciler.")} & known


def test_modules_import_downwards_only() -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for name, tree in modules().items():
        for other in ours(imported(tree)) - {room(name)}:
            if room(name) != "__init__":
                assert level[other] > level[room(name)], f"{name} imports {other}"


def test_every_module_has_its_layer() -> None:
    assert {room(name) for name in modules()} - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("name", [name for name in modules() if room(name) in PURE])
def test_pure_modules_touch_nothing(name: str) -> None:
    tree = modules()[name]
    assert not {each.split(".")[0] for each in imported(tree)} & IMPURE
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {
        call for call in calls if call.endswith((".now", ".today")) or call in ("open", "print", "input")
    }


@pytest.mark.parametrize(("package", "doors"), DOORS.items())
def test_each_package_has_one_door(package: str, doors: set[str]) -> None:
    users = {
        room(name) for name, tree in modules().items() if package in {i.split(".")[0] for i in imported(tree)}
    }
    assert users <= doors


def test_values_reach_a_shell_by_one_function() -> None:
    users = {name for name, tree in modules().items() if "shlex" in imported(tree)}
    assert users == {"model.py"}


def test_drift_reaches_nothing_that_writes() -> None:
    """From `drift` on, follow the names of functions: none leads to a write."""
    trees = [modules()[name] for name in ("commands.py", "outputs.py", "session.py")]
    functions = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not ours(set().union(*map(imported, trees))) & {"executor", "applying", "runbook"}
    reached, todo = set(), ["drift"]
    while todo:
        name = todo.pop()
        reached.add(name)
        nodes = list(ast.walk(functions[name]))
        names = {n.id for n in nodes if isinstance(n, ast.Name)}
        names |= {n.attr for n in nodes if isinstance(n, ast.Attribute)}
        todo += [other for other in names & functions.keys() if other not in reached]
        text = ast.unparse(functions[name])
        assert ".lock(" not in text, name
    assert {"plan_of", "look", "fleet_of"} <= reached
    assert not ours(imported(modules()["look.py"])) & {"runbook", "executor"}


def test_files_and_functions_stay_short() -> None:
    for name, tree in modules().items():
        lines = (ROOT / "reconciler" / name).read_text(encoding="utf-8").count("\n")
        assert lines <= 400, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{name}: {node.name}"


def test_everything_says_what_it_is_for() -> None:
    for name, tree in modules().items():
        assert ast.get_docstring(tree), name
    for kind in DECLARABLE:
        assert kind.__doc__, kind
    banned = {"utils", "manager", "helpers", "base", "common", "context"}
    assert not {Path(name).stem for name in modules()} & banned


def test_every_kind_has_cases_and_a_place_in_the_docs() -> None:
    reference = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
    for kind in DECLARABLE:
        assert (ROOT / "tests" / "cases" / "kinds" / f"{kind.kind}.yaml").exists()
        assert f"## {kind.kind}\n" in reference
