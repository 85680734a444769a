"""The locks: whole for every Python from 3.11 on, as what they install says itself, so that nothing is resolved."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

USERS = PROJECT["project"]["dependencies"]
EXTRAS = [each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra]
BUILD = PROJECT["dependency-groups"]["build"]
DEV = PROJECT["dependency-groups"]["dev"]
LOCKS = {
    "requirements.lock": USERS,
    "requirements-build.lock": BUILD,
    "requirements-dev.lock": [*USERS, *EXTRAS, *BUILD, *DEV],
}

Metadata = Callable[[str], tuple[str, Iterable[str]] | None]
"""The version of a distribution and what it requires; None where it is not to be had."""


def installed(name: str) -> tuple[str, Iterable[str]] | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return found.version, found.requires or ()


def pins(text: str) -> list[Requirement]:
    return [
        Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"[\w.-]+(\[|==)", line)
    ]


def unmet(lock: str, roots: Iterable[str], known: Metadata, python: str) -> list[str]:
    """What is asked for and not pinned, from the roots on, with the markers as a Python on Linux has them.

    pip's hash mode takes an extra for pinned only where the pin names it.
    """
    here = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
    }
    pinned = {canonicalize_name(p.name): p for p in pins(lock) if not p.marker or p.marker.evaluate(here)}
    asked = [("the project", Requirement(root)) for root in roots]
    seen: set[str] = set()
    problems = []
    for who, wanted in asked:  # grows as it goes
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        pin = pinned.get(canonicalize_name(wanted.name))
        if pin is None or not wanted.extras <= pin.extras:
            problems.append(f"{who} asks for {wanted}, which is not pinned")
            continue
        if pin.marker and not pin.marker.evaluate():
            continue  # another Python's, so not installed here: the run on that Python looks into it
        version, requires = known(pin.name) or (None, ())
        if version is None or str(pin.specifier) != f"=={version}":
            problems.append(f"{pin} is pinned, and {version or 'nothing'} is installed")
        elif not wanted.specifier.contains(version, prereleases=True):
            problems.append(f"{who} asks for {wanted}, and {version} is pinned")
        for each in map(Requirement, requires):
            extras = wanted.extras or {""}
            if not each.marker or any(each.marker.evaluate({**here, "extra": extra}) for extra in extras):
                each.marker = None
                asked.append((pin.name, each))
    return problems


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_all_that_anything_asks_for(name: str, python: str) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8")
    assert unmet(lock, LOCKS[name], installed, python) == [], "run `make lock`, then `make builders`"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_that_named_no_extra_fails(python: str) -> None:
    lock = (ROOT / "tests/cases/locks/of-one-python.lock").read_text(encoding="utf-8")
    as_it_was: dict[str, tuple[str, Iterable[str]]] = {
        "pytest-cov": ("7.1.0", ["coverage[toml]>=7.10.6", "pluggy>=1.2", "pytest>=7"]),
        "coverage": ("7.17.3", ["tomli; python_full_version <= '3.11.0a6' and extra == 'toml'"]),
    }
    problems = unmet(lock, ["pytest-cov>=5"], lambda name: as_it_was.get(name) or installed(name), python)
    assert "pytest-cov asks for coverage[toml]>=7.10.6, which is not pinned" in problems


CASES: Mapping[str, tuple[str, str, list[str]]] = {
    "whole": ("a[x]==1\nb==2\nc==3 ; python_version >= '3.13'", "3.13", []),
    "whole without what its marker leaves out": ("a[x]==1\nb==2", "3.12", []),
    "made for an older Python": ("a[x]==1\nb==2", "3.13", ["a asks for c, which is not pinned"]),
    "what the extra asks for is missing": ("a[x]==1", "3.11", ["a asks for b>=2, which is not pinned"]),
    "the extra is not named": ("a==1\nb==2", "3.11", ["the project asks for a[x], which is not pinned"]),
    "a pin for other Pythons": (
        "a[x]==1 ; python_version < '3.12'\nb==2", "3.12", ["the project asks for a[x], which is not pinned"],
    ),
    "not what is installed": (
        "a[x]==1\nb==1", "3.11", ["b==1 is pinned, and 2 is installed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_lock_lacks_is_told(case: str) -> None:
    lock, python, problems = CASES[case]
    known: dict[str, tuple[str, Iterable[str]]] = {
        "a": ("1", ["b>=2; extra == 'x'", "c; python_version >= '3.13'", "d; extra == 'y'"]),
        "b": ("2", []),
        "c": ("3", []),
    }
    assert unmet(lock, ["a[x]"], known.get, python) == problems


@pytest.mark.parametrize("name", [*LOCKS, "benchmarks/requirements.lock", "tests/fuzz/requirements.lock"])
def test_every_pin_has_hashes_and_names_no_registry(name: str) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8")
    whole = re.sub(r"\\\n\s+", "", lock)
    assert pins(lock)
    for line in whole.splitlines():
        assert line.lstrip().startswith("#") or "--hash=sha256:" in line, line
    assert "://" not in lock


def test_builders_run_what_users_run() -> None:
    builders = {pin.name: pin.specifier for pin in pins((ROOT / "requirements-dev.lock").read_text("utf-8"))}
    for name in ("requirements.lock", "requirements-build.lock"):
        for pin in pins((ROOT / name).read_text(encoding="utf-8")):
            assert builders[pin.name] == pin.specifier
