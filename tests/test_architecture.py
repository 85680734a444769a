"""The house's rules, read from the imports: layers, doors, and what is pure."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from reconciler.kinds import DECLARABLE
from reconciler.model import Question
from tests import ROOT
from tests.support.raising import Function, Module, bases_of

pytestmark = pytest.mark.one_python

LAYERS = (
    "__main__",
    "cli",
    "output",
    "monitor",
    "forecast",
    "discovery",
    "diagnosis",
    "fleet",
    "approval",
    "journal",
    "tls",
    "blueprint",
    "environment",
    "plan",
    "kinds",
    "questions",
    "document",
    "x509",
    "messages",
    "subjects",
    "model",
    "refs",
    "unknowns",
    "printable",
    "clock",
)
"""The packages, top to bottom: each imports only what stands below it."""
PURE = (
    "approval.binding", "approval.commitment", "approval.policy", "approval.precedent", "approval.signed", "blueprint", "diagnosis.checks", "diagnosis.here", "diagnosis.hosts", "diagnosis.keys", "diagnosis.names", "diagnosis.routes", "discovery", "document", "environment.conforms", "environment.patterns", "environment.rules", "environment.schema",
    "environment.settings", "environment.yaml_writer", "fleet.probe", "fleet.reply", "fleet.script", "forecast", "journal.elsewhere", "journal.entries", "journal.chain", "journal.lines", "journal.model", "journal.path", "journal.undo",
    "kinds", "messages", "model", "monitor.coming", "monitor.findings", "monitor.notices", "monitor.severity", "monitor.status", "output", "plan", "printable", "questions", "refs", "subjects",
    "tls.endpoint", "tls.status", "tls.verify", "unknowns", "x509",
)  # fmt: skip
"""Packages and modules without I/O and without a clock."""
IMPURE = {"os", "pathlib", "subprocess", "socket", "time", "random", "secrets", "logging", "sys", "shutil"}
DOORS = {
    "paramiko": {"fleet.ssh", "fleet.ssh_errors", "fleet.shell"},
    "tenacity": {"fleet.ssh"},
    "yaml": {"environment.yaml_reader"},
    "jsonschema": {"environment.schema_errors"},
    "typer": {"cli"},
    "cryptography": {"x509"},
    "OpenSSL": {"tls.handshake"},
    "msgspec": {"document"},
    "cronsim": {"environment.cron"},
    "apprise": {"monitor.delivery"},
    "sqlite3": {"journal.glance", "journal.journal"},
    "rich": {"cli.live"},
    "nats": {"fleet.stream"},
}
"""The one module, or few, that know a package of somebody else."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module below `reconciler`, by its dotted name there: `kinds.file`, `kinds`."""
    folder = ROOT / "reconciler"
    paths = [path for path in folder.rglob("*.py") if path != folder / "__init__.py"]
    return {dotted(path.relative_to(folder)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def bases() -> dict[str, set[str]]:
    return bases_of(modules())


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(tree: ast.AST, known: Collection[str]) -> set[str]:
    """The modules of ours that a module imports."""
    names = {name.removeprefix("reconciler.") for name in imported(tree) if name.startswith("reconciler.")}
    return names & set(known)


def package(name: str) -> str:
    return name.partition(".")[0]


def is_in(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_packages_import_downwards_only() -> None:
    trees = modules()
    for name, tree in trees.items():
        for other in ours(tree, trees):
            if package(other) != package(name):
                assert LAYERS.index(package(other)) > LAYERS.index(package(name)), f"{name} imports {other}"


def test_modules_of_a_package_do_not_import_each_other_in_circles() -> None:
    trees = modules()
    below = {
        name: {each for each in ours(tree, trees) if not is_in(name, [each])} for name, tree in trees.items()
    }
    graphlib.TopologicalSorter(below).prepare()


def test_every_module_has_its_layer() -> None:
    assert {package(name) for name in modules()} == set(LAYERS)


@pytest.mark.parametrize("name", [name for name in modules() if is_in(name, PURE)])
def test_pure_modules_touch_nothing(name: str) -> None:
    tree = modules()[name]
    assert not {each.split(".")[0] for each in imported(tree)} & IMPURE
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {
        call for call in calls if call.endswith((".now", ".today")) or call in ("open", "print", "input")
    }


@pytest.mark.parametrize(("library", "doors"), DOORS.items())
def test_each_package_has_one_door(library: str, doors: set[str]) -> None:
    users = {
        name for name, tree in modules().items() if library in {each.split(".")[0] for each in imported(tree)}
    }
    assert not {name for name in users if not is_in(name, doors)}


def test_one_function_reads_the_clock() -> None:
    clocks = re.compile(r"datetime\.(now|utcnow)\(|date\.today\(|time\.time\(")
    assert {name for name, tree in modules().items() if clocks.search(ast.unparse(tree))} == {"clock"}


def test_values_reach_a_shell_by_one_function() -> None:
    quoting = re.compile(r"from shlex|shlex\.(?!split\b)")
    assert {name for name, tree in modules().items() if quoting.search(ast.unparse(tree))} == {"model"}


def acting(tree: ast.AST) -> bool:
    """Whether it takes a lock, sends a script, or releases a lock with one, whatever its variables are called."""
    taken = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {each.func.attr for each in calls if isinstance(each.func, ast.Attribute)}
    given = {each.func.attr for each in calls if isinstance(each.func, ast.Attribute) and each.args}
    return "lock" in taken or "run" in called or "release" in given


def test_drift_reaches_nothing_that_writes() -> None:
    """Of what `drift` imports, and what that imports, nothing makes a script that acts, and nothing
    takes a lock or sends a script but the fleet's own look, and the one that has a gateway look (what a stream
    runs is its loop); `drift` gets what that showed, as data."""
    trees = modules()
    reached, todo = set(), ["cli.drift"]
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += ours(trees[name], trees) - reached
    assert {"cli.look", "fleet.fleet", "fleet.host", "plan.planner"} <= reached
    assert not reached & {"fleet.apply", "cli.apply", "cli.run", "fleet.script", "cli.unlock"}
    # A site can be asked to act: by whoever makes such a task.
    assert not reached & {"cli.hand_over", "cli.worker"}
    assert {name for name, tree in trees.items() if "do='apply'" in ast.unparse(tree)} == {"cli.hand_over"}
    assert not reached & {"cli.leaving", "journal.leaving"}
    assert "reconciler.cli.look.connected" not in imported(trees["cli.drift"])
    here = {name for name in reached if package(name) in ("cli", "fleet")}
    assert {name for name in here if acting(trees[name])} == {"fleet.fleet", "fleet.site", "fleet.stream"}
    commands = {name for name in trees if package(name) == "cli" and acting(trees[name])}
    # `cli.install` runs crontab and systemctl of this machine; what contacts a host it does not import.
    assert commands == {"cli.run", "cli.leaving", "cli.unlock", "cli.install"}
    assert not {each for each in ours(trees["cli.install"], trees) if is_in(each, {"fleet", "cli.look"})}


def test_files_and_functions_stay_short() -> None:
    for name, tree in modules().items():
        assert max((node.end_lineno or 0 for node in tree.body), default=0) <= 400, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{name}: {node.name}"


def test_everything_says_what_it_is_for() -> None:
    for name, tree in modules().items():
        assert ast.get_docstring(tree), name
    for kind in DECLARABLE:
        assert kind.__doc__, kind
    banned = {"utils", "manager", "helpers", "base", "common", "context"}
    assert not {part for name in modules() for part in name.split(".")} & banned


Public = ast.ClassDef | Function


def public(tree: ast.Module) -> Iterator[tuple[str, Public, ast.ClassDef | None]]:
    """What is public in a module: its name, its node, and the class it stands in.

    Commands are left out: their help stands where they are registered.
    """
    for node in tree.body:
        if not isinstance(node, Public) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield node.name, node, None
            for each in (each for each in node.body if isinstance(each, Function)):
                if each.name == "__init__" or not each.name.startswith("_"):
                    yield f"{node.name}.{each.name}", each, node
        elif not any(ast.unparse(mark).startswith("app.") for mark in node.decorator_list):
            yield node.name, node, None


def docstring(name: str, node: Public, within: ast.ClassDef | None) -> str:
    """A docstring; of a method without one, that of the method which it overrides."""
    if within is None:
        return ast.get_docstring(node) or ""
    owner = getattr(importlib.import_module(f"reconciler.{name}"), within.name)
    return inspect.getdoc(getattr(owner, node.name)) or ""


def needs_no_docstring(node: Public, within: ast.ClassDef | None) -> bool:
    """A constructor, a property of one line, or what the model says of every question."""
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    short = len(node.body) == 1 and marks & {"property", "cached_property"}
    return within is not None and (bool(short) or node.name in {"__init__", *vars(Question)})


@pytest.mark.parametrize("name", modules())
def test_what_is_public_says_what_it_is_for_and_what_it_raises(name: str) -> None:
    trees = modules()
    module = Module(trees[name], bases())
    for called, node, within in public(trees[name]):
        text = docstring(name, node, within)
        assert text or needs_no_docstring(node, within), f"{name}: {called} has no docstring"
        whole = f"{text} {ast.get_docstring(within) or '' if within else ''}"
        told = re.search(r"\braises\b.*", whole, re.IGNORECASE | re.DOTALL)
        words = set(re.findall(r"\w+", told[0])) if told else set()
        errors = module.raised(node) if isinstance(node, Function) else set()
        for error in errors - {"NotImplementedError"}:
            assert module.lineage(error) & words, f"{name}: {called} raises {error}, and does not say so"


def test_a_class_name_has_one_meaning_and_a_function_says_what_it_does() -> None:
    nodes = [(name, node) for name, tree in modules().items() for node in ast.walk(tree)]
    classes = Counter(node.name.lstrip("_") for _, node in nodes if isinstance(node, ast.ClassDef))
    assert [name for name, count in classes.items() if count > 1] == []
    functions = {f"{name}: {node.name}" for name, node in nodes if isinstance(node, Function)}
    assert not {each for each in functions if each.endswith((": _told", ": _shown", ": _said"))}


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    ours = {Path(*name.split(".")) for name in modules()} | {
        Path(*name.split(".")).parent for name in modules()
    }
    others = ("benchmarks", "docs", "fuzz", "hosts", "lab", "simulation", "tools")
    assert folders - ours - {Path()} == {Path(each) for each in others}


def test_every_kind_has_cases_and_a_place_in_the_docs() -> None:
    reference = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8")
    for kind in DECLARABLE:
        assert (ROOT / "tests" / "cases" / "kinds" / f"{kind.kind}.yaml").exists()
        assert f"## {kind.kind}\n" in reference
