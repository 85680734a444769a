"""What a file is after something was saved in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError


def test_a_pipe_and_a_device_stay_what_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reads = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write(pipe, "whole")
        assert os.read(reads, 100) == b"whole"
    finally:
        os.close(reads)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_stays_and_the_file_behind_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to("folder/file")
    for text in ("first", "second"):
        files.write(link, text)
        assert link.is_symlink()
        assert (tmp_path / "folder" / "file").read_text() == text
    assert os.listdir(tmp_path / "folder") == ["file"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "no" / "file", "No such file or directory")):
        with pytest.raises(CommandError, match=why) as raised:
            files.write(path, "x")
        assert raised.value.code == Code.LOCAL
    (tmp_path / "loop").symlink_to("loop")
    files.write(tmp_path / "loop", "x")
    assert (tmp_path / "loop").read_text() == "x"
