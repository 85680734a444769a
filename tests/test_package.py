"""The wheel and the sdist: built, installed into an empty environment, and used there."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import reconciler
from tests import ROOT
from tests.test_locks import pins


def run(*words: str | Path, cwd: Path) -> str:
    # Nothing of the checkout may help.
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(
        [*map(str, words)], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # The target as it is, with this interpreter, and without making .venv anew.
    variables = (f"DIST={folder}", f"BIN={Path(sys.executable).parent}")
    run("make", "dist", *variables, "-o", ".venv/builders", cwd=ROOT)
    return folder


def test_the_wheel_says_what_it_is(built: Path) -> None:
    (wheel,) = built.glob("reconcile_certificates-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (found,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        said = email.message_from_bytes(archive.read(found))
    assert "reconciler/py.typed" in names
    assert (said["License-Expression"], said["License-File"]) == ("Apache-2.0", "LICENSE")
    assert said["License"] is None  # its text is a file, not metadata
    assert [each for each in said.get_all("Requires-Dist") if "apprise" in each] == [
        "apprise>=2; extra == 'notify'"
    ]
    for minor in range(11, 15):
        assert f"Programming Language :: Python :: 3.{minor}" in said.get_all("Classifier")


def test_the_wheel_has_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = [path for path in (ROOT / "reconciler").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {".py", ".sh", ".conf", ".sudoers", ".css"} <= {path.suffix for path in files}
    assert {str(path.relative_to(ROOT)) for path in files} <= names


def test_the_sbom_names_the_users_lock_and_no_more(built: Path) -> None:
    (path,) = built.glob("*.cdx.json")
    bom = json.loads(path.read_text(encoding="utf-8"))
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == (
        "CycloneDX",
        reconciler.__version__,
    )
    lock = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert {(c["name"], f"=={c['version']}") for c in bom["components"]} == {
        (pin.name, str(pin.specifier)) for pin in lock
    }


def test_setup_says_what_to_install_where_there_is_no_venv(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-build.lock"):
        shutil.copy(ROOT / name, tmp_path)
    shims = tmp_path / "bin"  # every Python there is on Debian without the package python3-venv
    shims.mkdir()
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15))):
        (shims / name).write_text(f'#!/bin/sh\ncase $2 in *venv*) exit 1; esac\nexec {sys.executable} "$@"\n')
        (shims / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{shims}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["make", "setup"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert "apt-get install python3-venv" in ended.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=source)
    (again,) = (tmp_path / "again").glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()
    for part in ("schemas/plan.schema.json", "docs/operations.md", "environments/stage.yaml", "README.md"):
        assert (source / part).exists(), part


def test_the_wheel_works_in_an_empty_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    binaries = tmp_path / "venv" / "bin"
    run(binaries / "python", "-m", "pip", "-q", "--disable-pip-version-check", "install", wheel, cwd=tmp_path)
    reconcile = binaries / "reconcile"
    assert run(reconcile, "--version", cwd=tmp_path).startswith("reconcile ")
    assert (tmp_path / "venv" / "share" / "man" / "man1" / "reconcile.1").exists()
    assert "valid: " in run(reconcile, "validate", ROOT / "environments" / "stage.yaml", cwd=tmp_path)
    example = ROOT / "examples" / "three-hosts"
    seen = f"{example}.observation.json"
    flags = ("--name", "new", "--router", "cn.example.org", "--host", "cn-1.example.org", "-o", "new.yaml")
    (made,) = json.loads(run(reconcile, "init", "--json", *flags, cwd=tmp_path))["files"]
    schema = made["text"].splitlines()[0].partition("$schema=")[2]
    named = ROOT / schema.removeprefix("https://raw.githubusercontent.com/DataONEorg/reconcile/main/")
    assert json.loads(named.read_text(encoding="utf-8"))["title"] == "reconcile: an environment"
    assert "Plan: " in run(reconcile, "plan", f"{example}.yaml", "--seen", seen, cwd=tmp_path)
    run(reconcile, "report", f"{example}.yaml", "--seen", seen, "-o", "page.html", cwd=tmp_path)
    assert "prefers-color-scheme" in (tmp_path / "page.html").read_text(encoding="utf-8")
