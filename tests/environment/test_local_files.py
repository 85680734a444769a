"""What the YAML may have read on the machine that plans: regular files below its folder, and no others."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.local_files import SIZE

GOOD = "environment: e\nrouter: one.example.org\nhosts: [{name: one.example.org}]\nblueprint: false\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout, with a secret outside of it that the machine that plans holds."""
    made = tmp_path / "checkout"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "inside").write_text("inside\n")
    (tmp_path / "key").write_text("canary\n")
    return made


def problems(folder: Path, option: str) -> list[str]:
    """What is wrong with an environment file whose fifth line has this option."""
    path = folder / "e.yaml"
    path.write_text(f"{GOOD}resources: [{{file: /f, {option}}}]\n")
    try:
        load(str(path))
    except InvalidEnvironment as error:
        return [str(each) for each in error.problems]
    return []


@pytest.mark.parametrize("option", ["source", "template"])
def test_a_file_outside_of_the_folder_is_refused_with_its_line(folder: Path, option: str) -> None:
    link, up = folder / "link", folder / "up"
    link.symlink_to("../key")
    up.symlink_to("..")
    for name in ("../key", str(folder.parent / "key"), "link", "up/key", "sub/../../key", "~/key"):
        (problem,) = problems(folder, f"{option}: {name}")
        assert problem.startswith(f"{folder / 'e.yaml'}:5:")
        assert "canary" not in problem
        assert "is not below" in problem or name == "~/key", problem


def test_a_file_below_the_folder_may_be_reached_by_links_within_it(folder: Path) -> None:
    (folder / "link").symlink_to("sub/inside")
    for name in ("sub/inside", "link", "sub/../sub/inside", str(folder / "sub" / "inside")):
        assert problems(folder, f"source: {name}") == [], name


def test_whoever_runs_it_may_name_further_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_FILES", f"/nowhere:{folder.parent}")
    assert problems(folder, "source: ../key") == []


def test_what_git_keeps_there_is_refused(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[http] extraheader = canary\n")
    (problem,) = problems(folder, "source: .git/config")
    assert "belongs to git" in problem


def test_only_regular_files_of_a_bounded_size_are_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"x" * (SIZE + 1))
    (folder / "circle").symlink_to("circle")
    told: dict[str, list[str]] = {}
    expected = {
        "pipe": "is not a regular file",
        "sub": "is not a regular file",
        "large": "is larger than 4 MB",
        "circle": "cannot be read",
    }
    asking = threading.Thread(
        target=lambda: told.update({name: problems(folder, f"source: {name}") for name in expected}),
        daemon=True,
    )
    asking.start()
    asking.join(20)
    assert not asking.is_alive(), "a pipe is waited for"
    for name, words in expected.items():
        assert words in told[name][0], told


def test_roots_may_lie_anywhere_but_are_regular_files(folder: Path) -> None:
    path = folder / "e.yaml"
    path.write_text(f"{GOOD}certificate: {{roots: ../key}}\n")
    load(str(path))
    path.write_text(f"{GOOD}certificate: {{roots: /dev/zero}}\n")
    with pytest.raises(InvalidEnvironment, match="is not a regular file"):
        load(str(path))
