"""What commands use of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Host, Ssh


def test_what_is_not_followed_of_sshs_configuration_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n BindAddress 192.0.2.1\n ServerAliveInterval 5\n")
    hosts = [Host(name="a"), Host(name="b")]
    assert [host.name for host in Workplace().connect(Ssh(config=str(config)), hosts)] == ["a", "b"]
    output = capsys.readouterr()
    assert (output.out, output.err) == (
        "", f"{config}:2: `bindaddress` of ssh's configuration is not followed here\n",
    )  # fmt: skip
    Workplace().connect(Ssh(config="none"), hosts)
    assert capsys.readouterr().err == ""
