"""The house's rules, read from the imports: layers, doors, and what is pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from reconciler.kinds import DECLARABLE

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"__main__", "reference"},
    {"ending"},
    {"cli"},
    {"flags"},
    {"applying", "drifting", "recalling", "scheduling", "explaining", "adopting", "reporting"},
    {"commands"},
    {"approving"},
    {"outputs"},
    {"watching"},
    {"session"},
    {"differences"},
    {"explanation", "graph_text"},
    {"documents", "junit", "prometheus", "markdown", "github", "page", "sending"},
    {"report", "served"},
    {"verify", "notices"},
    {"executor", "findings", "undoing"},
    {"look", "approval", "runbook", "journal", "checkout", "signatures"},
    {"hosts", "handshake"},
    {"ssh"},
    {"environment"},
    {"schema_check", "cross_check"},
    {"schema", "yaml_places", "schedule", "policy", "adoption", "yaml_text"},
    {"blueprint", "survey"},
    {"answered"},
    {"declared", "planner", "probe"},
    {"rules"},
    {"kinds", "graph"},
    {"questions", "certificates", "scripts", "texts"},
    {"replies", "model", "messages"},
]
PURE = {
    "approval", "blueprint", "certificates", "declared", "documents", "graph", "kinds", "model",
    "planner", "probe", "questions", "messages", "replies", "report", "runbook", "scripts", "texts", "verify", "junit",
    "findings", "notices", "policy", "rules", "undoing",
    "explanation", "graph_text",
    "adoption", "answered", "differences", "survey", "yaml_text",
    "prometheus", "markdown", "github", "page", "served",
}  # fmt: skip
IMPURE = {"os", "pathlib", "subprocess", "socket", "time", "random", "secrets", "logging", "sys", "shutil"}
DOORS = {
    "paramiko": {"ssh"},
    "tenacity": {"ssh"},
    "yaml": {"yaml_places"},
    "jsonschema": {"schema_check"},
    "typer": {"cli", "ending", "flags", "reference"},
    "cryptography": {"certificates"},
    "OpenSSL": {"handshake"},
    "cronsim": {"schedule"},
    "apprise": {"sending"},
    "sqlite3": {"journal"},
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
    """Of what `drift` imports, and what that imports, nothing makes a script that acts, and
    nothing takes a lock."""
    trees = modules()
    reached, todo = set(), ["drifting.py"]
    while todo:
        name = todo.pop()
        reached.add(name)
        rooms = ours(imported(trees[name]))
        todo += [each for each in trees if room(each) in rooms and each not in reached]
    assert {"session.py", "look.py", "hosts.py", "planner.py"} <= reached
    assert not {room(name) for name in reached} & {"executor", "applying", "runbook", "scheduling"}
    locking = {name for name in trees if ".lock(" in ast.unparse(trees[name])}
    assert locking & reached == {"look.py"}
    callers = {name for name in trees if "fleet.lock(" in ast.unparse(trees[name])}
    assert callers == {"applying.py"}
    running = {name for name in reached if "host.run(" in ast.unparse(trees[name])}
    assert running == {"look.py"}


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
