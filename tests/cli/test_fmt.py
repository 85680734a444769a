"""`reconcile fmt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.app import run

OLD = "# a comment\nenvironment: a  \n"
NEW = "# a comment\nversion: 1\nenvironment: a\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "a.yaml").write_text(OLD)
    (tmp_path / "environments" / "b.yaml").write_text(NEW)
    return tmp_path / "environments"


def test_what_would_be_written_is_told_and_then_written_once(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["fmt", "--all", "--check"]) == 2
    assert capsys.readouterr().err == "environments/a.yaml: would be written\n"
    assert (folder / "a.yaml").read_text() == OLD
    assert run(["fmt", "a"]) == 0
    assert capsys.readouterr().err == "environments/a.yaml: written\n"
    assert (folder / "a.yaml").read_text() == NEW
    assert run(["fmt", "--all", "--check"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c", "environments/c.yaml: is not UTF-8; nothing was done with it\n"),
        ("d", "environments/d.yaml: cannot be read (Is a directory)\n"),
        ("e", "there is no environment e: no such file, and no environments/e.yaml (known: a, b, c, d)\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    folder: Path, capsys: pytest.CaptureFixture, name: str, said: str
) -> None:
    (folder / "c.yaml").write_bytes(b"environment: \xff\n")
    (folder / "d.yaml").mkdir()
    assert run(["fmt", name]) == 64
    assert capsys.readouterr().err.endswith(said)
